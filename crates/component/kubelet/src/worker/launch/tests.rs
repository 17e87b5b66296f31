//! What is refused rather than left out, and images against `runAsNonRoot`.

use cri::v1::{Image, Int64Value};
use podplan::security::Security;
use typed::api::core::v1::{Container, Pod, PodSpec};

use super::{not_root, unbuilt};

#[test]
fn nothing_is_left_out_without_a_word() {
    let pod = |spec: PodSpec| Pod { spec: Some(spec), ..Default::default() };
    assert_eq!(unbuilt(&pod(PodSpec::default())), None);
    let users = PodSpec { host_users: Some(false), ..Default::default() };
    assert_eq!(unbuilt(&pod(users)), Some("user namespaces are"));
    let devices = Container { volume_devices: Some(vec![Default::default()]), ..Default::default() };
    assert_eq!(
        unbuilt(&pod(PodSpec { containers: vec![devices], ..Default::default() })),
        Some("raw block volumes are")
    );
}

#[test]
fn images_that_run_as_root_are_refused_where_that_matters() {
    let check = |verify: bool, uid: Option<i64>, name: &str| {
        let security = Security { verify_not_root: verify, ..Default::default() };
        let image =
            Image { uid: uid.map(|value| Int64Value { value }), username: name.to_owned(), ..Default::default() };
        not_root(&Pod::default(), &Container::default(), &security, &image)
    };
    assert!(check(false, Some(0), "").is_ok() && check(true, Some(1000), "").is_ok());
    assert!(
        check(true, Some(0), "")
            .is_err_and(|text| text.starts_with("container has runAsNonRoot and image will run as root"))
    );
    assert!(check(true, None, "").is_err(), "an image that names nobody runs as root");
    assert!(check(true, None, "web").is_err_and(|text| text.contains("non-numeric user (web)")));
}
