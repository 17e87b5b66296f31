//! The kinds of the group `resource.k8s.io`.

use std::collections::BTreeSet;

use kind::{Context, Problem};
use object::Value;

use super::spot::{Problems, Spot};
use super::volume::driver_name;
use super::{frozen, over};

const REQUESTS_MAX: usize = 32;
const DEVICES_MAX: usize = 128;

/// What is wrong with a DeviceClass.
pub(crate) fn class(_context: &Context<'_>, class: &Value) -> Vec<Problem> {
    over(class, |class, out| selectors(&class.at("spec.selectors"), out))
}

/// What is wrong with a ResourceClaim.
pub(crate) fn claim(_context: &Context<'_>, claim: &Value) -> Vec<Problem> {
    over(claim, |claim, out| claim_spec(&claim.at("spec"), out))
}

/// What is wrong with a changed ResourceClaim.
pub(crate) fn claim_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    if context.subresource != "status" {
        frozen(new, old, &["spec"], &mut out);
        return out;
    }
    let (allocation, known) = (Spot::root(new).at("status.allocation"), Spot::root(old).at("status.allocation"));
    if allocation.is_set() && known.is_set() {
        allocation.immutable(&mut out, &known);
    }
    let users = Spot::root(new).at("status.reservedFor");
    if !users.is_empty() && !allocation.is_set() {
        users.forbidden(&mut out, "may not be specified when `allocated` is not set");
    }
    out
}

/// What is wrong with a ResourceClaimTemplate.
pub(crate) fn claim_template(_context: &Context<'_>, template: &Value) -> Vec<Problem> {
    over(template, |template, out| claim_spec(&template.at("spec.spec"), out))
}

/// What is wrong with a changed ResourceClaimTemplate.
pub(crate) fn claim_template_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    frozen(new, old, &["spec"], &mut out);
    out
}

fn claim_spec(spec: &Spot<'_>, out: &mut Problems) {
    let requests = spec.at("devices.requests");
    if requests.len() > REQUESTS_MAX {
        out.push(Problem::too_many(requests.path.clone(), requests.len(), REQUESTS_MAX));
    }
    let mut seen = BTreeSet::new();
    for request in requests.items() {
        let name = request.at("name");
        if name.need(out) {
            name.label(out);
            if !seen.insert(name.text()) {
                name.duplicate(out);
            }
        }
        let (exactly, alternatives) = (request.at("exactly"), request.at("firstAvailable"));
        match (exactly.is_set(), !alternatives.is_empty()) {
            (true, true) => request
                .invalid(out, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"),
            (false, false) => request.required(out, "exactly one of `exactly` or `firstAvailable` is required"),
            (true, false) => check_request(&exactly, out),
            (false, true) => alternatives.items().for_each(|alternative| check_request(&alternative, out)),
        }
    }
}

fn check_request(request: &Spot<'_>, out: &mut Problems) {
    let class = request.at("deviceClassName");
    if class.need(out) {
        class.subdomain(out);
    }
    selectors(&request.at("selectors"), out);
    let (mode, count) = (request.at("allocationMode"), request.at("count"));
    match mode.text() {
        "ExactCount" if count.int().unwrap_or(0) <= 0 => count.invalid(out, "must be greater than zero"),
        "All" if count.int().unwrap_or(0) != 0 => {
            count.invalid(out, "must not be specified when allocationMode is 'All'");
        }
        "ExactCount" | "All" => {}
        _ => mode.or_empty().option(out, &["All", "ExactCount"]),
    }
}

fn selectors(list: &Spot<'_>, out: &mut Problems) {
    for selector in list.items() {
        let expression = selector.at("cel");
        if !expression.is_set() {
            expression.required(out, "");
        } else {
            expression.at("expression").need(out);
        }
    }
}

/// What is wrong with a ResourceSlice.
pub(crate) fn slice(_context: &Context<'_>, slice: &Value) -> Vec<Problem> {
    over(slice, |slice, out| {
        let spec = slice.at("spec");
        driver_name(&spec.at("driver"), out);
        spec.at("pool.name").need(out);
        spec.at("pool.resourceSliceCount").positive(out);
        let places = ["nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection"];
        let set = places.iter().filter(|place| !spec.at(place).is_empty()).count();
        if set == 0 {
            let detail = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
            spec.required(out, detail);
        } else if set > 1 {
            let detail = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but \
                          multiple fields are set";
            spec.invalid(out, detail);
        }
        let devices = spec.at("devices");
        if devices.len() > DEVICES_MAX {
            out.push(Problem::too_many(devices.path.clone(), devices.len(), DEVICES_MAX));
        }
        let mut seen = BTreeSet::new();
        for device in devices.items() {
            let name = device.at("name");
            if name.need(out) {
                name.label(out);
                if !seen.insert(name.text()) {
                    name.duplicate(out);
                }
            }
        }
    })
}

/// What is wrong with a changed ResourceSlice.
pub(crate) fn slice_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = slice(context, new);
    frozen(new, old, &["spec.driver", "spec.pool.name", "spec.nodeName"], &mut out);
    out
}
