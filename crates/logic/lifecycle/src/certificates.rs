//! Certificate signing requests: which are approved by themselves, which signer may sign what, which are too old to keep.
//!
//! The request itself (PKCS#10) is read by the driver, which hands in its [`Facts`]; keys and signatures never come here.
//! Rules: `kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use plan::{Action, Key, Kind, Part, Plan, View, meta};
use typed::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};

/// What stands in a certificate request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Common name of the subject.
    pub common_name: String,
    /// Organizations of the subject.
    pub organizations: Vec<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// IP addresses, as text.
    pub ip_addresses: Vec<String>,
    /// E-mail addresses and URIs.
    pub other_names: Vec<String>,
}

/// The signers of kube-controller-manager.
pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// Client certificates of kubelets.
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Serving certificates of kubelets.
pub const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";
/// Certificates for anything, trusted by nobody in particular.
pub const LEGACY: &str = "kubernetes.io/legacy-unknown";

const CLIENT_USAGES: [&[&str]; 2] =
    [&["client auth", "digital signature", "key encipherment"], &["client auth", "digital signature"]];
const SERVING_USAGES: [&[&str]; 2] =
    [&["digital signature", "key encipherment", "server auth"], &["digital signature", "server auth"]];

/// Subresources of `certificatesigningrequests.certificates.k8s.io` that a requester must be allowed to `create` to be approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// `selfnodeclient`: a node renews its own certificate.
    SelfNodeClient,
    /// `nodeclient`: anybody with this right obtains a node's first certificate.
    NodeClient,
}

impl Permission {
    /// The subresource.
    #[must_use]
    pub fn subresource(self) -> &'static str {
        match self {
            Self::SelfNodeClient => "selfnodeclient",
            Self::NodeClient => "nodeclient",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::SelfNodeClient => "Auto approving self kubelet client certificate after SubjectAccessReview.",
            Self::NodeClient => "Auto approving kubelet client certificate after SubjectAccessReview.",
        }
    }
}

fn condition<'a>(request: &'a CertificateSigningRequest, kind: &str) -> Option<&'a CertificateSigningRequestCondition> {
    request.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn is_issued(request: &CertificateSigningRequest) -> bool {
    request
        .status
        .as_ref()
        .and_then(|status| status.certificate.as_ref())
        .is_some_and(|certificate| !certificate.0.is_empty())
}

fn has_usages(request: &CertificateSigningRequest, allowed: &[&[&str]]) -> bool {
    let mut usages: Vec<&str> = request.spec.usages.iter().flatten().map(String::as_str).collect();
    usages.sort_unstable();
    usages.dedup();
    allowed.contains(&usages.as_slice())
}

/// Whether the facts are those of a kubelet's client certificate.
fn is_kubelet_client(request: &CertificateSigningRequest, facts: &Facts) -> bool {
    let names = [&facts.dns_names, &facts.ip_addresses, &facts.other_names];
    facts.organizations == ["system:nodes"]
        && facts.common_name.starts_with("system:node:")
        && names.iter().all(|names| names.is_empty())
        && has_usages(request, &CLIENT_USAGES)
}

fn is_kubelet_serving(request: &CertificateSigningRequest, facts: &Facts) -> bool {
    facts.organizations == ["system:nodes"]
        && facts.common_name.starts_with("system:node:")
        && !(facts.dns_names.is_empty() && facts.ip_addresses.is_empty())
        && facts.other_names.is_empty()
        && request.spec.username.as_deref() == Some(facts.common_name.as_str())
        && has_usages(request, &SERVING_USAGES)
}

/// The permissions of which one must be held for automatic approval, the first one tried first.
#[must_use]
pub fn approvals(request: &CertificateSigningRequest, facts: &Facts) -> Vec<Permission> {
    if request.spec.signer_name != KUBELET_CLIENT || !is_kubelet_client(request, facts) {
        return Vec::new();
    }
    let own = request.spec.username.as_deref() == Some(facts.common_name.as_str());
    if own { vec![Permission::SelfNodeClient, Permission::NodeClient] } else { vec![Permission::NodeClient] }
}

