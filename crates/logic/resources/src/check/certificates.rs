//! CertificateSigningRequests.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kind::{Context, Problem};
use object::{Value, names};

use super::over;
use super::spot::{Problems, Spot};

/// Shortest validity that may be asked for, in seconds.
const EXPIRATION_SECONDS_MIN: i64 = 600;
const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// What is wrong with a new request.
pub(crate) fn create(_context: &Context<'_>, request: &Value) -> Vec<Problem> {
    over(request, |request, out| {
        let spec = request.at("spec");
        let bytes = STANDARD.decode(spec.at("request").text()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        if !text.contains("-----BEGIN CERTIFICATE REQUEST-----")
            && !text.contains("-----BEGIN NEW CERTIFICATE REQUEST-----")
        {
            let detail = "PEM block type must be CERTIFICATE REQUEST";
            out.push(Problem::invalid(spec.path.field("request"), spec.at("request").shown(), detail));
        }
        let usages = spec.at("usages");
        if usages.is_empty() {
            usages.required(out, "");
        }
        let mut seen = BTreeSet::new();
        for usage in usages.items() {
            usage.option(out, &USAGES);
            if !seen.insert(usage.text()) {
                usage.duplicate(out);
            }
        }
        signer(&spec.at("signerName"), out);
        let seconds = spec.at("expirationSeconds");
        if seconds.int().is_some_and(|seconds| seconds < EXPIRATION_SECONDS_MIN) {
            seconds.invalid(out, "may not specify a duration less than 600 seconds (10 minutes)");
        }
        conditions(request, out);
    })
}

fn signer(name: &Spot<'_>, out: &mut Problems) {
    if name.is_empty() {
        name.required(out, "");
        return;
    }
    let Some((domain, path)) = name.text().split_once('/') else {
        name.invalid(out, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
        return;
    };
    if !domain.contains('.') {
        name.invalid(out, "should be a domain with at least two segments separated by dots");
    }
    name.complain(out, names::dns_subdomain(domain));
    if path.is_empty() {
        name.invalid(out, "must be a fully qualified domain and path of the form 'example.com/signer-name'");
    }
}

fn conditions(request: &Spot<'_>, out: &mut Problems) {
    let list = request.at("status.conditions");
    let kinds: BTreeSet<&str> = list.items().map(|condition| condition.at("type").text()).collect();
    for condition in list.items() {
        condition.at("type").need(out);
        match condition.at("type").text() {
            "Approved" | "Denied" | "Failed" => condition.at("status").choice(out, &["True"]),
            _ => condition.at("status").choice(out, &["False", "True", "Unknown"]),
        }
    }
    if kinds.contains("Approved") && kinds.contains("Denied") {
        list.invalid(out, "Approved and Denied conditions are mutually exclusive");
    }
}

/// What is wrong with a changed request: what was decided stays decided, what was issued stays issued.
pub(crate) fn update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    over(new, |request, out| {
        let before = Spot::root(old);
        conditions(request, out);
        let kinds = |request: &Spot<'_>| -> BTreeSet<String> {
            let conditions = request.at("status.conditions").items();
            conditions.map(|condition| condition.at("type").text().to_owned()).collect()
        };
        let (now, then) = (kinds(request), kinds(&before));
        let list = request.at("status.conditions");
        for kind in ["Approved", "Denied", "Failed"] {
            if then.contains(kind) && !now.contains(kind) {
                list.forbidden(out, format!("updates may not remove a condition of type {kind:?}"));
            }
            if context.subresource == "status" && kind != "Failed" && now.contains(kind) && !then.contains(kind) {
                list.forbidden(out, format!("updates may not add a condition of type {kind:?}"));
            }
        }
        let (certificate, known) = (request.at("status.certificate"), before.at("status.certificate"));
        if !known.is_empty() && certificate.differs(&known) {
            certificate.forbidden(out, "updates may not modify certificate content");
        }
    })
}
