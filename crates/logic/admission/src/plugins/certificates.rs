//! CertificateApproval, CertificateSigning, CertificateSubjectRestriction and ClusterTrustBundleAttest: who may act for a
//! signer, and what nobody is given.

use authz::Attributes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kind::{Refusal, User};
use object::Value;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::request::{Facts, Notes, Request};
use crate::tree;

const GROUP: &str = "certificates.k8s.io";
const CLIENT: &str = "kubernetes.io/kube-apiserver-client";

/// Whether the user may do `verb` for the signer, by its name or for all of its domain.
fn may(request: &Request<'_>, facts: &dyn Facts, verb: &str, signer: &str) -> bool {
    let asked = |name: &str| {
        facts.allows(
            request.user,
            &Attributes { verb, group: GROUP, version: "*", resource: "signers", name, ..Attributes::default() },
        )
    };
    let domain = signer.split('/').next().unwrap_or_default();
    asked(signer) || asked(&format!("{domain}/*"))
}

fn is_request(request: &Request<'_>, subresource: &str) -> bool {
    request.is(GROUP, "certificatesigningrequests") && request.subresource == subresource
}

pub(super) fn approval(
    request: &Request<'_>,
    facts: &dyn Facts,
    object: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if !is_request(request, "approval") {
        return Ok(());
    }
    let signer = tree::text(object, &["spec", "signerName"]);
    if may(request, facts, "approve", signer) {
        return Ok(());
    }
    Err(request.forbidden(Some(object), format!("user not permitted to approve requests with signerName {signer:?}")))
}

pub(super) fn signing(
    request: &Request<'_>,
    facts: &dyn Facts,
    object: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let Some(old) = request.old.filter(|_| is_request(request, "status")) else { return Ok(()) };
    let unchanged = ["certificate", "conditions"].into_iter().all(|field| {
        let at = |object: &Value| object.at(&["status", field]).cloned().filter(|found| !found.is_null());
        at(old) == at(object)
    });
    let signer = tree::text(old, &["spec", "signerName"]);
    if unchanged || may(request, facts, "sign", signer) {
        return Ok(());
    }
    Err(request.forbidden(Some(object), format!("user not permitted to sign requests with signerName {signer:?}")))
}

pub(super) fn attest(
    request: &Request<'_>,
    facts: &dyn Facts,
    bundle: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let signer = tree::text(bundle, &["spec", "signerName"]);
    if !request.is(GROUP, "clustertrustbundles") || signer.is_empty() || may(request, facts, "attest", signer) {
        return Ok(());
    }
    Err(request.forbidden(Some(bundle), format!("user not permitted to attest for signerName {signer:?}")))
}

pub(super) fn subject(
    request: &Request<'_>,
    _facts: &dyn Facts,
    object: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if !is_request(request, "") || tree::text(object, &["spec", "signerName"]) != CLIENT {
        return Ok(());
    }
    let organizations = organizations(tree::text(object, &["spec", "request"]))
        .ok_or_else(|| request.forbidden(Some(object), "unable to parse csr"))?;
    if organizations.iter().any(|group| group == User::MASTERS) {
        let text = format!("use of {CLIENT} signer with {} group is not allowed", User::MASTERS);
        return Err(request.forbidden(Some(object), text));
    }
    Ok(())
}

/// The organizations in the subject of a request, PEM in base64; `None` when it is no request.
fn organizations(encoded: &str) -> Option<Vec<String>> {
    let text = STANDARD.decode(encoded).ok()?;
    let block = pem::parse(text).ok().filter(|block| block.tag() == "CERTIFICATE REQUEST")?;
    let (_, parsed) = X509CertificationRequest::from_der(block.contents()).ok()?;
    let names = parsed.certification_request_info.subject.iter_organization();
    // What is no text is no group either.
    Some(names.filter_map(|name| name.as_str().ok()).map(str::to_owned).collect())
}
