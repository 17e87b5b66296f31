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
        let found = matching(image, &secrets).expect("all secrets can be read");
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
    let hub = matching("busybox", &secrets).expect("all secrets can be read");
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

#[test]
fn a_secret_that_cannot_be_read_is_an_error() {
    const NEW: &str = "kubernetes.io/dockerconfigjson";
    const OLD: &str = "kubernetes.io/dockercfg";
    let cases = [
        (NEW, r#"{"auths": "#, Err("unexpected end of JSON input")),
        (NEW, "auths: {}", Err("invalid character 'a' looking for beginning of value")),
        (
            NEW,
            r#"{"auths": 1}"#,
            Err("json: cannot unmarshal number into Go value of type credentialprovider.DockerConfig"),
        ),
        (
            OLD,
            r#"{"r": []}"#,
            Err("json: cannot unmarshal array into Go value of type credentialprovider.DockerConfigEntry"),
        ),
        (OLD, r#"{"r": {"auth": "!"}}"#, Err("illegal base64 data at input byte 0")),
        (
            OLD,
            r#"{"r": {"auth": "YQ=="}}"#,
            Err("unable to parse auth field, must be formatted as base64(username:password)"),
        ),
        (OLD, r#"{"r": {"password": 1}}"#, Err("json: cannot unmarshal number into Go value of type string")),
        // Another registry's entry makes the secret as unreadable as the image's own.
        (NEW, r#"{"auths": {"elsewhere.test": {"auth": "!"}}}"#, Err("illegal base64 data at input byte 0")),
        (OLD, r#"{"r": {"auth": "YTpi"}}"#, Ok(("a", "b"))),
        (OLD, r#"{"r": {"auth": "YTpiYw"}}"#, Ok(("a", "bc"))),
        (OLD, r#"{"r": {"auth": "YTpiYw=="}}"#, Ok(("a", "bc"))),
        (NEW, "", Ok(("", ""))),
        (NEW, "null", Ok(("", ""))),
    ];
    for (type_, text, expected) in cases {
        let key = if type_ == NEW { ".dockerconfigjson" } else { ".dockercfg" };
        let text = text.replace("\"r\"", "\"registry.test\"");
        let found = matching("registry.test/app", &[secret(type_, key, &text)]);
        let found = found.map(|found| found.into_iter().next().map(|auth| (auth.username, auth.password)));
        let found = found.map(Option::unwrap_or_default);
        let expected = expected.map(|(name, password)| (name.to_owned(), password.to_owned()));
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }
}
