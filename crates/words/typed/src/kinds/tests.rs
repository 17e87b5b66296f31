//! Tests of `kinds`.

use super::*;

#[test]
fn every_kind_has_its_row() {
    for (api_version, name, plural) in ROWS {
        let subresource = *name == "Scale";
        let row = kind::builtin().iter().find(|row| row.kind == *name && row.api_version() == *api_version);
        assert!(subresource || row.is_some_and(|row| row.plural == *plural), "{api_version} {name} {plural}");
    }
}

#[test]
fn trees_become_pods_and_back() {
    let text = br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","creationTimestamp":"2024-01-01T00:00:00Z",
        "managedFields":[{"manager":"m","fieldsV1":{"f:spec":{}}}]},"spec":{"containers":[{"name":"c","image":"i",
        "resources":{"requests":{"cpu":"100m"}},"ports":[{"containerPort":80}]}],"terminationGracePeriodSeconds":30},
        "status":{"conditions":[{"type":"Ready","status":"True","lastProbeTime":null}]}}"#;
    let root = codec::Root::builtin("v1", "Pod").expect("Pod is a kind");
    let tree = codec::json::decode(text, root).expect("it is JSON").value;
    let pod = api::core::v1::Pod::from_tree(&tree).expect("it is a Pod");
    assert_eq!(pod.name(), "a");
    assert!(pod.metadata.managed_fields.is_none(), "field sets stay in the tree");
    assert_eq!(pod.spec.as_ref().map(|spec| spec.containers.len()), Some(1));
    let again = codec::json::decode(&codec::json::encode(&Kind::to_tree(&pod), root), root).expect("it is JSON").value;
    let mut expected = tree;
    expected.remove(&["metadata", "managedFields"]);
    assert_eq!(again, expected);
}
