//! Which folders follow from which options.

use super::*;

#[test]
fn folders_follow_from_user_and_options() {
    let options = |data_dir: Option<&str>| PlaceOptions { data_dir: data_dir.map(PathBuf::from), kubeconfig: None };
    let cases = [
        (None, true, "/var/lib/ferrokube", "/run/ferrokube", "/etc/kubernetes/admin.conf"),
        (None, false, "/h/.local/share/ferrokube", "/h/.local/share/ferrokube/run", ""),
        (Some("/x"), true, "/x", "/x/run", "/x/kubernetes/admin.conf"),
        (Some("/var/lib/ferrokube/"), true, "/var/lib/ferrokube", "/run/ferrokube", "/etc/kubernetes/admin.conf"),
    ];
    for (data_dir, is_root, data, run, kubeconfig) in cases {
        let place = Place::choose(&options(data_dir), is_root, Some("/h"));
        assert_eq!(place.data_dir, Path::new(data), "{data_dir:?}");
        assert_eq!(place.run_dir, Path::new(run), "{data_dir:?}");
        assert!(kubeconfig.is_empty() || place.kubeconfig == Path::new(kubeconfig), "{place:?}");
    }
}

#[test]
fn clusters_side_by_side_share_no_cgroup() {
    let root = |folder: &str| {
        let options = PlaceOptions { data_dir: Some(folder.into()), kubeconfig: None };
        Place::choose(&options, true, None).cgroup_root()
    };
    assert_eq!(root("/var/lib/ferrokube"), "ferrokube");
    assert_ne!(root("/a"), root("/b"));
}
