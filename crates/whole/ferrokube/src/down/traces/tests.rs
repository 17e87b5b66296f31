//! What is ours, and what only looks like it.

use super::*;

#[test]
fn shims_are_known_by_program_and_socket() {
    let cases: [(&[u8], bool); 5] = [
        (b"/usr/bin/containerd-shim-runc-v2\0-namespace\0k8s.io\0-address\0/run/x/containerd.sock\0", true),
        (b"/usr/bin/containerd-shim-runc-v2\0-namespace\0k8s.io\0-address\0/run/y/containerd.sock\0", false),
        (b"/usr/bin/containerd-shim-runc-v2\0-address\0/run/x/containerd.sock.ttrpc\0", false),
        (b"vi\0/run/x/containerd.sock\0", false),
        (b"", false),
    ];
    for (arguments, expected) in cases {
        let found = is_shim_of(arguments, Path::new("/run/x/containerd.sock"));
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(arguments));
    }
}

#[test]
fn a_folder_on_a_disk_of_its_own_is_not_unmounted() {
    let folder = Path::new("/var/lib/ferrokube");
    assert!(!below(folder, folder));
    assert!(!below(Path::new("/var/lib/ferrokube2/x"), folder));
    assert!(below(Path::new("/var/lib/ferrokube/x"), folder));
}

#[test]
fn traces_are_told_in_words() {
    let traces = Traces { processes: vec![1, 2], cgroups: vec!["/c".into()], ..Traces::default() };
    assert_eq!(traces.to_string(), "2 processes, 1 cgroups");
    assert!(Traces::default().is_empty() && !traces.is_empty());
}
