//! What is refused, in the words that clients see.

use super::*;

pub(super) fn problems(api_version: &str, kind: &str, text: &str) -> Vec<String> {
    let (strategy, object) = created(api_version, kind, text);
    let user = User::default();
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
    strategy.validate_create(&context, &object).iter().map(ToString::to_string).collect()
}

fn changed(api_version: &str, kind: &str, old: &str, new: &str) -> Vec<String> {
    let (strategy, mut object) = created(api_version, kind, new);
    let (_, before) = created(api_version, kind, old);
    let user = User::default();
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
    strategy.prepare_update(&context, &mut object, &before);
    strategy.validate_update(&context, &object, &before).iter().map(ToString::to_string).collect()
}

#[test]
fn pods_are_refused_field_by_field() {
    // (what stands in the spec, what is said)
    let cases: &[(&str, &[&str])] = &[
        ("{}", &["spec.containers: Required value"]),
        ("{containers: [{name: c}]}", &["spec.containers[0].image: Required value"]),
        (
            "{containers: [{name: c, image: i}, {name: c, image: i}]}",
            &["spec.containers[1].name: Duplicate value: \"c\""],
        ),
        (
            "{restartPolicy: Sometimes, containers: [{name: c, image: i}]}",
            &[
                "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            ],
        ),
        (
            "{containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /v}]}]}",
            &["spec.containers[0].volumeMounts[0].name: Not found: \"v\""],
        ),
        (
            "{containers: [{name: c, image: i, resources: {requests: {cpu: 2}, limits: {cpu: 1}}}]}",
            &[
                "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            ],
        ),
        (
            "{containers: [{name: c, image: i, livenessProbe: {successThreshold: 2, tcpSocket: {port: 80}}}]}",
            &["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"],
        ),
        (
            "{containers: [{name: c, image: i, readinessProbe: {}}]}",
            &["spec.containers[0].readinessProbe: Required value: must specify a handler type"],
        ),
        (
            "{containers: [{name: c, image: i, ports: [{containerPort: 70000}]}]}",
            &[
                "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            "{containers: [{name: c, image: i, env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nope}}}]}]}",
            &[
                "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.nope\": error converting \
                 fieldPath: field label not supported: spec.nope",
            ],
        ),
        (
            "{volumes: [{name: v, secret: {secretName: s}, emptyDir: {}}], containers: [{name: c, image: i}]}",
            &["spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            "{tolerations: [{operator: Equal, key: '', value: v}], containers: [{name: c, image: i}]}",
            &["spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, \
                 which means \"match all values and all keys\""],
        ),
        (
            "{ephemeralContainers: [{name: e, image: i}], containers: [{name: c, image: i}]}",
            &["spec.ephemeralContainers: Forbidden: cannot be set on create"],
        ),
    ];
    for (spec, expected) in cases {
        let found = problems("v1", "Pod", &format!("{{metadata: {{name: p}}, spec: {spec}}}"));
        assert_eq!(found, *expected, "{spec}");
    }
}

#[test]
fn pods_hardly_change() {
    let old = "{metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}";
    assert!(changed("v1", "Pod", old, &old.replace("image: i", "image: j")).is_empty(), "images may change");
    let moved = changed("v1", "Pod", old, &old.replace("spec: {", "spec: {nodeName: n1, "));
    let text = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,";
    assert!(moved.len() == 1 && moved[0].starts_with(text), "{moved:?}");
    let more = changed("v1", "Pod", old, &old.replace("[{name", "[{name: d, image: i}, {name"));
    assert_eq!(more, ["spec.containers: Forbidden: pod updates may not add or remove containers"]);
}

#[test]
fn other_kinds_are_refused() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        ("v1", "Service", "{metadata: {name: s}}", &["spec.ports: Required value"]),
        (
            "v1",
            "Service",
            "{metadata: {name: s}, spec: {ports: [{port: 80, nodePort: 30000}]}}",
            &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            "apps/v1",
            "Deployment",
            "{metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, spec: {containers: [{name: c, image: i}]}}}}",
            &[
                "spec.template.metadata.labels: Invalid value: {\"a\":\"c\"}: `selector` does not match template `labels`",
            ],
        ),
        (
            "v1",
            "ConfigMap",
            "{metadata: {name: c}, data: {'a/b': v}}",
            &[
                "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
             (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            ],
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "Role",
            "{metadata: {name: r}, rules: [{apiGroups: [''], resources: [pods]}]}",
            &["rules[0].verbs: Required value: verbs must contain at least one value"],
        ),
        (
            "batch/v1",
            "CronJob",
            "{metadata: {name: c}, spec: {schedule: '* *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}",
            &["spec.schedule: Invalid value: \"* *\": expected exactly 5 fields, found 2: [* *]"],
        ),
    ];
    for (api_version, kind, text, expected) in cases {
        assert_eq!(problems(api_version, kind, text), *expected, "{kind}: {text}");
    }
}

#[test]
fn what_is_immutable_stays() {
    let map = "{metadata: {name: c}, immutable: true, data: {a: b}}";
    let changed_data = changed("v1", "ConfigMap", map, &map.replace("a: b", "a: c"));
    assert_eq!(changed_data, ["data: Forbidden: field is immutable when `immutable` is set"]);
    let deployment = "{metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: c, image: i}]}}}}";
    let selected =
        changed("apps/v1", "Deployment", deployment, &deployment.replace("matchLabels: {a: b}", "matchLabels: {c: d}"));
    assert_eq!(selected, ["spec.selector: Invalid value: {\"matchLabels\":{\"c\":\"d\"}}: field is immutable"]);
}

