//! Objects as JSON, YAML and protobuf.

use codec::{Root, json, proto, yaml};
use object::{Schema, Value};

/// The type that a tree says it is of; a Pod when it says nothing that is known.
pub(crate) fn root(tree: &Value) -> Root<'static> {
    let text = |key| tree.str_at(&[key]).unwrap_or_default();
    let named = Root::builtin(text("apiVersion"), text("kind"));
    named.unwrap_or_else(|| Root::builtin("v1", "Pod").expect("Pod is a kind"))
}

/// A tree of no type as JSON.
pub(crate) fn plain(tree: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    json::write(tree, &mut text);
    text
}

/// Text for people who read why a target failed.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What holds for every canonical tree: it is conform, and neither JSON nor protobuf changes it.
fn stands(tree: &Value, root: Root<'_>) {
    let text = json::encode(tree, root);
    let again = json::decode(&text, root).expect("what was written can be read");
    assert!(again.strict_problems.is_empty(), "{:?} in {}", again.strict_problems, shown(&text));
    assert_eq!(shown(&json::encode(&again.value, root)), shown(&text), "JSON read again is the same");
    let conform = codec::conform(tree.clone(), root).expect("what was read is of its type");
    assert_eq!(shown(&json::encode(&conform.value, root)), shown(&text), "what was read is canonical");
    let message = proto::encode(tree, root);
    let again = proto::decode(&message, root).expect("what was written can be read").value;
    assert_eq!(proto::encode(&again, root), message, "protobuf read again is the same");
}

/// JSON, with a type and without.
pub fn json(bytes: &[u8]) {
    let checked = json::check(bytes);
    if let Ok(tree) = json::parse(bytes) {
        assert_eq!(checked, Ok(()), "what can be read is JSON");
        let text = plain(&tree);
        let again = json::parse(&text).expect("what was written can be read");
        assert_eq!(shown(&plain(&again)), shown(&text), "JSON read again is the same");
        let spaced = json::parse(&json::pretty(&text)).expect("what was written can be read");
        assert_eq!(spaced, again, "space changes nothing");
        let root = root(&tree);
        if let Ok(decoded) = json::decode(bytes, root) {
            stands(&decoded.value, root);
        }
    }
}

/// YAML, with a type and without.
pub fn yaml(bytes: &[u8]) {
    let Ok(tree) = yaml::parse(bytes) else { return };
    let text = plain(&tree);
    let read = json::parse(&text).expect("every YAML that is read can be written as JSON");
    let written = yaml::encode(&tree).expect("every tree can be written as YAML");
    let again = yaml::parse(written.as_bytes()).unwrap_or_else(|error| panic!("{error} in {written:?}"));
    assert_eq!(shown(&plain(&again)), shown(&plain(&read)), "YAML read again is the same: {written:?}");
    let root = root(&tree);
    if let Ok(decoded) = yaml::decode(bytes, root) {
        stands(&decoded.value, root);
    }
}

/// Protobuf in its envelope, and the frames of watches.
pub fn protobuf(bytes: &[u8]) {
    if let Ok((_, object)) = proto::open_event(bytes) {
        drop(proto::open(object));
    }
    let (Ok(envelope), Ok(decoded)) = (proto::open(bytes), proto::decode_enveloped(bytes, Schema::builtin())) else {
        return;
    };
    let root = Root::builtin(envelope.api_version, envelope.kind).expect("what was read is of a known kind");
    let sealed = proto::seal(&decoded.value, root, envelope.api_version, envelope.kind);
    let again = proto::decode_enveloped(&sealed, Schema::builtin()).expect("what was written can be read");
    assert_eq!(
        shown(&json::encode(&again.value, root)),
        shown(&json::encode(&decoded.value, root)),
        "an envelope read again is the same"
    );
    stands(&decoded.value, root);
}
