//! NodeRestriction.

use super::world::{Asked, World};
use kind::Operation;

const WORLD: &str = "
# Node
metadata: {name: one, uid: u1}
# Pod
metadata: {name: here, namespace: a, uid: p1}
spec:
  nodeName: one
  volumes:
  - {name: t, projected: {sources: [{serviceAccountToken: {path: token}}, {serviceAccountToken: {path: v, audience: vault}}]}}
  - {name: i, csi: {driver: inline}}
  - {name: c, persistentVolumeClaim: {claimName: data}}
# CsiDriver
metadata: {name: inline}
spec: {tokenRequests: [{audience: inner}]}
# CsiDriver
metadata: {name: disk}
spec: {tokenRequests: [{audience: plate}]}
# PersistentVolumeClaim
metadata: {name: data, namespace: a}
spec: {volumeName: pv}
# PersistentVolume
metadata: {name: pv}
spec: {csi: {driver: disk}}
# Pod
metadata: {name: there, namespace: a, uid: p2}
spec: {nodeName: two}
# Namespace
metadata: {name: kube-node-lease}
";
const OWNER: &str = "ownerReferences: [{apiVersion: v1, kind: Node, name: one, uid: u1, controller: true}]";

#[test]
fn mirror_pods() {
    let mirror = "annotations: {kubernetes.io/config.mirror: x}";
    for (metadata, spec, expected) in [
        (format!("{mirror}, {OWNER}"), "nodeName: one", ""),
        (
            OWNER.to_owned(),
            "nodeName: one",
            "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"one\" can only create mirror pods",
        ),
        (
            format!("{mirror}, {OWNER}"),
            "nodeName: two",
            "node \"one\" can only create pods with spec.nodeName set to itself",
        ),
        (mirror.to_owned(), "nodeName: one", "node \"one\" can only create pods with an owner reference set to itself"),
        (
            format!("{mirror}, {}", OWNER.replace("u1", "u2")),
            "nodeName: one",
            "node one UID mismatch: expected u2 got u1",
        ),
        (
            format!("{mirror}, {OWNER}"),
            "nodeName: one, volumes: [{name: v, configMap: {name: c}}]",
            "node \"one\" can not create pods that reference configmaps",
        ),
        (
            format!("{mirror}, {OWNER}"),
            "nodeName: one, volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]",
            "node \"one\" can not create pods that reference persistentvolumeclaims",
        ),
    ] {
        let pod = format!("metadata: {{name: m, {metadata}}}\nspec: {{containers: [{{name: c}}], {spec}}}");
        let prefix = if expected.is_empty() { "" } else { "pods \"m\" is forbidden: " };
        let refusal = Asked::create("pods").by_node("one").refusal(&World::of(WORLD), &pod);
        assert_eq!(refusal, format!("{prefix}{expected}"), "{metadata} {spec}");
    }
}

#[test]
fn nodes() {
    let create = |name: &'static str, labels: &str| {
        let asked = Asked { namespace: "", name, ..Asked::create("nodes") }.by_node("one");
        asked.refusal(&World::of(WORLD), &format!("metadata: {{name: {name}, labels: {{{labels}}}}}"))
    };
    assert_eq!(create("one", "kubernetes.io/os: linux, example.com/x: y, x.kubelet.kubernetes.io/z: w"), "");
    assert_eq!(create("two", ""), "nodes \"two\" is forbidden: node \"one\" is not allowed to modify node \"two\"");
    assert_eq!(
        create("one", "node-restriction.kubernetes.io/a: b, foo.k8s.io/c: d"),
        "nodes \"one\" is forbidden: node \"one\" is not allowed to set the following labels: foo.k8s.io/c, \
         node-restriction.kubernetes.io/a"
    );
    let update = |new: &str| {
        let old = "metadata: {name: one}\nspec: {taints: [{key: k, effect: NoSchedule}]}";
        let asked = Asked { namespace: "", name: "one", ..Asked::update("nodes", old) }.by_node("one");
        asked.refusal(&World::of(WORLD), new)
    };
    assert_eq!(
        update("metadata: {name: one}\nspec: {}"),
        "nodes \"one\" is forbidden: node \"one\" is not allowed to modify taints"
    );
    assert_eq!(
        update("metadata: {name: one, labels: {kubernetes.io/x: y}}\nspec: {taints: [{key: k, effect: NoSchedule}]}"),
        "nodes \"one\" is forbidden: is not allowed to modify labels: kubernetes.io/x"
    );
}

#[test]
fn own_things_only() {
    let delete = |name| {
        let asked = Asked { operation: Operation::Delete, name, ..Asked::create("pods") }.by_node("one");
        asked.judge(&World::of(WORLD)).err().map(|refusal| refusal.to_string()).unwrap_or_default()
    };
    assert_eq!(delete("here"), "");
    assert_eq!(
        delete("there"),
        "pods \"there\" is forbidden: node \"one\" can only delete pods with spec.nodeName set to itself"
    );
    let lease = |name: &str| {
        let asked =
            Asked { namespace: "kube-node-lease", ..Asked::create("leases.coordination.k8s.io") }.by_node("one");
        asked.refusal(&World::of(WORLD), &format!("metadata: {{name: {name}}}"))
    };
    assert_eq!(lease("one"), "");
    assert_eq!(
        lease("two"),
        "leases.coordination.k8s.io \"two\" is forbidden: can only access node lease with the same name as the requesting node"
    );
    let token = |reference: &str| {
        let asked = Asked { name: "default", ..Asked::create("serviceaccounts/token") }.by_node("one");
        asked.refusal(&World::of(WORLD), &format!("spec: {{{reference}}}"))
    };
    assert_eq!(token("boundObjectRef: {apiVersion: v1, kind: Pod, name: here, uid: p1}"), "");
    assert_eq!(token(""), "serviceaccounts \"default\" is forbidden: node requested token not bound to a pod");
    assert_eq!(
        token("boundObjectRef: {apiVersion: v1, kind: Pod, name: there, uid: p2}"),
        "serviceaccounts \"default\" is forbidden: node requested token bound to a pod scheduled on a different node"
    );
}

#[test]
fn audiences() {
    let token = |audiences: &str, allowed: &str| {
        let asked = Asked { name: "default", ..Asked::create("serviceaccounts/token") }.by_node("one");
        let request = format!(
            "spec: {{audiences: [{audiences}], boundObjectRef: {{apiVersion: v1, kind: Pod, name: here, uid: p1}}}}"
        );
        asked.refusal(&World::of(WORLD).allowing(&[allowed]), &request)
    };
    for audience in ["", "vault", "inner", "plate"] {
        assert_eq!(token(audience, ""), "", "{audience}");
    }
    assert_eq!(
        token("other", ""),
        "serviceaccounts \"default\" is forbidden: audience \"other\" not found in pod spec volume, system:node:one is not \
         authorized to request tokens for this audience"
    );
    assert_eq!(token("other", "system:node:one request-serviceaccounts-token-audience default"), "");
    assert_eq!(
        token("vault, inner", ""),
        "serviceaccounts \"default\" is forbidden: node may only request 0 or 1 audiences"
    );
}
