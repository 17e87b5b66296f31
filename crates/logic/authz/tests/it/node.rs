//! What a kubelet may read and write.

use authz::{Attributes, Decision, NodeGraph, Policy};
use codec::yaml;
use object::selector::FieldSelector;
use typed::Kind;
use typed::api::core::v1::{PersistentVolume, Pod};
use typed::api::storage::v1::VolumeAttachment;

use super::rbac::{request, user};

const POD: &str = r"
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: a}
spec:
  nodeName: one
  serviceAccountName: robot
  imagePullSecrets: [{name: pull}]
  containers:
  - name: c
    env:
    - {name: x, valueFrom: {secretKeyRef: {name: env, key: k}}}
    envFrom: [{configMapRef: {name: from}}]
  volumes:
  - {name: v, secret: {secretName: mounted}}
  - {name: w, projected: {sources: [{configMap: {name: projected}}]}}
  - {name: p, persistentVolumeClaim: {claimName: data}}
  - {name: e, ephemeral: {}}
";
const VOLUME: &str = r"
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv}
spec:
  claimRef: {namespace: a, name: data}
  csi: {driver: d, volumeHandle: h, nodeStageSecretRef: {namespace: s, name: stage}, controllerPublishSecretRef: {namespace: s, name: control}}
";
const ATTACHMENT: &str = r"
apiVersion: storage.k8s.io/v1
kind: VolumeAttachment
metadata: {name: va}
spec: {attacher: d, nodeName: one, source: {persistentVolumeName: pv}}
";

fn read<K: Kind>(text: &str) -> K {
    K::from_tree(&yaml::parse(text.as_bytes()).expect("it is YAML")).expect("it fits the kind")
}

fn graph() -> NodeGraph {
    let mut graph = NodeGraph::new();
    graph.upsert_volume(&read::<PersistentVolume>(VOLUME));
    graph.upsert_pod(&read::<Pod>(POD));
    graph.upsert_attachment(&read::<VolumeAttachment>(ATTACHMENT));
    graph
}

#[test]
fn requests() {
    let unrelated = Some("no relationship found between node 'one' and this object");
    for (asked, expected) in [
        ("get core secrets a mounted", None),
        ("watch core secrets a env", None),
        ("get core secrets a pull", None),
        ("get core secrets a other", unrelated),
        ("get core secrets s stage", None),
        ("get core secrets s control", unrelated),
        ("list core secrets a", Some("No Object name found")),
        ("list core secrets", Some("can only read namespaced object of this type")),
        ("update core secrets a mounted", Some("can only read resources of this type")),
        ("get core configmaps a from", None),
        ("get core configmaps a projected", None),
        ("get core persistentvolumeclaims a data", None),
        ("get core persistentvolumeclaims a web-e", None),
        ("patch core persistentvolumeclaims/status a data", None),
        ("get core persistentvolumes - pv", None),
        ("get core persistentvolumes - other", unrelated),
        ("list core persistentvolumes", Some("can only get individual resources of this type")),
        ("get storage.k8s.io volumeattachments - va", None),
        ("create core serviceaccounts/token a robot", None),
        ("create core serviceaccounts/token a other", unrelated),
        ("create core serviceaccounts a robot", Some("can only create token subresource of serviceaccount")),
        ("get core pods a web", None),
        ("list core pods", Some("can only list/watch pods with spec.nodeName field selector")),
        ("create core pods/eviction a web", None),
        ("get core nodes - one", None),
        ("get core nodes - two", Some("node 'one' cannot read 'two', only its own Node object")),
        ("list core nodes", Some("node 'one' cannot read all nodes, only its own Node object")),
        ("delete core nodes - one", Some("")),
        ("update coordination.k8s.io leases kube-node-lease one", None),
        (
            "update coordination.k8s.io leases kube-node-lease two",
            Some("can only access node lease with the same name as the requesting node"),
        ),
        (
            "get coordination.k8s.io leases a one",
            Some(r#"can only access leases in the "kube-node-lease" system namespace"#),
        ),
        ("create storage.k8s.io csinodes", None),
        ("create certificates.k8s.io certificatesigningrequests", None),
        ("list core services", None),
        ("create core services a", Some("")),
    ] {
        let expected = expected.map_or(Decision::Allow(String::new()), |text| Decision::NoOpinion(text.to_owned()));
        let decision = graph().decide(&user("system:node:one", &["system:nodes"]), &request(asked));
        assert_eq!(decision, expected, "{asked}");
    }
}

#[test]
fn own_pods_by_selector() {
    let fields = FieldSelector::parse("spec.nodeName=one").expect("it is a selector");
    let asked = Attributes { fields: Some(&fields), ..request("watch core pods") };
    assert!(graph().decide(&user("system:node:one", &["system:nodes"]), &asked).is_allowed());
    assert!(!graph().decide(&user("system:node:two", &["system:nodes"]), &asked).is_allowed());
}

#[test]
fn ties_end_with_their_pod() {
    let mut graph = graph();
    let node = user("system:node:one", &["system:nodes"]);
    let (secret, staged) = (request("get core secrets a mounted"), request("get core secrets s stage"));
    let mut second = read::<Pod>(POD);
    second.meta_mut().name = Some("web2".to_owned());
    graph.upsert_pod(&second);
    graph.remove_pod("a", "web");
    assert!(graph.decide(&node, &secret).is_allowed(), "the second pod still needs it");
    graph.remove_pod("a", "web2");
    assert!(!graph.decide(&node, &secret).is_allowed());
    assert!(!graph.decide(&node, &staged).is_allowed(), "nobody mounts the volume any more");
}

#[test]
fn mirror_pods_tie_nothing() {
    let mut graph = NodeGraph::new();
    let mut mirror = read::<Pod>(POD);
    mirror
        .meta_mut()
        .annotations
        .get_or_insert_default()
        .insert("kubernetes.io/config.mirror".to_owned(), String::new());
    graph.upsert_pod(&mirror);
    let node = user("system:node:one", &["system:nodes"]);
    assert!(!graph.decide(&node, &request("get core secrets a mounted")).is_allowed());
    assert!(graph.decide(&node, &request("get core pods a web")).is_allowed());
}

#[test]
fn strangers_are_left_to_others() {
    let policy = Policy::new();
    let asked = request("get core secrets a mounted");
    for (name, groups, expected) in [
        ("ann", vec![], Decision::NoOpinion(String::new())),
        ("system:node:one", vec![], Decision::NoOpinion(String::new())),
        (
            "system:node:",
            vec!["system:nodes"],
            Decision::NoOpinion(r#"unknown node for user "system:node:""#.to_owned()),
        ),
        ("root", vec!["system:masters"], Decision::Allow(String::new())),
    ] {
        assert_eq!(authz::decide(&policy, &graph(), &user(name, &groups), &asked), expected, "{name} {groups:?}");
    }
}
