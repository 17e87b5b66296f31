//! CertificateSigningRequests.

use kind::Context;
use object::{Value, timestamp};

use crate::promises::Promises;
use crate::tree::{carry, owned, put, text};

/// A CertificateSigningRequest: who asked is what the server saw, and nobody changes it.
pub(crate) const SIGNING_REQUEST: Promises = Promises {
    name: object::names::path_segment,
    create,
    update,
    check_create: crate::check::certificates::create,
    check_update: crate::check::certificates::update,
    resets: &[
        ("", "spec"),
        ("", "status"),
        ("status", "spec"),
        ("approval", "spec"),
        ("approval", "status.certificate"),
    ],
    selectable: &["spec.signerName"],
    select: |request| vec![("spec.signerName", owned(request, &["spec", "signerName"]))],
    columns: crate::print::policy::SIGNING_REQUEST,
    cells: crate::print::policy::signing_request,
    ..Promises::STATUS
};

fn create(context: &Context<'_>, request: &mut Value) {
    let user = context.user;
    request.set(&["spec", "username"], user.name.as_str());
    request.set(&["spec", "uid"], user.uid.as_str());
    request.set(&["spec", "groups"], user.groups.clone());
    request.remove(&["spec", "extra"]);
    if !user.extra.is_empty() {
        let extra = user.extra.iter().map(|(key, values)| (key.as_str(), Value::from(values.clone())));
        request.set(&["spec", "extra"], Value::from_pairs(extra));
    }
}

fn decides(condition: &Value) -> bool {
    matches!(text(condition, &["type"]), "Approved" | "Denied")
}

fn update(context: &Context<'_>, new: &mut Value, old: &Value) {
    carry(new, old, &["spec"]);
    let asked = new.list_at(&["status", "conditions"]).to_vec();
    let before = old.list_at(&["status", "conditions"]);
    match context.subresource {
        "approval" => {
            carry(new, old, &["status"]);
            put_conditions(context, new, asked, before);
        }
        "status" => {
            // Whoever issues certificates does not decide: the decisions stay as they are, each once and in its place.
            let mut decided = before.iter().filter(|condition| decides(condition));
            let mut kept: Vec<Value> = Vec::with_capacity(asked.len());
            for condition in asked {
                if !decides(&condition) {
                    kept.push(condition);
                } else if let Some(decision) = decided.next() {
                    kept.push(decision.clone());
                }
            }
            kept.extend(decided.cloned());
            put_conditions(context, new, kept, before);
        }
        _ => carry(new, old, &["status"]),
    }
}

/// Conditions get the times at which they changed, where the client does not say.
fn put_conditions(context: &Context<'_>, request: &mut Value, mut conditions: Vec<Value>, before: &[Value]) {
    let now = timestamp::seconds(context.now);
    for condition in &mut conditions {
        if crate::tree::blank(condition.get("lastUpdateTime")) {
            put(condition, "lastUpdateTime", now.clone());
        }
        if crate::tree::blank(condition.get("lastTransitionTime")) {
            let known = before.iter().find(|known| known.get("type") == condition.get("type"));
            let steady = known.filter(|known| known.get("status") == condition.get("status"));
            let time = steady.and_then(|known| known.get("lastTransitionTime")).cloned();
            put(condition, "lastTransitionTime", time.unwrap_or_else(|| Value::from(now.clone())));
        }
    }
    if conditions.is_empty() {
        request.remove(&["status", "conditions"]);
    } else {
        request.set(&["status", "conditions"], conditions);
    }
}
