//! What is described, and what is not.

use object::{Map, Value};
use openapi::{Lookup, Source};

use super::descriptions;

#[test]
fn types_and_fields_are_described() {
    let all = descriptions();
    for (type_, field) in [
        ("io.k8s.api.core.v1.Pod", ""),
        ("io.k8s.api.core.v1.Pod", "spec"),
        ("io.k8s.api.core.v1.PodSpec", "containers"),
        ("io.k8s.api.networking.v1.NetworkPolicyPeer", "ipBlock"),
        ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "labels"),
        ("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "gracePeriodSeconds"),
        ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec", "names"),
    ] {
        let found = all.of(type_, field);
        assert!(found.is_some_and(|text| text.len() > 10), "{type_} {field}: {found:?}");
    }
    assert_eq!(all.of("io.k8s.api.core.v1.Pod", "nothing"), None);
    assert_eq!(all.of("io.k8s.api.core.v1.Nothing", ""), None);
}

#[test]
fn nearly_every_field_that_is_published_is_described() {
    let lookup = Lookup(|type_, field| descriptions().of(type_, field));
    let source = Source { schema: object::Schema::builtin(), rows: kind::builtin(), describe: &lookup };
    let document = codec::json::parse(&openapi::v2::document(&source)).expect("the document is JSON");
    let definitions = document.get("definitions").and_then(Value::as_map).expect("there are definitions");
    let mut silent = Vec::new();
    let mut fields = 0;
    // Lists of kinds say nothing that is worth a sentence.
    for (name, type_) in definitions.iter().filter(|(name, _)| !name.ends_with("List")) {
        for (field, member) in type_.get("properties").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            fields += 1;
            if member.get("description").is_none() {
                silent.push(format!("{name} {field}"));
            }
        }
    }
    // The members of custom kinds' schemas, and what `/version` answers.
    assert!(silent.len() * 40 < fields, "{} of {fields} fields are not described: {silent:#?}", silent.len());
}
