//! Certificate requests.

use plan::Key;
use rehearsal::{Playhouse, at, script};
use typed::api::certificates::v1::CertificateSigningRequest;

use super::{
    Facts, KUBELET_CLIENT, KUBELET_SERVING, Permission, Signing, approvals, plan_approval, plan_cleanup, signing,
    validity_seconds,
};

fn request(signer: &str, user: &str, usages: &str, approved: bool) -> Playhouse {
    let conditions =
        if approved { "{type: Approved, status: 'True', lastUpdateTime: '2026-01-01T00:00:00Z'}" } else { "" };
    Playhouse::read(
        at(0),
        &format!(
            "{{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {{name: c}}, spec: {{signerName: {signer}, username: '{user}', request: '', expirationSeconds: 700, usages: [{usages}]}}, status: {{conditions: [{conditions}]}}}}"
        ),
    )
}

fn kubelet() -> Facts {
    Facts { common_name: "system:node:n1".into(), organizations: vec!["system:nodes".into()], ..Facts::default() }
}

const CLIENT: &str = "digital signature, client auth";
const SERVER: &str = "digital signature, key encipherment, server auth";

#[test]
fn kubelets_are_approved_if_they_may() {
    for (user, usages, facts, expected) in [
        ("system:node:n1", CLIENT, kubelet(), &[Permission::SelfNodeClient, Permission::NodeClient][..]),
        ("system:bootstrap:abc", CLIENT, kubelet(), &[Permission::NodeClient]),
        ("system:bootstrap:abc", SERVER, kubelet(), &[]),
        ("system:bootstrap:abc", CLIENT, Facts { dns_names: vec!["n1".into()], ..kubelet() }, &[]),
        ("system:bootstrap:abc", CLIENT, Facts { organizations: vec!["system:masters".into()], ..kubelet() }, &[]),
    ] {
        let house = request(KUBELET_CLIENT, user, usages, false);
        let found = approvals(&house.expect::<CertificateSigningRequest>("", "c"), &facts);
        assert_eq!(found, expected, "{user} {usages} {facts:?}");
    }
    let mut house = request(KUBELET_CLIENT, "system:bootstrap:abc", CLIENT, false);
    let key = Key::cluster("c");
    assert!(plan_approval(&key, &house, &kubelet(), &|_| false, at(1)).is_idle());
    let plan = plan_approval(&key, &house, &kubelet(), &|_| true, at(1));
    assert_eq!(script(&plan), "update CertificateSigningRequest c (Approval)");
    house.play(&plan);
    assert!(plan_approval(&key, &house, &kubelet(), &|_| true, at(1)).is_idle());
}

#[test]
fn signers_sign_only_what_they_are_for() {
    let judge = |signer: &str, usages: &str, approved: bool, facts: &Facts| {
        let house = request(signer, "system:node:n1", usages, approved);
        signing(&house.expect::<CertificateSigningRequest>("", "c"), facts)
    };
    let serving = Facts { ip_addresses: vec!["10.0.0.1".into()], ..kubelet() };
    assert_eq!(judge(KUBELET_CLIENT, CLIENT, true, &kubelet()), Signing::Sign);
    assert_eq!(judge(KUBELET_CLIENT, CLIENT, false, &kubelet()), Signing::Leave);
    assert_eq!(judge(KUBELET_SERVING, SERVER, true, &serving), Signing::Sign);
    assert!(matches!(judge(KUBELET_SERVING, SERVER, true, &kubelet()), Signing::Fail(_)));
    assert_eq!(judge("example.com/other", CLIENT, true, &kubelet()), Signing::Leave);
    let house = request(KUBELET_CLIENT, "u", CLIENT, true);
    assert_eq!(validity_seconds(&house.expect::<CertificateSigningRequest>("", "c"), 86_400), 700);
}

#[test]
fn old_requests_are_cleared_away() {
    let house = request(KUBELET_CLIENT, "u", CLIENT, true);
    assert_eq!(
        script(&plan_cleanup(&Key::cluster("c"), &house, None, "2026-01-01T02:00:00Z".parse().unwrap())),
        "delete CertificateSigningRequest c"
    );
    let pending = request(KUBELET_CLIENT, "u", CLIENT, false);
    assert_eq!(plan_cleanup(&Key::cluster("c"), &pending, None, at(10)).requeue_at, Some(at(86_400)));
}
