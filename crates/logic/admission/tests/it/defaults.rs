//! What plugins fill in, and the small plugins.

use object::Value;

use super::world::{Asked, World, read};

fn admitted(asked: &Asked<'_>, world: &World, object: &str) -> Value {
    asked.admit(world, object).expect("it comes in").0
}

#[test]
fn fillings() {
    let world = World::of(
        "
# StorageClass
metadata: {name: old, creationTimestamp: '2026-01-01T00:00:00Z', annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}
# StorageClass
metadata: {name: new, creationTimestamp: '2026-02-01T00:00:00Z', annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}
# IngressClass
metadata: {name: web, annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}}
# Node
metadata: {name: one, labels: {topology.kubernetes.io/zone: z, other: o}}
# RuntimeClass
metadata: {name: vm}
overhead: {podFixed: {cpu: 100m}}
scheduling: {nodeSelector: {vm: 'yes'}, tolerations: [{key: vm, operator: Exists}]}
",
    );
    let pod = "metadata: {name: p}\nspec: {nodeName: one, runtimeClassName: vm, containers: [{name: c}]}";
    let cluster = |resource| Asked { namespace: "", ..Asked::create(resource) };
    for (asked, object, path, expected) in [
        (Asked::create("persistentvolumeclaims"), "metadata: {name: c}", "spec.storageClassName", "new"),
        (
            Asked::create("persistentvolumeclaims"),
            "metadata: {name: c}\nspec: {storageClassName: ''}",
            "spec.storageClassName",
            "''",
        ),
        (
            Asked::create("persistentvolumeclaims"),
            "metadata: {name: c}",
            "metadata.finalizers",
            "[kubernetes.io/pvc-protection]",
        ),
        (cluster("persistentvolumes"), "metadata: {name: c}", "metadata.finalizers", "[kubernetes.io/pv-protection]"),
        (Asked::create("ingresses.networking.k8s.io"), "metadata: {name: i}", "spec.ingressClassName", "web"),
        (
            cluster("nodes"),
            "metadata: {name: n}",
            "spec.taints",
            "[{key: node.kubernetes.io/not-ready, effect: NoSchedule}]",
        ),
        (Asked::create("pods"), pod, "metadata.labels", "{topology.kubernetes.io/zone: z}"),
        (Asked::create("pods"), pod, "spec.overhead", "{cpu: 100m}"),
        (Asked::create("pods"), pod, "spec.nodeSelector", "{vm: 'yes'}"),
        (
            Asked::create("pods"),
            pod,
            "spec.tolerations",
            "[{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}, {key: \
             node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}, {key: vm, operator: \
             Exists}]",
        ),
        (
            Asked { name: "p", ..Asked::create("pods/binding") },
            "target: {kind: Node, name: one}",
            "metadata.labels",
            "{topology.kubernetes.io/zone: z}",
        ),
    ] {
        let found = admitted(&asked, &world, object);
        let keys: Vec<&str> = path.split('.').collect();
        assert_eq!(found.at(&keys), Some(&read(expected)), "{} {path}", asked.resource);
    }
}

#[test]
fn runtime_classes() {
    let world = World::of("# RuntimeClass\nmetadata: {name: vm}\nscheduling: {nodeSelector: {vm: 'yes'}}");
    for (spec, expected) in [
        ("runtimeClassName: none", "pod rejected: RuntimeClass \"none\" not found"),
        ("overhead: {cpu: 1}", "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        (
            "runtimeClassName: vm, nodeSelector: {vm: 'no'}",
            "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no",
        ),
    ] {
        let pod = format!("metadata: {{name: p}}\nspec: {{containers: [{{name: c}}], {spec}}}");
        let refusal = Asked::create("pods").refusal(&world, &pod);
        assert_eq!(refusal, format!("pods \"p\" is forbidden: {expected}"));
    }
}

#[test]
fn growing_claims() {
    let world = World::of(
        "
# StorageClass
metadata: {name: grows}
allowVolumeExpansion: true
# StorageClass
metadata: {name: stays}
",
    );
    let claim = |class: &str, size: &str, phase: &str| {
        format!(
            "metadata: {{name: x}}\nspec: {{storageClassName: {class}, resources: {{requests: {{storage: {size}}}}}}}\nstatus: {{phase: {phase}}}"
        )
    };
    let fixed = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    for (class, size, phase, expected) in [
        ("grows", "2Gi", "Bound", ""),
        ("stays", "1Gi", "Bound", ""),
        ("stays", "2Gi", "Bound", fixed),
        ("grows", "2Gi", "Pending", "Only bound persistent volume claims can be expanded"),
    ] {
        let asked = Asked::update("persistentvolumeclaims", &claim(class, "1Gi", phase));
        let prefix = if expected.is_empty() { "" } else { "persistentvolumeclaims \"x\" is forbidden: " };
        let refusal = asked.refusal(&world, &claim(class, size, phase));
        assert_eq!(refusal, format!("{prefix}{expected}"), "{class} {size} {phase}");
    }
}

