//! The promises of every built-in kind: what it defaults, what clients may not set, what is wrong with it, how it is
//! printed.
//!
//! - [`strategies`], [`strategy_for`]: one [`Strategy`] per row of `kind::builtin()` that has objects: stored ones, and
//!   such as are made when they are asked for.
//! - `promises`: the plain table of functions that a kind is here; a kind names only what it does differently.
//! - `core`, `apps`, `batch`, …: the kinds by family: facts, defaults, preparation.
//! - `check`: what is wrong with an object, in upstream's words; shared pieces once.
//! - `print`: columns and cells of the tables that clients ask for.
//!
//! Not here: metadata that all kinds share (`registry`), admission, allocation of addresses and ports, authorization.
//!
//! Invariants
//! - Everything is pure: a tree, the circumstances of the write, and no clock but the one that is handed in.
//! - `default` is idempotent and never removes what a client sent.

mod admission;
mod apps;
mod autoscaling;
mod batch;
mod certificates;
mod check;
mod coordination;
mod core;
mod devices;
mod discovery;
mod extension;
mod flowcontrol;
mod networking;
mod podspec;
mod policy;
mod print;
mod promises;
mod rbac;
mod scheduling;
mod storage;
mod table;
mod tree;

use std::sync::Arc;

use kind::{Resource, Strategy};

pub use promises::Row;

/// The strategies of all built-in rows that have objects, in their order.
pub fn strategies() -> Vec<Arc<dyn Strategy>> {
    kind::builtin().iter().filter_map(strategy_for).collect()
}

/// The strategy of a built-in row; `None` for rows that are questions, such as reviews, and for rows of custom
/// resources.
pub fn strategy_for(row: &Arc<Resource>) -> Option<Arc<dyn Strategy>> {
    let promises = table::promises_of(&row.api_version(), &row.kind)?;
    Some(Arc::new(Row::new(row.clone(), promises)?))
}

#[cfg(test)]
mod tests;
