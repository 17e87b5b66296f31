//! Certificate signing requests: approved by right, signed by the cluster's authority, cleaned away.

use std::sync::Arc;

use client::{Client, Error};
use informer::Informers;
use jiff::{SignedDuration, Timestamp};
use lifecycle::certificates::{self, Facts, Permission, Signing};
use object::Value;
use pki::{Authority, Certificate, Usage, csr};
use plan::{Action, Plan};
use typed::ByteString;
use typed::Kind as _;
use typed::api::authorization::v1::SubjectAccessReview;
use typed::api::certificates::v1::CertificateSigningRequest;

use crate::controller::Controller;

/// What stands in a request; none if it is no request.
fn facts(request: &CertificateSigningRequest) -> Option<(csr::Request, Facts)> {
    let parsed = csr::Request::from_pem(&request.spec.request.0).ok()?;
    let names = &parsed.names;
    let facts = Facts {
        common_name: parsed.subject.common_name.clone(),
        organizations: parsed.subject.organizations.clone(),
        dns_names: names.dns.clone(),
        ip_addresses: names.ips.iter().map(ToString::to_string).collect(),
        other_names: names.emails.iter().chain(&names.uris).cloned().collect(),
    };
    Some((parsed, facts))
}

pub(super) fn approval(informers: &Informers) -> Controller {
    let requests = informers.of::<CertificateSigningRequest>();
    let own = requests.clone();
    Controller::asking("certificatesigningrequest-approving-controller", move |key, moment| {
        let requests = requests.clone();
        async move {
            let request = requests.get("", &key.name);
            let Some((request, (_, facts))) = request.and_then(|one| facts(&one).map(|facts| (one, facts))) else {
                return Ok(Plan::nothing());
            };
            let mut held = Vec::new();
            for permission in certificates::approvals(&request, &facts) {
                if is_allowed(&moment.client, &request, permission).await? {
                    held.push(permission);
                }
            }
            let holds = |permission| held.contains(&permission);
            Ok(certificates::plan_approval(&key, &*requests, &facts, &holds, moment.now))
        }
    })
    .on_own(&own)
}

/// Asks whether the requester may.
async fn is_allowed(
    client: &Client,
    request: &CertificateSigningRequest,
    permission: Permission,
) -> Result<bool, Error> {
    let mut review = Value::from_pairs([("apiVersion", "authorization.k8s.io/v1"), ("kind", "SubjectAccessReview")]);
    review.set(&["metadata"], Value::map());
    review.set(&["spec", "user"], request.spec.username.as_deref().unwrap_or_default());
    review.set(&["spec", "uid"], request.spec.uid.as_deref().unwrap_or_default());
    let groups: Vec<&str> = request.spec.groups.iter().flatten().map(String::as_str).collect();
    review.set(&["spec", "groups"], groups);
    for (key, values) in request.spec.extra.iter().flatten() {
        review.set(&["spec", "extra", key], values.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for (field, value) in [
        ("group", "certificates.k8s.io"),
        ("resource", "certificatesigningrequests"),
        ("verb", "create"),
        ("subresource", permission.subresource()),
        ("version", "*"),
    ] {
        review.set(&["spec", "resourceAttributes", field], value);
    }
    let answer = client.create_tree(SubjectAccessReview::resource(), "", &review).await?;
    Ok(answer.at(&["status", "allowed"]).and_then(Value::as_bool).unwrap_or(false))
}

pub(super) fn signing(informers: &Informers, authority: Arc<Authority>, validity: SignedDuration) -> Controller {
    let requests = informers.of::<CertificateSigningRequest>();
    let own = requests.clone();
    Controller::new("certificatesigningrequest-signing-controller", move |key, moment| {
        let request = requests.get("", &key.name);
        let Some(request) = request else { return Plan::nothing() };
        let Some((parsed, facts)) = facts(&request) else { return Plan::nothing() };
        match certificates::signing(&request, &facts) {
            Signing::Leave => Plan::nothing(),
            Signing::Fail(words) => certificates::plan_failure(&request, &words, moment.now),
            Signing::Sign => sign(&request, &parsed, &authority, validity, moment.now),
        }
    })
    .workers(5)
    .on_own(&own)
}

fn sign(
    request: &CertificateSigningRequest,
    parsed: &csr::Request,
    authority: &Authority,
    validity: SignedDuration,
    now: Timestamp,
) -> Plan {
    let wanted: Vec<&str> = request.spec.usages.iter().flatten().map(String::as_str).collect();
    let extended = [("client auth", Usage::Client), ("server auth", Usage::Server)];
    let policy = csr::Policy {
        usages: extended.into_iter().filter(|(word, _)| wanted.contains(word)).map(|(_, usage)| usage).collect(),
        key_encipherment: wanted.contains(&"key encipherment"),
        validity: SignedDuration::from_secs(certificates::validity_seconds(request, validity.as_secs())),
    };
    match parsed.sign(authority, &policy, now) {
        Ok(certificate) => {
            let mut issued = request.clone();
            let bytes = ByteString(certificate.to_pem().into_bytes());
            issued.status.get_or_insert_default().certificate = Some(bytes);
            let mut plan = Plan::default();
            plan.then_do(Action::update_status(issued));
            plan
        }
        Err(error) => certificates::plan_failure(request, &error.to_string(), now),
    }
}

pub(super) fn cleanup(informers: &Informers) -> Controller {
    let requests = informers.of::<CertificateSigningRequest>();
    let own = requests.clone();
    Controller::new("certificatesigningrequest-cleaner-controller", move |key, moment| {
        let issued = requests.get("", &key.name).and_then(|request| request.status.clone()?.certificate);
        let chain = issued.and_then(|bytes| Certificate::all_from_pem(&bytes.0).ok()).unwrap_or_default();
        let ends = chain.first().map(|certificate| certificate.not_after);
        certificates::plan_cleanup(key, &*requests, ends, moment.now)
    })
    .on_own(&own)
}
