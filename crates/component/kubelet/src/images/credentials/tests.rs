//! Which credentials are found for which image.

use std::collections::BTreeMap;
use std::sync::Arc;

use typed::ByteString;
use typed::api::core::v1::Secret;

use super::matching;

fn secret(type_: &str, key: &str, text: &str) -> Arc<Secret> {
    let data = BTreeMap::from([(key.to_owned(), ByteString(text.as_bytes().to_vec()))]);
    Arc::new(Secret { data: Some(data), type_: Some(type_.to_owned()), ..Default::default() })
}

#[test]
fn credentials_are_found_by_registry_and_path() {
    let new = secret(
        "kubernetes.io/dockerconfigjson",
        ".dockerconfigjson",
        r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOnNlY3JldDpvbmU="},
            "*.example.com": {"username": "star", "password": "p"},
            "eu.example.com/team": {"username": "team", "password": "p"},
            "registry:5000": {"identitytoken": "t"}}}"#,
    );
    let old = secret("kubernetes.io/dockercfg", ".dockercfg", r#"{"old.test": {"username": "old", "password": "p"}}"#);
    let other = secret("Opaque", ".dockercfg", r#"{"opaque.test": {"username": "no", "password": "p"}}"#);
    let secrets = [new, old, other];
    let check = |image: &str, expected: &[&str]| {
        let found = matching(image, &secrets);
        let names: Vec<&str> = found.iter().map(|auth| auth.username.as_str()).collect();
        assert_eq!(names, expected, "{image}");
    };
    check("busybox", &["hub"]);
    check("docker.io/library/busybox:1", &["hub"]);
    check("eu.example.com/team/app@sha256:00", &["team", "star"]);
    check("us.example.com/app:1", &["star"]);
    check("deep.us.example.com/app:1", &[]);
    check("registry:5000/app", &[""]);
    check("registry:5001/app", &[]);
    check("old.test/app", &["old"]);
    check("opaque.test/app", &[]);
    let hub = matching("busybox", &secrets);
    assert_eq!(hub[0].password, "secret:one", "only the first colon ends the name");
}

#[test]
fn patterns_fit_in_the_time_of_a_search() {
    let cases = [
        ("*", "", true),
        ("*", "a", true),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("*b*", "abc", true),
        ("a**c", "abc", true),
        ("abc", "abcd", false),
    ];
    for (pattern, text, fits) in cases {
        assert_eq!(super::glob(pattern, text), fits, "{pattern} {text}");
    }
    // Trying every place for every star would take longer than there is time.
    assert!(!super::glob(&"*a".repeat(100), &format!("{}b", "a".repeat(10_000))));
}
