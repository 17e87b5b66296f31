//! What this process knows of the cluster: caches that follow the API server, and the news of their changes.
//!
//! - [`Informers`] starts at most one [`Informer`] per kind and [`Scope`] and hands it to everybody who asks.
//! - [`Cache`] is read without waiting; it is a [`plan::View`] of its kind.
//! - [`Subscription`] delivers changes in order; whoever is slow gets them merged by key, never too few.
//! - [`Tree`] stands for objects of kinds that only the server knows, usually with their metadata alone.
//!
//! Deliberately not here: a periodic resync (the news are complete, so nobody needs reminding), and writes.
//!
//! Invariants
//! - A cache holds either nothing or the state of some revision plus all changes since; a fresh list replaces it at
//!   once, and what is the same afterwards is no news.
//! - Revisions of a key never go backwards within one subscription, and an object and its successor of the same name
//!   are two: first one goes, then the other comes.
//! - An idle cluster costs nothing: there is one open watch, and no timer runs.

mod cache;
mod informer;
mod item;
mod reflector;
mod shared;
mod subscription;

#[cfg(test)]
mod tests;

pub use cache::Cache;
pub use informer::{Informer, Scope, Witness, Written};
pub use item::{Item, Tree};
pub use shared::Informers;
pub use subscription::{Changed, Subscription};
