//! Nodes.

use kind::{Context, Facts};
use object::{Text, Value};

use crate::promises::{Promises, STATUS_RESETS};
use crate::tree::{carry, empty, flag, put, round_quantities, within};

/// A node. A kubelet registers it together with its status, so that creation, unlike an update, keeps the status.
pub(crate) const NODE: Promises = Promises {
    facts: Facts::DATA,
    default,
    update,
    check_create: crate::check::node::create,
    check_update: crate::check::node::update,
    resets: STATUS_RESETS,
    selectable: &["spec.unschedulable"],
    select,
    columns: crate::print::node::COLUMNS,
    cells: crate::print::node::cells,
    ..Promises::DATA
};

fn default(node: &mut Value) {
    within(node, "spec", mirror_ranges);
    within(node, "status", |status| {
        round_quantities(status, "capacity");
        round_quantities(status, "allocatable");
        if empty(status.get("allocatable"))
            && let Some(capacity) = status.get("capacity").filter(|capacity| !empty(Some(capacity))).cloned()
        {
            put(status, "allocatable", capacity);
        }
    });
}

/// `podCIDR` and the first of `podCIDRs` are one; where they differ, the single one counts.
fn mirror_ranges(spec: &mut Value) {
    let single = spec.str_at(&["podCIDR"]).unwrap_or_default();
    let first = spec.list_at(&["podCIDRs"]).first().and_then(Value::as_str).unwrap_or_default();
    if single == first {
        return;
    }
    if single.is_empty() {
        let first = Text::from(first);
        put(spec, "podCIDR", first);
    } else {
        let single = Text::from(single);
        put(spec, "podCIDRs", vec![single]);
    }
}

fn update(context: &Context<'_>, new: &mut Value, old: &Value) {
    match context.subresource {
        "status" => carry(new, old, &["spec"]),
        _ => carry(new, old, &["status"]),
    }
}

fn select(node: &Value) -> Vec<(&'static str, Text)> {
    let unschedulable = if flag(node, &["spec", "unschedulable"]) { "true" } else { "false" };
    vec![("spec.unschedulable", unschedulable.into())]
}
