//! The cluster's name service: the Kubernetes DNS specification 1.1.0 from an index in memory, and everything else
//! from the resolvers of the node.
//!
//! Answers are written straight from the index into the reply's bytes ([`Index::answer`]): no zone is materialized
//! and nothing is allocated per query. The index changes by Service and EndpointSlice, never as a whole.
//!
//! What is deliberately not here: DNSSEC, zone transfers, dynamic updates; they are refused, not pretended.
//!
//! Invariants
//! - A name that exists without the type asked for is an empty answer, one that does not exist is `NXDOMAIN`, and both
//!   carry the zone's SOA, so that resolvers may remember them.
//! - A reply never exceeds what the client said it takes; what does not fit is marked as truncated.
//! - Only names outside the cluster's zone leave for other resolvers.

mod cache;
pub mod config;
pub mod corefile;
mod follow;
mod forward;
pub mod fuzz;
mod index;
mod lookup;
mod server;
mod service;
mod wire;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use follow::run;
pub use index::Index;
pub use lookup::Outcome;
pub use server::{Server, Sockets, bind};
pub use wire::{Malformed, Query};
