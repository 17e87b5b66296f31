//! The store: every object of the cluster as bytes under a key, with revisions, transactions and watches.
//!
//! One trait, [`Store`], shaped like the part of etcd's API that an API server uses, and three engines behind it:
//!
//! - [`memory::Memory`]: multi-version state in memory and nothing else. The model for the other two, and the engine of
//!   the simulation (it starts no thread and reads no file).
//! - [`embedded::Embedded`]: the same state in memory, made durable by a journal with group commit. One file, one
//!   process, one machine.
//! - [`etcd::Etcd`]: a client of etcd's v3 API over mutual TLS, for clusters with several API servers.
//!
//! What is deliberately not here: any knowledge of what the bytes mean (that is the registry's), any cache in front of
//! the engines (the registry's watch cache), and any retry of a write, whose outcome only its author can judge.
//!
//! Invariants
//! - A transaction that changes something takes exactly one revision; revisions grow by one and are never reused.
//! - What was acknowledged is durable in the engine's sense before anybody, reader or watcher, can see it.
//! - A watcher sees every change of its span from its first revision on, in order, or its stream ends with an error.
//! - A read at a revision is exact or fails with [`Error::Compacted`]; it is never an approximation.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod embedded;
mod entry;
mod error;
pub mod etcd;
pub mod fuzz;
mod key;
pub mod limits;
pub mod memory;
mod mvcc;
mod request;
mod revision;
mod watcher;

use std::time::Duration;

use futures::future::BoxFuture;

pub use entry::{Batch, Change, Entry, Event};
pub use error::Error;
pub use key::{Key, Span};
pub use request::{Compare, Got, Op, Outcome, Page, Range, Status, Txn, Want, Watch};
pub use revision::{LeaseId, Revision};
pub use watcher::{Watcher, Watching};

/// What every call to a store returns: a future that owns nothing but a borrow of the store.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A versioned, watchable map from keys to bytes.
///
/// All reads without a revision are linearizable: they see every write acknowledged before they began.
pub trait Store: std::fmt::Debug + Send + Sync {
    /// One entry, now or as it was at revision `at`.
    ///
    /// # Errors
    /// [`Error::Compacted`] and [`Error::FutureRevision`] for an `at` outside of what is kept.
    fn get<'a>(&'a self, key: &'a Key, at: Option<Revision>) -> Answer<'a, Got>;

    /// The entries of a span in key order, all as of one revision.
    ///
    /// # Errors
    /// As for [`Store::get`].
    fn range(&self, range: Range) -> Answer<'_, Page>;

    /// Applies all operations at one new revision if every comparison holds, and none otherwise.
    ///
    /// # Errors
    /// A refused transaction ([`Error::TooLarge`], [`Error::TooMany`], [`Error::DuplicateKey`],
    /// [`Error::LeaseNotFound`], ...) changed nothing. After [`Error::OutcomeUnknown`] it may or may not have happened.
    fn txn(&self, txn: Txn) -> Answer<'_, Outcome>;

    /// The changes of a span, starting with revision `watch.from`.
    ///
    /// That the starting revision is gone is reported by the stream's first item, for that is the only moment at which
    /// every engine can know.
    fn watch(&self, watch: Watch) -> Answer<'_, Watcher>;

    /// Grants a lease: the keys attached to it are deleted, in one transaction, when `ttl` has passed.
    ///
    /// An engine may lengthen `ttl` to whole seconds, and to a minimum of its own (etcd: about two seconds).
    fn lease_grant(&self, ttl: Duration) -> Answer<'_, LeaseId>;

    /// Ends a lease now, deleting the keys attached to it.
    ///
    /// # Errors
    /// [`Error::LeaseNotFound`] when it ended before.
    fn lease_revoke(&self, lease: LeaseId) -> Answer<'_, ()>;

    /// Forgets history: reads before `revision` and watches from before it fail from now on.
    ///
    /// # Errors
    /// [`Error::Compacted`] when that already happened, [`Error::FutureRevision`] beyond the current revision.
    fn compact(&self, revision: Revision) -> Answer<'_, ()>;

    /// Where the store stands.
    fn status(&self) -> Answer<'_, Status>;
}
