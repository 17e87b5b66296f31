//! Tests of `selector`.

use super::*;

fn labels(text: &str) -> impl Fn(&str) -> Option<&'static str> {
    let pairs: Vec<(String, &'static str)> = text
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), &*Box::leak(value.to_owned().into_boxed_str())))
        .collect();
    move |key| pairs.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| *value)
}

#[test]
fn matching() {
    // (selector, labels, whether they match)
    let cases = [
        ("", "", true),
        ("a", "a=1", true),
        ("!a", "a=1", false),
        ("!a", "", true),
        ("a=1", "a=1", true),
        ("a==1", "a=2", false),
        ("a!=1", "", true),
        ("a in (1,2)", "a=2", true),
        ("a notin (1,2)", "a=2", false),
        ("a notin (1)", "", true),
        ("a>3", "a=4", true),
        ("a<3", "a=4", false),
        ("a>3", "a=x", false),
        ("a=1,b in (x),!c", "a=1,b=x", true),
        ("a=", "a=", true),
        ("x.io/a=b", "x.io/a=b", true),
        ("  a =  1 , b ", "a=1,b=2", true),
        ("a in (,x)", "a=", true),
    ];
    for (text, given, expected) in cases {
        let selector = LabelSelector::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(selector.matches(labels(given)), expected, "{text:?} on {given:?}");
    }
}

#[test]
fn refusals() {
    for text in ["a b", "a in", "a in (x", "=b", "a,,b", "a>b", "a/b/c=d", "a=!", "a=b,", "a=b c"] {
        assert!(LabelSelector::parse(text).is_err(), "{text:?} must be refused");
    }
}

#[test]
fn text_round_trip() {
    for text in ["a=b", "a!=b", "a in (x,y)", "a notin (x,y)", "a", "!a", "a>1", "a<1", "a=b,c"] {
        assert_eq!(LabelSelector::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn fields() {
    let selector = FieldSelector::parse(r"spec.nodeName=a\,b,status.phase!=Failed").unwrap();
    assert_eq!(selector.exact("spec.nodeName"), Some("a,b"));
    assert!(selector.matches(|field| (field == "spec.nodeName").then_some("a,b")));
    assert!(!selector.matches(|field| if field == "status.phase" { Some("Failed") } else { Some("a,b") }));
    assert_eq!(selector.to_string(), r"spec.nodeName=a\,b,status.phase!=Failed");
    assert!(FieldSelector::parse("nonsense").is_err());
    assert!(FieldSelector::parse(r"a=\x").is_err());
}
