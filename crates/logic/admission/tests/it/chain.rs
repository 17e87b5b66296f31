//! The order of the plugins, and the first one.

use admission::PLUGINS;
use kind::Operation;

use super::world::{Asked, World};

#[test]
fn order_of_the_plugins() {
    let names: Vec<&str> = PLUGINS.iter().map(|plugin| plugin.name).collect();
    let expected = [
        "NamespaceLifecycle",
        "LimitRanger",
        "ServiceAccount",
        "NodeRestriction",
        "TaintNodesByCondition",
        "PodSecurity",
        "Priority",
        "DefaultTolerationSeconds",
        "DefaultStorageClass",
        "StorageObjectInUseProtection",
        "PersistentVolumeClaimResize",
        "RuntimeClass",
        "CertificateApproval",
        "CertificateSigning",
        "ClusterTrustBundleAttest",
        "CertificateSubjectRestriction",
        "DefaultIngressClass",
        "PodTopologyLabels",
        "NodeDeclaredFeatureValidator",
        "PodResizeValidator",
        "ResourceQuota",
    ];
    assert_eq!(names, expected);
}

#[test]
fn namespaces_begin_and_end() {
    let world = World::of("# Namespace\nmetadata: {name: going}\nstatus: {phase: Terminating}");
    let create = |namespace| Asked { namespace, ..Asked::create("configmaps") };
    let object = "metadata: {name: c}";
    assert_eq!(create("a").refusal(&world, object), "");
    assert_eq!(create("gone").refusal(&world, object), "namespaces \"gone\" not found");
    let refusal = create("going").admit(&world, object).expect_err("the namespace ends");
    assert_eq!(
        refusal.to_string(),
        "configmaps \"c\" is forbidden: unable to create new content in namespace going because it is being terminated"
    );
    let status = refusal.status();
    let cause = &status.list_at(&["details", "causes"])[0];
    assert_eq!(cause.str_at(&["reason"]), Some("NamespaceTerminating"));
    assert_eq!(cause.str_at(&["message"]), Some("namespace going is being terminated"));
    assert_eq!(refusal.code(), 403);
    let update = Asked { namespace: "going", ..Asked::update("configmaps", object) };
    assert_eq!(update.refusal(&world, object), "");
}

#[test]
fn some_namespaces_never_end() {
    let delete = |name| {
        let asked = Asked { operation: Operation::Delete, name, namespace: name, ..Asked::create("namespaces") };
        asked.judge(&World::of("")).err().map(|refusal| refusal.to_string())
    };
    for name in ["default", "kube-system", "kube-public"] {
        let expected = format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
        assert_eq!(delete(name), Some(expected));
    }
    assert_eq!(delete("kube-node-lease"), None);
}
