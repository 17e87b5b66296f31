//! The kinds of the group `resource.k8s.io`: dynamic resource allocation.

use kind::Context;
use object::{Text, Value, timestamp};

use crate::promises::{Promises, STATUS_RESETS};
use crate::tree::{default_text, default_to, each, owned, text, unset, within};

/// A DeviceClass.
pub(crate) const CLASS: Promises = Promises {
    check_create: crate::check::devices::class,
    check_update: |context, new, _| crate::check::devices::class(context, new),
    ..Promises::COUNTED
};

/// A ResourceClaim.
pub(crate) const CLAIM: Promises = Promises {
    default: |claim| within(claim, "spec", default_claim_spec),
    check_create: crate::check::devices::claim,
    check_update: crate::check::devices::claim_update,
    resets: STATUS_RESETS,
    columns: crate::print::policy::RESOURCE_CLAIM,
    cells: crate::print::policy::resource_claim,
    ..Promises::STATUS
};

/// A ResourceClaimTemplate.
pub(crate) const CLAIM_TEMPLATE: Promises = Promises {
    default: |template| within(template, "spec", |spec| within(spec, "spec", default_claim_spec)),
    check_create: crate::check::devices::claim_template,
    check_update: crate::check::devices::claim_template_update,
    ..Promises::DATA
};

/// A ResourceSlice.
pub(crate) const SLICE: Promises = Promises {
    create: mark_taints,
    update: |context, slice, _| mark_taints(context, slice),
    check_create: crate::check::devices::slice,
    check_update: crate::check::devices::slice_update,
    selectable: &["spec.nodeName", "spec.driver"],
    select,
    columns: crate::print::policy::RESOURCE_SLICE,
    cells: crate::print::policy::resource_slice,
    ..Promises::COUNTED
};

fn default_claim_spec(spec: &mut Value) {
    within(spec, "devices", |devices| {
        each(devices, "requests", |request| {
            within(request, "exactly", default_request);
            each(request, "firstAvailable", default_request);
        });
    });
}

fn default_request(request: &mut Value) {
    default_text(request, "allocationMode", "ExactCount");
    if text(request, &["allocationMode"]) == "ExactCount" {
        crate::tree::default_nonzero(request, "count", 1);
    }
    each(request, "tolerations", |toleration| default_text(toleration, "operator", "Equal"));
}

/// Taints count from when they were set.
fn mark_taints(context: &Context<'_>, slice: &mut Value) {
    let now = timestamp::seconds(context.now);
    within(slice, "spec", |spec| {
        each(spec, "devices", |device| {
            each(device, "taints", |taint| {
                if unset(taint.get("timeAdded")) {
                    default_to(taint, "timeAdded", now.clone());
                }
            });
        });
    });
}

fn select(slice: &Value) -> Vec<(&'static str, Text)> {
    vec![("spec.nodeName", owned(slice, &["spec", "nodeName"])), ("spec.driver", owned(slice, &["spec", "driver"]))]
}
