//! JSON patches, operation by operation.

use object::Value;

use super::{OPERATIONS_MAX, Patch};
use crate::PatchError;

fn tree(text: &str) -> Value {
    codec::json::parse(text.as_bytes()).expect("the case is JSON")
}

fn text(value: &Value) -> String {
    let mut out = Vec::new();
    codec::json::write(value, &mut out);
    String::from_utf8(out).expect("JSON is text")
}

fn outcome(document: &str, patch: &str) -> Result<String, PatchError> {
    Patch::parse(patch.as_bytes())?.apply(tree(document)).map(|value| text(&value))
}

#[test]
fn what_operations_do() {
    let cases = [
        // (document, patch, result)
        (r#"{"a":1}"#, r#"[{"op":"add","path":"/b","value":2}]"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":[1,3]}"#, r#"[{"op":"add","path":"/a/1","value":2}]"#, r#"{"a":[1,2,3]}"#),
        (r#"{"a":[1]}"#, r#"[{"op":"add","path":"/a/-","value":2}]"#, r#"{"a":[1,2]}"#),
        (r#"{"a":[1]}"#, r#"[{"op":"add","path":"/a/-1","value":2}]"#, r#"{"a":[1,2]}"#),
        (r#"{"a":[1,2]}"#, r#"[{"op":"remove","path":"/a/-1"}]"#, r#"{"a":[1]}"#),
        (r#"{"a":[1,2]}"#, r#"[{"op":"replace","path":"/a/-2","value":0}]"#, r#"{"a":[0,2]}"#),
        (r#"{"a":1}"#, r#"[{"op":"add","path":"/b"}]"#, r#"{"a":1,"b":null}"#),
        (r#"{"a":1}"#, r#"[{"op":"replace","path":"/b","value":2}]"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":{"b":2}}]"#, r#"{"b":2}"#),
        (r#"{"a":{"b":1},"c":{}}"#, r#"[{"op":"move","from":"/a/b","path":"/c/d"}]"#, r#"{"a":{},"c":{"d":1}}"#),
        (r#"{"a":{"b":1}}"#, r#"[{"op":"copy","from":"/a","path":"/c"}]"#, r#"{"a":{"b":1},"c":{"b":1}}"#),
        (r#"{"a":1}"#, r#"[{"op":"copy","from":"/b","path":"/c"}]"#, r#"{"a":1,"c":null}"#),
        (r#"{"a/b":{"~":1}}"#, r#"[{"op":"replace","path":"/a~1b/~0","value":2}]"#, r#"{"a/b":{"~":2}}"#),
        (
            r#"{"a":{"b":[1,{"c":null}]}}"#,
            r#"[{"op":"test","path":"/a","value":{"b":[1,{"c":null}]}}]"#,
            r#"{"a":{"b":[1,{"c":null}]}}"#,
        ),
        (r#"{"a":1}"#, r#"[{"op":"test","path":"/none","value":null}]"#, r#"{"a":1}"#),
        (r#"{"a":1}"#, r#"[{"op":"test","path":"","value":{"a":1}}]"#, r#"{"a":1}"#),
        (r#"{"a":1}"#, "[]", r#"{"a":1}"#),
        (r#"{"a":1}"#, "null", r#"{"a":1}"#),
    ];
    for (document, patch, expected) in cases {
        assert_eq!(outcome(document, patch), Ok(expected.to_owned()), "{patch} on {document}");
    }
}

/// (operation, why it fails)
const REFUSALS: &[(&str, &str)] = &[
    (r#"{"op":"test","path":"/s","value":"y"}"#, "testing value /s failed: test failed"),
    (
        r#"{"op":"test","path":"/l/5","value":1}"#,
        "error in test for path: '/l/5': Unable to access invalid index: 5: invalid index referenced",
    ),
    (
        r#"{"op":"test","path":"/l/x","value":1}"#,
        "error in test for path: '/l/x': strconv.Atoi: parsing \"x\": invalid syntax",
    ),
    (r#"{"op":"test","path":"/q/r","value":1}"#, "test operation does not apply: is missing path: /q/r: missing value"),
    (
        r#"{"op":"add","path":"/q/r","value":1}"#,
        "add operation does not apply: doc is missing path: \"/q/r\": missing value",
    ),
    (r#"{"op":"add","path":"","value":1}"#, "add operation does not apply: doc is missing path: \"\": missing value"),
    (
        r#"{"op":"add","path":"/l/3","value":1}"#,
        "error in add for path: '/l/3': Unable to access invalid index: 3: invalid index referenced",
    ),
    (
        r#"{"op":"add","path":"/l/x","value":1}"#,
        "error in add for path: '/l/x': value was not a proper array index: 'x': strconv.Atoi: parsing \"x\": invalid syntax",
    ),
    (r#"{"op":"add"}"#, "add operation failed to decode path: missing value"),
    (
        r#"{"op":"remove","path":"/q"}"#,
        "error in remove for path: '/q': Unable to remove nonexistent key: q: missing value",
    ),
    (
        r#"{"op":"remove","path":"/l/-2"}"#,
        "error in remove for path: '/l/-2': Unable to access invalid index: -2: invalid index referenced",
    ),
    (
        r#"{"op":"remove","path":"/s/t"}"#,
        "remove operation does not apply: doc is missing path: \"/s/t\": missing value",
    ),
    (
        r#"{"op":"replace","path":"/l/1","value":1}"#,
        "replace operation does not apply: doc is missing key: /l/1: missing value",
    ),
    (
        r#"{"op":"replace","path":"/q/r","value":1}"#,
        "replace operation does not apply: doc is missing path: /q/r: missing value",
    ),
    (
        r#"{"op":"replace","value":1}"#,
        "replace operation failed to decode path: operation missing path field: missing value",
    ),
    (
        r#"{"op":"replace","path":1}"#,
        "replace operation failed to decode path: json: cannot unmarshal number into Go value of type string",
    ),
    (
        r#"{"op":"move","from":"/a/q","path":"/z"}"#,
        "error in move for path: 'q': Unable to remove nonexistent key: q: missing value",
    ),
    (
        r#"{"op":"move","path":"/z"}"#,
        "move operation failed to decode from: operation, missing from field: missing value",
    ),
    (
        r#"{"op":"copy","from":"/a","path":"/q/r"}"#,
        "copy operation does not apply: doc is missing destination path: /q/r: missing value",
    ),
    (r#"{"op":"bogus","path":"/a"}"#, "Unexpected kind: bogus"),
    (r#"{}"#, "Unexpected kind: unknown"),
];

#[test]
fn what_does_not_fit_the_object() {
    let document = r#"{"a":{"b":1},"l":[1],"s":"x"}"#;
    for (operation, message) in REFUSALS {
        let patch = format!("[{operation}]");
        assert_eq!(outcome(document, &patch), Err(PatchError::Unprocessable((*message).to_owned())), "{operation}");
    }
}

#[test]
fn what_is_no_patch() {
    let cases = [
        ("{}", "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        (r#"["x"]"#, "json: cannot unmarshal string into Go value of type jsonpatch.Operation"),
        ("[", "unexpected end of JSON input"),
    ];
    for (patch, message) in cases {
        assert_eq!(outcome("{}", patch), Err(PatchError::Malformed(message.to_owned())), "{patch}");
    }
    let many = format!("[{}{{}}]", "{},".repeat(OPERATIONS_MAX));
    let message = "The allowed maximum operations in a JSON patch is 10000, got 10001";
    assert_eq!(outcome("{}", &many), Err(PatchError::TooLarge(message.to_owned())));
}

#[test]
fn unknown_fields_are_strict_problems() {
    let patch = Patch::parse(br#"[{"op":"add","path":"/a","value":1,"foo":1,"op":"add"}]"#).expect("it is a patch");
    assert_eq!(
        patch.strict_problems,
        [r#"json patch duplicate field "[0].op""#, r#"json patch unknown field "[0].foo""#]
    );
}

#[test]
fn copies_have_a_limit() {
    let copies: Vec<String> =
        (0..22).map(|at| format!(r#"{{"op":"copy","from":"/a","path":"/c{at}","x":{at}}}"#)).collect();
    let patch = format!(r#"[{}]"#, copies.join(","));
    let document = format!(r#"{{"a":"{}"}}"#, "x".repeat(150_000));
    let refused = outcome(&document, &patch).expect_err("22 copies are too many");
    let message =
        "Unable to complete the copy, the accumulated size increase of copy is 3150042, exceeding the limit 3145728";
    assert_eq!(refused, PatchError::Unprocessable(message.to_owned()));
}

#[test]
fn unread_text_is_opened() {
    let raw = object::RawJson::from_checked(br#"{"f:a":{}}"#.as_slice().into());
    let document = Value::from_pairs([("m", Value::Raw(raw))]);
    let patch =
        Patch::parse(br#"[{"op":"test","path":"/m","value":{"f:a":{}}},{"op":"add","path":"/m/f:b","value":{}}]"#);
    let result = patch.expect("it is a patch").apply(document).expect("it fits");
    assert_eq!(text(&result), r#"{"m":{"f:a":{},"f:b":{}}}"#);
}