/// The problems with the resize of a pod from one specification to another.
fn resized(old: &str, new: &str) -> Vec<String> {
    let pod = |text: &str| {
        let whole = text.contains("containers");
        let spec =
            if whole { text.to_owned() } else { format!("{{containers: [{{name: c, image: i, resources: {text}}}]}}") };
        created("v1", "Pod", &format!("metadata: {{name: p, namespace: ns}}\nspec: {spec}"))
    };
    let ((strategy, mut object), (_, before)) = (pod(new), pod(old));
    let user = User::default();
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "resize" };
    strategy.prepare_update(&context, &mut object, &before);
    strategy.validate_update(&context, &object, &before).iter().map(ToString::to_string).collect()
}

/// What is asked, from, to, what is said. Without containers, it is the resources of the only one.
type Resize = (&'static str, &'static str, &'static str, &'static [&'static str]);

const RESIZES: &[Resize] = &[
    ("more", "{requests: {cpu: 1}}", "{requests: {cpu: 2, memory: 1Gi}}", &[]),
    ("a first limit", "{requests: {cpu: 1}}", "{requests: {cpu: 1}, limits: {cpu: 2}}", &[]),
    (
        "another class",
        "{}",
        "{requests: {memory: 1}}",
        &["spec: Invalid value: \"BestEffort\": Pod QOS Class may not change as a result of resizing"],
    ),
    (
        "no limit any more",
        "{requests: {cpu: 1}, limits: {cpu: 2}}",
        "{requests: {cpu: 1}}",
        &["spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"],
    ),
    (
        "no request any more",
        "{requests: {cpu: 1, memory: 1}}",
        "{requests: {cpu: 1}}",
        &["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"],
    ),
    (
        "another resource",
        "{requests: {cpu: 1, ephemeral-storage: 1}}",
        "{requests: {cpu: 1, ephemeral-storage: 3}}",
        &["spec: Forbidden: only cpu and memory resources are mutable"],
    ),
    (
        "the same amount in other words",
        "{requests: {cpu: 1, ephemeral-storage: 1Ki}}",
        "{requests: {cpu: 2, ephemeral-storage: '1024'}}",
        &[],
    ),
    (
        "another policy",
        "{requests: {cpu: 1}}",
        "{containers: [{name: c, image: i, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}], resources: {requests: {cpu: 1}}}]}",
        &["spec: Forbidden: only cpu and memory resources are mutable"],
    ),
    (
        "an image is left out",
        "{requests: {cpu: 1}}",
        "{containers: [{name: c, image: j, resources: {requests: {cpu: 2}}}]}",
        &[],
    ),
    (
        "another order",
        "{containers: [{name: a, image: i}, {name: b, image: i}]}",
        "{containers: [{name: b, image: i}, {name: a, image: i}]}",
        &[
            "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize",
            "spec.containers[1].name: Forbidden: containers may not be renamed or reordered on resize",
        ],
    ),
    (
        "one more",
        "{containers: [{name: a, image: i}]}",
        "{containers: [{name: a, image: i}, {name: b, image: i}]}",
        &["spec.containers: Forbidden: containers may not be added or removed on resize"],
    ),
    (
        "an init container that would have to start anew",
        "{initContainers: [{name: a, image: i, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}], resources: {requests: {cpu: 1}}}], containers: [{name: b, image: i}]}",
        "{initContainers: [{name: a, image: i, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}], resources: {requests: {cpu: 2}}}], containers: [{name: b, image: i}]}",
        &[
            "spec.initContainers[0]: Forbidden: non-sidecar init containers with a resize policy of RestartContainer cannot be resized",
        ],
    ),
    (
        "the pod as a whole",
        "{resources: {requests: {cpu: 1}}, containers: [{name: a, image: i}]}",
        "{resources: {requests: {cpu: 2}, limits: {cpu: 3}}, containers: [{name: a, image: i}]}",
        &[],
    ),
    (
        "the pod as a whole no more",
        "{resources: {requests: {cpu: 1, memory: 1}}, containers: [{name: a, image: i}]}",
        "{resources: {requests: {cpu: 1}}, containers: [{name: a, image: i}]}",
        &["spec.resources.requests: Forbidden: pod-level resource requests cannot be removed"],
    ),
];

#[test]
fn resizes_change_cpu_and_memory_and_nothing_else() {
    for (what, old, new, expected) in RESIZES {
        assert_eq!(resized(old, new), *expected, "{what}");
    }
}

#[test]
fn some_pods_are_not_resized_at_all() {
    let spec = |cpu: u8| format!("{{containers: [{{name: c, image: i, resources: {{requests: {{cpu: {cpu}}}}}}}]}}");
    let check = |more: &str, expected: &[&str]| {
        let text = |cpu| format!("metadata: {{name: p, namespace: ns{more}}}\nspec: {}", spec(cpu));
        let ((strategy, mut object), (_, mut before)) =
            (created("v1", "Pod", &text(2)), created("v1", "Pod", &text(1)));
        if more.is_empty() {
            let running = "{containerStatuses: [{name: c, state: {running: {}}}]}";
            let status = codec::yaml::parse(running.as_bytes()).expect("a status");
            before.set(&["status"], status);
        }
        let user = User::default();
        let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "resize" };
        strategy.prepare_update(&context, &mut object, &before);
        let said: Vec<String> =
            strategy.validate_update(&context, &object, &before).iter().map(ToString::to_string).collect();
        assert_eq!(said, expected, "{more}");
    };
    check(", annotations: {kubernetes.io/config.mirror: x}", &["<nil>: Forbidden: static pods cannot be resized"]);
    check("", &["spec: Forbidden: Pod running on node without support for resize"]);
}
