//! Strategic merge patches, rule by rule.

use codec::Root;
use object::{Map, Value};

use super::{CreateError, Precondition, apply, create_three_way, create_two_way};
use crate::PatchError;

fn tree(text: &str) -> Value {
    let json = codec::yaml::to_json(text.as_bytes()).expect("the case is YAML");
    codec::json::parse(&json).expect("YAML became JSON")
}

fn map(text: &str) -> Map {
    match tree(text) {
        Value::Map(map) => map,
        other => panic!("{text} is no map but {other:?}"),
    }
}

fn pod() -> Root<'static> {
    Root::builtin("v1", "Pod").expect("Pod is a kind")
}

fn deployment() -> Root<'static> {
    Root::builtin("apps/v1", "Deployment").expect("Deployment is a kind")
}

fn shown(value: &Value) -> String {
    let mut out = Vec::new();
    codec::json::write(value, &mut out);
    String::from_utf8(out).expect("JSON is text")
}

/// (rule, original, patch, result)
const POD_CASES: &[(&str, &str, &str, &str)] = &[
    (
        "members are merged",
        "metadata: {labels: {a: x, b: y}}",
        "metadata: {labels: {b: z, c: w}}",
        "metadata: {labels: {a: x, b: z, c: w}}",
    ),
    (
        "null takes a member away",
        "metadata: {labels: {a: x, b: y}}",
        "metadata: {labels: {a: null, q: null}}",
        "metadata: {labels: {b: y}}",
    ),
    ("new maps lose their nulls", "metadata: {}", "metadata: {labels: {a: null, b: y}}", "metadata: {labels: {b: y}}"),
    (
        "items are paired by their merge key",
        "spec: {containers: [{name: a, image: one}, {name: b, image: two}]}",
        "spec: {containers: [{name: b, image: three}]}",
        "spec: {containers: [{name: a, image: one}, {name: b, image: three}]}",
    ),
    (
        "unknown items are added, where the patch stands first among what nobody ordered",
        "spec: {containers: [{name: a}]}",
        "spec: {containers: [{name: n, image: i}]}",
        "spec: {containers: [{name: n, image: i}, {name: a}]}",
    ),
    (
        "items are deleted by directive",
        "spec: {containers: [{name: a}, {name: b}]}",
        "spec: {containers: [{name: a, $patch: delete}]}",
        "spec: {containers: [{name: b}]}",
    ),
    (
        "a list is replaced by directive",
        "spec: {containers: [{name: a}, {name: b}]}",
        "spec: {containers: [{name: c}, {$patch: replace}]}",
        "spec: {containers: [{name: c}]}",
    ),
    (
        "a map is replaced by directive",
        "metadata: {labels: {a: x}}",
        "metadata: {labels: {$patch: replace, b: y}}",
        "metadata: {labels: {b: y}}",
    ),
    (
        "a map is emptied by directive",
        "metadata: {labels: {a: x}}",
        "metadata: {labels: {$patch: delete}}",
        "metadata: {labels: {}}",
    ),
    (
        "the order of items can be set",
        "spec: {containers: [{name: a}, {name: b}, {name: c}]}",
        "spec: {$setElementOrder/containers: [{name: c}, {name: a}]}",
        "spec: {containers: [{name: b}, {name: c}, {name: a}]}",
    ),
    (
        "the order holds for new items",
        "spec: {containers: [{name: a}]}",
        "spec: {$setElementOrder/containers: [{name: a}, {name: n}], containers: [{name: n}]}",
        "spec: {containers: [{name: a}, {name: n}]}",
    ),
    (
        "scalars are merged",
        "metadata: {finalizers: [a/x, a/y]}",
        "metadata: {finalizers: [a/y, a/z]}",
        "metadata: {finalizers: [a/x, a/y, a/z]}",
    ),
    (
        "scalars are deleted by a parallel list",
        "metadata: {finalizers: [a/x, a/y]}",
        "metadata: {$deleteFromPrimitiveList/finalizers: [a/x]}",
        "metadata: {finalizers: [a/y]}",
    ),
    (
        "lists without a strategy are replaced",
        "spec: {containers: [{name: a, args: [x, y]}]}",
        "spec: {containers: [{name: a, args: [z]}]}",
        "spec: {containers: [{name: a, args: [z]}]}",
    ),
    (
        "members of a union go when another is set",
        "spec: {volumes: [{name: v, emptyDir: {}}]}",
        "spec: {volumes: [{name: v, $retainKeys: [name, hostPath], hostPath: {path: /x}}]}",
        "spec: {volumes: [{name: v, hostPath: {path: /x}}]}",
    ),
    (
        "ports are paired by containerPort alone",
        "spec: {containers: [{name: a, ports: [{containerPort: 53, protocol: UDP}, {containerPort: 53, protocol: TCP}]}]}",
        "spec: {containers: [{name: a, ports: [{containerPort: 53, name: dns}]}]}",
        "spec: {containers: [{name: a, ports: [{containerPort: 53, protocol: UDP, name: dns}, {containerPort: 53, protocol: TCP}]}]}",
    ),
    (
        "other types replace",
        "spec: {containers: null}",
        "spec: {containers: [{name: a}]}",
        "spec: {containers: [{name: a}]}",
    ),
    (
        "directives without a target leave nothing",
        "spec: {}",
        "spec: {containers: [{name: a, $patch: delete}]}",
        "spec: {containers: []}",
    ),
];

