//! The service proxy: keeps the packet filter of one node in step with Services and EndpointSlices.
//!
//! What the rules are is decided in `servicerules`; how they reach the kernel is `netlink`'s business; here the two
//! meet ([`Rules`]).
//!
//! Invariants
//! - The kernel is only told differences; nothing is listed back in ordinary operation.
//! - A refused commit never leaves model and kernel apart: the tables are made anew from the model.

mod rules;
mod service;

pub use rules::{Rules, Synced};
pub use service::{Config, run};