#[test]
fn signers() {
    let request = "metadata: {name: x}\nspec: {signerName: example.com/s}";
    let signed = "metadata: {name: x}\nspec: {signerName: example.com/s}\nstatus: {certificate: Zm9v}";
    let refusal = |subresource: &str, allowed: &str, new: &str| {
        let resource = format!("certificatesigningrequests.certificates.k8s.io/{subresource}");
        let asked = Asked { namespace: "", ..Asked::update(&resource, request) };
        asked.refusal(&World::of("").allowing(&[allowed]), new)
    };
    let head = "certificatesigningrequests.certificates.k8s.io \"x\" is forbidden: user not permitted to";
    assert_eq!(refusal("approval", "", request), format!("{head} approve requests with signerName \"example.com/s\""));
    assert_eq!(refusal("approval", "ann approve example.com/s", request), "");
    assert_eq!(refusal("approval", "ann approve example.com/*", request), "");
    assert_eq!(refusal("status", "", request), "");
    assert_eq!(refusal("status", "", signed), format!("{head} sign requests with signerName \"example.com/s\""));
    assert_eq!(refusal("status", "ann sign example.com/s", signed), "");
}

#[test]
fn resizing_pods() {
    let pod = |cpu: &str| {
        format!(
            "metadata: {{name: x}}\nspec: {{serviceAccountName: default, nodeName: one, containers: [{{name: c, resources: {{requests: {{cpu: {cpu}}}}}}}]}}"
        )
    };
    let refusal = |os: &str, cpu: &str| {
        let node = format!(
            "# Node\nmetadata: {{name: one, labels: {{kubernetes.io/os: {os}}}}}\nstatus: {{allocatable: {{cpu: 2}}}}"
        );
        Asked::update("pods/resize", &pod("1")).refusal(&World::of(&node), &pod(cpu))
    };
    assert_eq!(refusal("linux", "2"), "");
    assert_eq!(
        refusal("linux", "3"),
        "pods \"x\" is forbidden: node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000"
    );
    assert_eq!(
        refusal("windows", "2"),
        "pods \"x\" is forbidden: pod resize is only supported on linux nodes, node \"one\" is \"windows\""
    );
}

/// A request for `O=system:masters`, PEM in base64.
const MASTERS: &str = concat!(
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIZ01JR0hBZ0VBTUNVeEZ6QVZCZ05WQkFvTURuTjVjM1JsYlRw",
    "dFlYTjBaWEp6TVFvd0NBWURWUVFEREFGNApNRmt3RXdZSEtvWkl6ajBDQVFZSUtvWkl6ajBEQVFjRFFnQUV5bjZpUURjamRnR1hn",
    "M3lFNno1NVRnQmg5WjZDCmV2NnUySmxrcEhTTzNJNEI4QmRJNHpPVkVYUzB6SXZSNUc4cy90Z3JPdFNIUDByOTZFckViQVhVaGFB",
    "QU1Bb0cKQ0NxR1NNNDlCQU1DQTBnQU1FVUNJRy9Mdlo2MUVzUjRnRGgySzZQTzlPdjFKdzAyUkNkcnJHVFJEQmVNUCs1bQpBaUVB",
    "dUNBNlpDamRrbkV4R1dKOW9rZ2Rudm43ZGFpaGx4VWpLdXBvSWR3a2RwQT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0t",
    "LS0tCg=="
);
/// A request for `O=dev`.
const DEV: &str = concat!(
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIVU1Id0NBUUF3R2pFTU1Bb0dBMVVFQ2d3RFpHVjJNUW93Q0FZ",
    "RFZRUUREQUY0TUZrd0V3WUhLb1pJemowQwpBUVlJS29aSXpqMERBUWNEUWdBRUJ4MFUxS0svTEFUWmx6bng2WFlSOEhXeWtKZUln",
    "dVFFVnlnUVNOZmJ0a0NrCnlhQ0ErWG5TR1lxT25jZkh2UitLd09PUWhlTkFIcWRKc0VQdnRpcm13YUFBTUFvR0NDcUdTTTQ5QkFN",
    "Q0EwZ0EKTUVVQ0lRQ2RxSkVCZ0lWd3o1bDhqU1hFU0ZIWFFXVVphTFNsNnBSZmJWNkpvRzFPYXdJZ0dhTytPZHF3Wkh0aQp4UVEr",
    "dkpIZ3VjUk84TFdOWjM3cnN0OVJQcUhuR3ZZPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"
);

#[test]
fn nobody_becomes_a_master() {
    let refusal = |signer: &str, request: &str| {
        let resource = "certificatesigningrequests.certificates.k8s.io";
        let object = format!("metadata: {{name: x}}\nspec: {{signerName: {signer}, request: {request}}}");
        Asked { namespace: "", ..Asked::create(resource) }.refusal(&World::of(""), &object)
    };
    let client = "kubernetes.io/kube-apiserver-client";
    let head = "certificatesigningrequests.certificates.k8s.io \"x\" is forbidden:";
    assert_eq!(refusal(client, DEV), "");
    assert_eq!(refusal("example.com/s", MASTERS), "");
    let refused = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed";
    assert_eq!(refusal(client, MASTERS), format!("{head} {refused}"));
    assert_eq!(refusal(client, "bm9uZQ=="), format!("{head} unable to parse csr"));
}
