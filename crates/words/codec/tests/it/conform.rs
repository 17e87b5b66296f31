//! Conforming a tree is writing it and reading it again.

use codec::{Root, conform, conform_as_stored, json, proto};
use object::{RawJson, Value};
use proptest::prelude::*;

fn root(api_version: &str, kind: &str) -> Root<'static> {
    Root::builtin(api_version, kind).expect("the kind is built in")
}

/// The tree after a trip through text.
fn reread(value: &Value, root: Root<'_>) -> Result<codec::Decoded, codec::DecodeError> {
    let mut text = Vec::new();
    json::write(value, &mut text);
    json::decode(&text, root)
}

fn check(value: &Value, root: Root<'_>) {
    let (mut through_text, mut directly) = (reread(value, root), conform(value.clone(), root));
    // Text of no type keeps its order of fields; a tree is read in the order of keys, and so are their problems.
    for read in [&mut through_text, &mut directly].into_iter().flatten() {
        read.strict_problems.sort();
    }
    assert_eq!(directly, through_text, "{value:?}");
}

#[test]
fn reference_objects() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/wire");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: no reference data at {}", folder.display());
        return;
    };
    let mut checked = 0;
    for path in files.map(|file| file.expect("the folder can be read").path()) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read(&path).expect("the file can be read");
        let loose = json::parse(&text).expect("it is JSON");
        let (Some(api_version), Some(kind)) = (loose.str_at(&["apiVersion"]), loose.str_at(&["kind"])) else {
            continue;
        };
        let Some(root) = Root::builtin(api_version, kind) else { continue };
        check(&loose, root);
        let canonical = json::decode(&text, root).expect("it is of its type").value;
        assert_eq!(conform(canonical.clone(), root).expect("it is of its type").value, canonical, "{}", path.display());
        checked += 1;
    }
    assert!(checked >= 180, "only {checked} objects were checked");
}

#[test]
fn scalars_in_every_spelling() {
    let cases = [
        r#"{"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":1.50,"memory":"1024Mi","x":3}}}]}}"#,
        r#"{"metadata":{"creationTimestamp":"2024-05-01T12:00:00.9+02:00","labels":{},"generation":0}}"#,
        r#"{"metadata":{"creationTimestamp":"yesterday"}}"#,
        r#"{"metadata":{"managedFields":[{"fieldsV1":{"f:a":{"f:b":{}}}}]}}"#,
        r#"{"spec":{"activeDeadlineSeconds":30.5}}"#,
        r#"{"spec":{"activeDeadlineSeconds":"30"}}"#,
        r#"{"spec":{"priority":3000000000}}"#,
        r#"{"spec":{"hostname":1}}"#,
        r#"{"spec":{"containers":{"a":1}}}"#,
        r#"{"spec":{"containers":[null,{"name":null}]}}"#,
        r#"{"spec":{"foo":1,"hostNetwork":null},"bar":{"baz":[]}}"#,
        r#"{"spec":{"containers":[{"name":"c","livenessProbe":{"httpGet":{"port":"http"}}}]}}"#,
        r#"{"spec":{"containers":[{"name":"c","livenessProbe":{"httpGet":{"port":5000000000}}}]}}"#,
        "[]",
        "null",
    ];
    for case in cases {
        check(&json::parse(case.as_bytes()).expect(case), root("v1", "Pod"));
    }
    for case in [r#"{"data":{"a":"eA"}}"#, r#"{"data":{"a":"e A=="}}"#, r#"{"data":{"a":"eA==","b":null}}"#] {
        check(&json::parse(case.as_bytes()).expect(case), root("v1", "Secret"));
    }
    for case in [
        r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"items":[{"type":"x"}],"additionalProperties":true,"default":1.0,"dependencies":{"a":["b"]},"enum":[1e3,null]}}}]}}"#,
        r#"{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"items":{"type":"x"},"additionalProperties":{"type":"y"},"example":{"a":[1.5]}}}}]}}"#,
    ] {
        check(&json::parse(case.as_bytes()).expect(case), root("apiextensions.k8s.io/v1", "CustomResourceDefinition"));
    }
}

#[test]
fn floats_that_are_whole_become_integers() {
    let pod = Value::from_pairs([("spec", Value::from_pairs([("priority", Value::Float(7.0))]))]);
    check(&pod, root("v1", "Pod"));
}

#[test]
fn unread_text_is_read_where_a_type_is_known() {
    let raw = |text: &'static str| Value::Raw(RawJson::from_checked(text.as_bytes().into()));
    let pod = Value::from_pairs([("spec", raw(r#"{"hostname":"a","containers":[{"name":"b"}]}"#))]);
    check(&pod, root("v1", "Pod"));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-3_i64..3_000_000_000).prop_map(Value::Int),
        (-1e9..1e9).prop_map(Value::Float),
        "[a-z0-9]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let key = prop::sample::select(vec![
            "metadata",
            "spec",
            "status",
            "containers",
            "name",
            "labels",
            "env",
            "resources",
            "limits",
            "cpu",
            "ports",
            "containerPort",
            "hostNetwork",
            "managedFields",
            "fieldsV1",
            "finalizers",
            "foo",
            "template",
            "data",
            "creationTimestamp",
            "replicas",
            "selector",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((key, inner), 0..6).prop_map(Value::from_pairs),
        ]
    })
}

/// What is conformed for the store reads, when it comes back, as it is.
fn check_stored(value: &Value, root: Root<'_>) {
    let Ok(conformed) = conform_as_stored(value.clone(), root) else { return };
    let mut before = conformed.value;
    // The envelope carries these, not the message.
    before.remove(&["kind"]);
    before.remove(&["apiVersion"]);
    let after = proto::decode(&proto::encode(&before, root), root).expect("what was written can be read").value;
    assert_eq!(after, before, "{value:?}");
}

#[test]
fn what_protobuf_cannot_say_is_not_kept() {
    let text = r#"{"spec":{"containers":[{"name":"a","image":"b","args":[],"resources":{"limits":{}}}],"volumes":[]}}"#;
    check_stored(&json::parse(text.as_bytes()).expect("it is JSON"), root("v1", "Pod"));
    let text = r#"{"rules":[],"metadata":{"labels":{}}}"#;
    let role = root("rbac.authorization.k8s.io/v1", "ClusterRole");
    check_stored(&json::parse(text.as_bytes()).expect("it is JSON"), role);
}

proptest! {
    #[test]
    fn any_tree_that_is_stored_reads_as_it_was(value in any_value()) {
        for root in [root("v1", "Pod"), root("apps/v1", "Deployment"), root("v1", "Secret")] {
            check_stored(&value, root);
        }
    }

    #[test]
    fn any_tree_conforms_as_it_rereads(value in any_value()) {
        for root in [root("v1", "Pod"), root("apps/v1", "Deployment"), root("v1", "Secret")] {
            check(&value, root);
        }
    }
}
