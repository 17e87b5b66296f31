//! The table of RFC 7386, appendix A, and what upstream adds.

use object::Value;

use super::{apply, create};

fn tree(text: &str) -> Value {
    codec::json::parse(text.as_bytes()).expect("the case is JSON")
}

#[test]
fn the_table_of_the_rfc() {
    let cases = [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
        (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        (r#"{"a":null}"#, r#"{"a":{"b":null,"c":1}}"#, r#"{"a":{"c":1}}"#),
    ];
    for (target, patch, expected) in cases {
        assert_eq!(apply(tree(target), tree(patch)), Ok(tree(expected)), "{patch} on {target}");
    }
    for patch in ["null", "1", r#""x""#] {
        let refused = apply(tree("{}"), tree(patch)).expect_err(patch);
        assert_eq!(refused, crate::PatchError::Malformed("Invalid JSON Patch".to_owned()));
    }
}

#[test]
fn made_patches() {
    let cases = [
        (r#"{"a":1,"b":{"c":1,"d":2},"e":[1]}"#, r#"{"a":1,"b":{"c":1,"d":3},"e":[2]}"#, r#"{"b":{"d":3},"e":[2]}"#),
        (r#"{"a":1,"b":{"c":1}}"#, r#"{"b":{}}"#, r#"{"a":null,"b":{"c":null}}"#),
        (r#"{"a":1}"#, r#"{"a":1}"#, "{}"),
    ];
    for (from, to, expected) in cases {
        let (from, to) = (tree(from), tree(to));
        let (Value::Map(from_map), Value::Map(to_map)) = (&from, &to) else { panic!("the cases are objects") };
        let patch = Value::Map(create(from_map, to_map));
        assert_eq!(patch, tree(expected));
        assert_eq!(apply(from.clone(), patch), Ok(to));
    }
}
