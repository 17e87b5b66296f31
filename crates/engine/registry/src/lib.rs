//! The one path per verb: create, get, list, watch, update, delete, deletecollection.
//!
//! A [`Registry`] is a kind's strategy, the store, and the watch cache, joined. What differs between kinds is in the
//! strategy; what differs between requests is in the permits (`gate`); everything else stands here once:
//! preconditions, finalizers, graceful deletion, generations, dry runs, pages of one consistent snapshot, conflicts.
//!
//! - [`Registry`]: the verbs.
//! - [`cache`]: every object of a stored kind as shared bytes, the recent changes of them, and who waits for more.
//! - [`form`]: the forms in which objects are sent, each made at most once per object and revision.
//! - [`conventions`]: what all kinds have in common: names, metadata, their checks.
//!
//! Not here: HTTP, kinds, and any judgement about who may do what.
//!
//! Invariants
//! - Nothing is written that is not an [`gate::Admitted`].
//! - A watcher sees every change of its span in order or is told that it has missed some; it is never served a gap.
//! - A list is one revision of the store, however many pages it comes in.

pub mod cache;
pub mod conventions;
mod create;
mod delete;
mod digest;
pub mod form;
pub mod fuzz;
mod list;
pub mod negotiate;
mod options;
mod outgoing;
pub mod ownership;
mod stored;
mod update;
mod watch;

use std::sync::Arc;

use gate::Admission;
use kind::{Refusal, Strategy};
use object::Value;
use store::Store;

pub use cache::{Cache, Cached};
pub use delete::Deleted;
pub use digest::{digest, short_hash};
pub use list::{Page, Paging};
pub use options::{DeleteOptions, Freshness, ListOptions, Preconditions, Selection, WatchOptions, WriteOptions};
pub use stored::StoredForm;
pub use update::{Edit, Replace};
pub use watch::{Change, ChangeKind, Watch};

/// Work of a kind that must be part of the same transaction as its objects: addresses of a Service, for one.
pub trait Companion: Send + Sync {
    /// Completes `new` and says what else must hold and be written with it.
    ///
    /// `old` is the stored object of an update, `new` is absent when the object goes away. When what must hold does
    /// not, the whole write is tried again from its beginning.
    fn accompany<'a>(
        &'a self,
        new: Option<&'a mut Value>,
        old: Option<&'a Value>,
        dry_run: bool,
    ) -> futures::future::BoxFuture<'a, Result<store::Txn, Refusal>>;
}

/// One resource in one version, with everything its verbs need.
pub struct Registry {
    strategy: Arc<dyn Strategy>,
    store: Arc<dyn Store>,
    cache: Arc<Cache>,
    stored: StoredForm,
    openings: form::Openings,
    admission: Arc<dyn Admission>,
    companion: Option<Arc<dyn Companion>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("resource", &self.strategy.resource().group_resource()).finish_non_exhaustive()
    }
}

impl Registry {
    /// Joins the parts. Versions of one stored kind share `cache`.
    pub fn new(
        strategy: Arc<dyn Strategy>,
        store: Arc<dyn Store>,
        cache: Arc<Cache>,
        admission: Arc<dyn Admission>,
    ) -> Registry {
        let stored = cache.stored_form().clone();
        let openings = form::Openings::of(strategy.resource());
        Registry { strategy, store, cache, stored, openings, admission, companion: None }
    }

    /// Writes of this kind take others along.
    #[must_use]
    pub fn with_companion(mut self, companion: Arc<dyn Companion>) -> Registry {
        self.companion = Some(companion);
        self
    }

    /// The kind's strategy.
    pub fn strategy(&self) -> &Arc<dyn Strategy> {
        &self.strategy
    }

    /// The watch cache.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    fn root(&self) -> codec::Root<'_> {
        let (schema, id) = self.strategy.root();
        codec::Root { schema, id }
    }

    /// The tree of a cached object in this registry's version.
    pub fn tree(&self, cached: &Cached) -> Result<Value, Refusal> {
        Ok(Arc::unwrap_or_clone(self.view(cached)?))
    }

    /// The same for reading only: shared with whoever else holds it.
    pub fn view(&self, cached: &Cached) -> Result<Arc<Value>, Refusal> {
        let tree = cached.view(&self.stored)?;
        Ok(match self.strategy.resource().converts() {
            true => Arc::new(self.strategy.served(Arc::unwrap_or_clone(tree))),
            false => tree,
        })
    }

    /// A transaction and what must be part of it.
    async fn accompanied(
        &self,
        mut txn: store::Txn,
        new: Option<&mut Value>,
        old: Option<&Value>,
        dry_run: bool,
    ) -> Result<store::Txn, Refusal> {
        if let Some(companion) = &self.companion {
            let with = companion.accompany(new, old, dry_run).await?;
            txn.compares.extend(with.compares);
            txn.ops.extend(with.ops);
        }
        Ok(txn)
    }

    fn not_found(&self, name: &str) -> Refusal {
        Refusal::NotFound { resource: self.strategy.resource().group_resource(), name: name.to_owned() }
    }
}

/// A revision is asked for that nobody has written yet. Clients that fell from one server to another tell this timeout
/// from others by its cause, and try again.
pub(crate) fn from_the_future(wanted: store::Revision, current: store::Revision) -> Refusal {
    let mut status = Refusal::Timeout(format!("Too large resource version: {wanted}, current: {current}")).status();
    let cause = [("reason", "ResourceVersionTooLarge"), ("message", "Too large resource version")];
    status.set(&["details", "causes"], vec![Value::from_pairs(cause)]);
    status.set(&["details", "retryAfterSeconds"], 1);
    Refusal::Status(Box::new(status))
}

/// What a store's error means to a client.
pub(crate) fn store_refusal(error: store::Error) -> Refusal {
    match error {
        store::Error::Compacted { .. } => {
            Refusal::Expired("The resourceVersion for the provided list is too old.".to_owned())
        }
        store::Error::TooLarge { .. } | store::Error::TooMany { .. } => {
            Refusal::TooLarge { bytes_max: store::limits::TXN_BYTES_MAX }
        }
        store::Error::OutcomeUnknown { .. } => {
            Refusal::Timeout("request did not complete within the allotted timeout, its outcome is unknown".to_owned())
        }
        other => Refusal::Internal(other.to_string()),
    }
}
