//! The cluster's name service: the Kubernetes DNS specification 1.1.0 from an index in memory, and everything else
//! from other resolvers, as the Corefile says.
//!
//! ```text
//! question ─► Server ─► Table: the server of the longest zone ─► hosts ─► kubernetes (Index) ─► cache ─► forward
//!                          ▲                                                  ▲
//!                      Corefile, again when it changes                     informers
//! ```
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
//! - Names in the cluster's zone leave for other resolvers only where the Corefile says `fallthrough`.
//! - Before the cluster is known, nobody is told that a name does not exist.
//! - A Corefile that is not understood changes nothing; at the start it is refused.

mod balance;
mod cache;
pub mod config;
pub mod corefile;
mod follow;
mod forward;
pub mod fuzz;
mod hosts;
mod index;
mod lookup;
mod loops;
mod metrics;
mod operate;
mod server;
mod service;
mod table;
mod wire;

#[cfg(test)]
mod tests;

pub use index::Index;
pub use lookup::{Outcome, Rules};
pub use operate::{OperateError, Setup, run};
pub use server::{Server, Sockets, bind};
pub use wire::{Malformed, Query};
