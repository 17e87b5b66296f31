//! The kinds of the group `discovery.k8s.io`.

use crate::promises::Promises;
use crate::tree::{default_to, each};

/// An EndpointSlice.
pub(crate) const ENDPOINT_SLICE: Promises = Promises {
    default: |slice| {
        each(slice, "ports", |port| {
            default_to(port, "name", "");
            default_to(port, "protocol", "TCP");
        });
    },
    check_create: crate::check::discovery::slice,
    check_update: crate::check::discovery::slice_update,
    columns: crate::print::network::ENDPOINT_SLICE,
    cells: crate::print::network::endpoint_slice,
    ..Promises::COUNTED
};
