//! The kinds of the group `discovery.k8s.io`.

use kind::Context;
use object::{Meta, MetaMut, Value};

use crate::promises::Promises;
use crate::tree::{default_to, each, same};

/// An EndpointSlice.
pub(crate) const ENDPOINT_SLICE: Promises = Promises {
    default: |slice| {
        each(slice, "ports", |port| {
            default_to(port, "name", "");
            default_to(port, "protocol", "TCP");
        });
    },
    update: count_labels,
    check_create: crate::check::discovery::slice,
    check_update: crate::check::discovery::slice_update,
    warn: crate::check::warnings::endpoint_slice,
    columns: crate::print::network::ENDPOINT_SLICE,
    cells: crate::print::network::endpoint_slice,
    ..Promises::COUNTED
};

/// Labels say whose endpoints these are, and so count as content.
fn count_labels(_context: &Context<'_>, new: &mut Value, old: &Value) {
    const LABELS: [&str; 2] = ["metadata", "labels"];
    if !same(new, old, &LABELS) {
        MetaMut::of(new).set("generation", Meta::of(old).generation().saturating_add(1));
    }
}