/// Approves a request whose requester holds one of the permissions (answered by a SubjectAccessReview).
#[must_use]
pub fn plan_approval(
    key: &Key,
    requests: &dyn View<CertificateSigningRequest>,
    facts: &Facts,
    holds: &dyn Fn(Permission) -> bool,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let Some(request) = requests.get("", &key.name) else { return plan };
    let decided = condition(&request, "Approved").or_else(|| condition(&request, "Denied")).is_some();
    if decided || is_issued(&request) {
        return plan;
    }
    let Some(permission) = approvals(&request, facts).into_iter().find(|permission| holds(*permission)) else {
        return plan;
    };
    let mut approved = request.as_ref().clone();
    approved.status.get_or_insert_default().conditions.get_or_insert_default().push(
        CertificateSigningRequestCondition {
            type_: "Approved".to_owned(),
            status: "True".to_owned(),
            reason: Some("AutoApproved".to_owned()),
            message: Some(permission.words().to_owned()),
            last_update_time: Some(meta::time(now)),
            last_transition_time: Some(meta::time(now)),
        },
    );
    plan.then_do(Action::Update { object: Arc::new(approved).erase(), part: Part::Approval });
    plan
}

/// What a signer does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// Nothing: not ours, not approved, or done.
    Leave,
    /// Issue a certificate for the facts and usages of the request.
    Sign,
    /// Say that it cannot be signed.
    Fail(String),
}

/// Whether an approved request may be signed.
#[must_use]
pub fn signing(request: &CertificateSigningRequest, facts: &Facts) -> Signing {
    let approved = condition(request, "Approved").is_some() && condition(request, "Denied").is_none();
    if !approved || condition(request, "Failed").is_some() || is_issued(request) {
        return Signing::Leave;
    }
    let usages = || request.spec.usages.iter().flatten().map(String::as_str);
    let problem = match request.spec.signer_name.as_str() {
        LEGACY => None,
        CLIENT => {
            let client = usages().any(|usage| usage == "client auth");
            let known = usages().all(|usage| ["client auth", "digital signature", "key encipherment"].contains(&usage));
            (!(client && known)).then_some("invalid usage for client certificate")
        }
        KUBELET_CLIENT => (!is_kubelet_client(request, facts)).then_some("not a kubelet client certificate request"),
        KUBELET_SERVING => (!is_kubelet_serving(request, facts)).then_some("not a kubelet serving certificate request"),
        _ => return Signing::Leave,
    };
    problem.map_or(Signing::Sign, |problem| {
        Signing::Fail(format!("PEM block did not match the signer's rules: {problem}"))
    })
}

/// The seconds for which a certificate is valid: what was asked for, between ten minutes and the signer's maximum.
#[must_use]
pub fn validity_seconds(request: &CertificateSigningRequest, signer_seconds_max: i64) -> i64 {
    let wish = request.spec.expiration_seconds.map(i64::from).filter(|seconds| *seconds < signer_seconds_max);
    wish.map_or(signer_seconds_max, |seconds| seconds.max(600))
}

/// Writes that a request cannot be signed.
#[must_use]
pub fn plan_failure(request: &CertificateSigningRequest, words: &str, now: Timestamp) -> Plan {
    let mut failed = request.clone();
    failed.status.get_or_insert_default().conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
        type_: "Failed".to_owned(),
        status: "True".to_owned(),
        reason: Some("SignerValidationFailure".to_owned()),
        message: Some(words.to_owned()),
        last_update_time: Some(meta::time(now)),
        last_transition_time: Some(meta::time(now)),
    });
    let mut plan = Plan::default();
    plan.then_do(Action::update_status(failed));
    plan
}

const HOUR_SECONDS: i64 = 3600;

/// Deletes a request that nobody needs any more: issued, denied or failed for an hour, pending for a day, approved but not
/// issued for an hour, or with an expired certificate.
#[must_use]
pub fn plan_cleanup(
    key: &Key,
    requests: &dyn View<CertificateSigningRequest>,
    certificate_ends: Option<Timestamp>,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let Some(request) = requests.get("", &key.name).filter(|request| !meta::is_deleting(&request.metadata)) else {
        return plan;
    };
    let since = |kind: &str| {
        condition(&request, kind).map(|c| c.last_update_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0))
    };
    let decided = ["Approved", "Denied", "Failed"].into_iter().filter_map(since).min();
    let (from, seconds) = match decided {
        Some(at) => (at, HOUR_SECONDS),
        None => (meta::created(&request.metadata), 24 * HOUR_SECONDS),
    };
    let limit = from.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(from);
    let limit = certificate_ends.filter(|_| is_issued(&request)).map_or(limit, |ends| limit.min(ends));
    if limit > now {
        plan.look_again_at(limit);
    } else {
        plan.then_do(Action::delete(request.as_ref()));
    }
    plan
}

#[cfg(test)]
mod tests;