#[test]
fn what_patches_do_to_pods() {
    for (rule, original, patch, expected) in POD_CASES {
        let result = apply(tree(original), tree(patch), pod()).unwrap_or_else(|e| panic!("{rule}: {e}"));
        assert_eq!(shown(&result), shown(&tree(expected)), "{rule}");
    }
}

#[test]
fn union_of_a_deployment() {
    let original = tree("spec: {strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}");
    let patch = tree("spec: {strategy: {$retainKeys: [type], type: Recreate}}");
    let result = apply(original, patch, deployment()).expect("it fits");
    assert_eq!(shown(&result), r#"{"spec":{"strategy":{"type":"Recreate"}}}"#);
}

#[test]
fn what_patches_must_not_say() {
    let malformed = |text: &str| PatchError::Malformed(text.to_owned());
    let unexpected = |text: &str| PatchError::Unexpected(text.to_owned());
    let cases = [
        (
            "spec: {containers: [{name: a}]}",
            "spec: {containers: [{image: x}]}",
            unexpected("map: map[image:x] does not contain declared merge key: name"),
        ),
        (
            "metadata: {labels: {a: b}}",
            "metadata: {labels: {$patch: bogus}}",
            unexpected("unknown patch type: bogus in map: map[$patch:bogus]"),
        ),
        (
            "spec: {containers: [{name: a}]}",
            "spec: {containers: [{name: a, $patch: merge}]}",
            unexpected("merging lists cannot yet be specified in the patch"),
        ),
        (
            "spec: {volumes: [{name: v}]}",
            "spec: {volumes: [{name: v, $retainKeys: [name], emptyDir: {}}]}",
            malformed("invalid patch format of retainKeys"),
        ),
        (
            "spec: {volumes: [{name: v}]}",
            "spec: {volumes: [{name: v, $retainKeys: name}]}",
            malformed("invalid patch format of retainKeys"),
        ),
        (
            "metadata: {finalizers: [a]}",
            "metadata: {$deleteFromPrimitiveList: [a]}",
            malformed("invalid patch format of primitive list"),
        ),
        (
            "spec: {containers: [{name: a}]}",
            "spec: {$setElementOrder: [{name: a}]}",
            malformed("invalid patch format of setElementOrder list"),
        ),
        (
            "spec: {containers: [{name: a}]}",
            "spec: {$setElementOrder/containers: [{name: a}], containers: [{name: b}]}",
            unexpected(
                "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
            ),
        ),
        (
            "metadata: {finalizers: [a]}",
            "metadata: {finalizers: [{a: b}]}",
            unexpected("list element types are not identical: [[a] [map[a:b]]]"),
        ),
        (
            "metadata: {finalizers: [[a]]}",
            "metadata: {finalizers: [[b]]}",
            PatchError::Unprocessable("lists of lists are not supported".to_owned()),
        ),
        (
            "spec: {bogus: {a: b}}",
            "spec: {bogus: {a: c}}",
            unexpected("unable to find api field in struct PodSpec for the json field \"bogus\""),
        ),
    ];
    for (original, patch, expected) in cases {
        assert_eq!(apply(tree(original), tree(patch), pod()), Err(expected), "{patch} on {original}");
    }
    assert_eq!(apply(tree("{}"), tree("[1]"), pod()), Err(malformed("invalid JSON document")));
}

#[test]
fn made_patches() {
    let cases = [
        ("nothing to do", "metadata: {name: a}", "metadata: {name: a}", "{}"),
        (
            "members",
            "metadata: {labels: {a: x, b: y}}",
            "metadata: {labels: {b: z}}",
            "metadata: {labels: {a: null, b: z}}",
        ),
        (
            "items",
            "spec: {containers: [{name: a, image: x}, {name: b}]}",
            "spec: {containers: [{name: a, image: y}]}",
            "spec: {$setElementOrder/containers: [{name: a}], containers: [{name: a, image: y}, {name: b, $patch: delete}]}",
        ),
        (
            "order only",
            "spec: {containers: [{name: a}, {name: b}]}",
            "spec: {containers: [{name: b}, {name: a}]}",
            "spec: {$setElementOrder/containers: [{name: b}, {name: a}]}",
        ),
        (
            "scalars",
            "metadata: {finalizers: [a, b]}",
            "metadata: {finalizers: [b, c]}",
            "metadata: {$deleteFromPrimitiveList/finalizers: [a], $setElementOrder/finalizers: [b, c], finalizers: [c]}",
        ),
        (
            "unions",
            "spec: {volumes: [{name: v, emptyDir: {}}]}",
            "spec: {volumes: [{name: v, hostPath: {path: /x}}]}",
            "spec: {$setElementOrder/volumes: [{name: v}], volumes: [{name: v, emptyDir: null, hostPath: {path: /x}, $retainKeys: [hostPath, name]}]}",
        ),
        (
            "lists that are replaced",
            "spec: {containers: [{name: a, args: [x]}]}",
            "spec: {containers: [{name: a, args: [y]}]}",
            "spec: {$setElementOrder/containers: [{name: a}], containers: [{name: a, args: [y]}]}",
        ),
    ];
    for (rule, from, to, expected) in cases {
        let patch = create_two_way(&map(from), &map(to), pod()).unwrap_or_else(|e| panic!("{rule}: {e}"));
        let patch = Value::Map(patch);
        assert_eq!(shown(&patch), shown(&tree(expected)), "{rule}");
        let result = apply(tree(from), patch, pod()).unwrap_or_else(|e| panic!("{rule}: {e}"));
        assert_eq!(shown(&result), shown(&tree(to)), "{rule}: applied");
    }
}

#[test]
fn patches_from_three_objects() {
    let original = map("spec: {replicas: 1, template: {spec: {containers: [{name: a, image: one}, {name: gone}]}}}");
    let modified = map("spec: {template: {spec: {containers: [{name: a, image: two}]}}}");
    let current = map(
        "spec: {replicas: 5, paused: true, template: {spec: {containers: [{name: a, image: one, tty: true}, {name: gone}, {name: injected}]}}}",
    );
    let patch = create_three_way([&original, &modified, &current], deployment(), true, &[]).expect("it can be made");
    let expected = "spec: {replicas: null, template: {spec: {$setElementOrder/containers: [{name: a}], \
                    containers: [{name: a, image: two}, {name: gone, $patch: delete}]}}}";
    assert_eq!(shown(&Value::Map(patch.clone())), shown(&tree(expected)));
    let result = apply(Value::Map(current.clone()), Value::Map(patch), deployment()).expect("it fits");
    let wanted =
        "spec: {paused: true, template: {spec: {containers: [{name: a, image: two, tty: true}, {name: injected}]}}}";
    assert_eq!(shown(&result), shown(&tree(wanted)));
    let conflict = create_three_way([&original, &modified, &current], deployment(), false, &[]);
    assert!(matches!(conflict, Err(CreateError::Conflict { .. })), "replicas were changed by others: {conflict:?}");
}

#[test]
fn preconditions() {
    let (from, to) = (map("{kind: A, metadata: {name: a}}"), map("{kind: A, metadata: {name: b}}"));
    for (precondition, holds) in
        [(Precondition::Unchanged("kind"), true), (Precondition::MetadataUnchanged("name"), false)]
    {
        let made = create_three_way([&from, &to, &from], pod(), true, &[precondition]);
        assert_eq!(made.is_ok(), holds, "{precondition:?}: {made:?}");
    }
}
