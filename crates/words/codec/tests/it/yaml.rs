//! How YAML is read: YAML 1.1's habits, which manifests rely on.

use codec::{json, yaml};
use object::Value;

#[test]
fn scalars_as_go_reads_them() {
    let cases = [
        ("a: 0644", r#"{"a":420}"#),
        ("a: 0o644", r#"{"a":420}"#),
        ("a: yes", r#"{"a":true}"#),
        ("a: \"yes\"", r#"{"a":"yes"}"#),
        ("a: on\nb: off", r#"{"a":true,"b":false}"#),
        ("a: 0x1F", r#"{"a":31}"#),
        ("a: 1:30", r#"{"a":"1:30"}"#),
        ("a: 2024-01-01", r#"{"a":"2024-01-01"}"#),
        ("a: 1e3", r#"{"a":1000}"#),
        ("a: ~", r#"{"a":null}"#),
        ("p: &p {x: 1}\nq:\n  <<: *p\n  z: 2", r#"{"p":{"x":1},"q":{"x":1,"z":2}}"#),
        ("1: a\ntrue: b", r#"{"1":"a","true":"b"}"#),
        ("a: |\n  x\n  y\n", r#"{"a":"x\ny\n"}"#),
        ("- a\n- [b, {c: d}]", r#"["a",["b",{"c":"d"}]]"#),
        ("", "null"),
    ];
    for (text, expected) in cases {
        let found = yaml::to_json(text.as_bytes()).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(String::from_utf8_lossy(&found), expected, "{text:?}");
    }
}

#[test]
fn written_text_reads_back() {
    let value =
        json::parse(br#"{"a":"yes","b":"0644","c":["1e3",1,1.5,null,true],"d":{"e":"x\ny"},"f":""}"#).expect("valid");
    let text = yaml::encode(&value).expect("every tree can be written");
    assert_eq!(yaml::parse(text.as_bytes()).expect("own output is read"), value, "{text}");
    let long = "word ".repeat(40);
    let text = yaml::encode(&Value::from_pairs([("a", long.trim())])).expect("every tree can be written");
    assert_eq!(text.lines().count(), 1, "long lines stay lines: {text}");
}

#[test]
fn refusals() {
    for text in ["a: [", "a: b: c", "\u{0}", "a:\n\t- b"] {
        assert!(yaml::parse(text.as_bytes()).is_err(), "{text:?} must be refused");
    }
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]";
    assert!(yaml::parse(bomb.as_bytes()).is_err(), "exponential aliases must be refused");
}
