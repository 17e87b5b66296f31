//! Tests of `schema`.

use super::*;

#[test]
fn the_table_is_read() {
    let schema = Schema::builtin();
    let pod = schema.kind("v1", "Pod").expect("Pod is a kind");
    let names: Vec<&str> = schema.members(pod).map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["kind", "apiVersion", "metadata", "spec", "status"]);
    assert!(schema.types().count() > 1000, "all packages are there");
}

#[test]
fn inlined_structs_are_opened() {
    let schema = Schema::builtin();
    let volume = schema.named("io.k8s.api.core.v1.Volume").expect("Volume is a type");
    let field = schema.field(volume, "emptyDir").expect("a volume's source stands beside its name");
    assert!(field.pointer && matches!(field.shape, Shape::Struct(_)));
}

#[test]
fn topology_is_known() {
    let schema = Schema::builtin();
    let container = schema.named("io.k8s.api.core.v1.Container").expect("Container is a type");
    let ports = schema.field(container, "ports").expect("containers have ports");
    assert_eq!(ports.list, ListType::Map(vec!["containerPort".into(), "protocol".into()]));
    assert_eq!((ports.patch, ports.merge_key.as_deref()), (PatchStrategy::Merge, Some("containerPort")));
}
