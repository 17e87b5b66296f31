//! delete and deletecollection.

use futures::StreamExt as _;
use futures::future::BoxFuture;
use gate::{Attributes, Authorized};
use jiff::{SignedDuration, Timestamp};
use kind::{Deletion, Operation, Refusal, Strategy};
use object::{Meta, MetaMut, Value};
use store::{Outcome, Revision, Txn};

use crate::{DeleteOptions, ListOptions, Registry, store_refusal};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// How often a deletion is tried again on a newer object.
const ATTEMPTS_MAX: usize = 12;
/// Objects of a collection that are deleted at the same time.
const DELETIONS_AT_ONCE: usize = 16;

/// What became of an object that was asked to go.
#[derive(Debug, Clone, PartialEq)]
pub enum Deleted {
    /// It is gone; this was its last state.
    Gone(Value),
    /// It goes when its finalizers or its grace period have ended.
    Going(Value),
}

impl Deleted {
    /// The object.
    pub fn object(&self) -> &Value {
        match self {
            Deleted::Gone(object) | Deleted::Going(object) => object,
        }
    }
}

impl Registry {
    /// Deletes an object.
    pub async fn delete(
        &self,
        by: &Authorized,
        (namespace, name): (&str, &str),
        options: &DeleteOptions,
    ) -> Result<Deleted, Refusal> {
        for _ in 0..ATTEMPTS_MAX {
            let key = self.stored.key(namespace, name);
            let got = self.store.get(&key, None).await.map_err(store_refusal)?;
            let Some(entry) = got.entry else { return Err(self.not_found(name)) };
            let tree = self.stored.decode(&entry.value, entry.modified)?;
            let old = if self.strategy.resource().converts() { self.strategy.served(tree) } else { tree };
            if let Some(violation) = options.preconditions.violation(&old) {
                return Err(self.conflict(name, violation));
            }
            let now = env::time::now();
            let attributes = Attributes {
                operation: Operation::Delete,
                resource: self.strategy.resource(),
                subresource: "",
                namespace,
                name,
                old: Some(&old),
                dry_run: options.dry_run,
                now,
            };
            by.admit_deletion(self.admission.as_ref(), &attributes).await?;
            if let Some(deleted) = self.delete_once(&old, entry.modified, options, now).await? {
                return Ok(deleted);
            }
        }
        Err(Refusal::modified(self.strategy.resource().group_resource(), name))
    }

    /// Deletes every object of a selection; one that is already gone is no failure. Returns what was deleted.
    pub async fn delete_collection(
        &self,
        by: &Authorized,
        list: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<Vec<Value>, Refusal> {
        let page = self.list(list).await?;
        // Boxed one by one: a closure that returns futures is not general enough over its lifetimes.
        let mut deletions: Vec<BoxFuture<'_, Result<Option<Value>, Refusal>>> = Vec::with_capacity(page.items.len());
        for item in &page.items {
            deletions.push(Box::pin(self.delete_item(by, item, options)));
        }
        let done: Vec<Result<Option<Value>, Refusal>> =
            futures::stream::iter(deletions).buffered(DELETIONS_AT_ONCE).collect().await;
        done.into_iter().filter_map(Result::transpose).collect()
    }

    async fn delete_item(
        &self,
        by: &Authorized,
        item: &crate::Cached,
        options: &DeleteOptions,
    ) -> Result<Option<Value>, Refusal> {
        let tree = self.tree(item)?;
        let meta = Meta::of(&tree);
        match self.delete(by, (meta.namespace(), meta.name()), options).await {
            Ok(deleted) => Ok(Some(deleted.object().clone())),
            Err(Refusal::NotFound { .. }) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// One attempt; `None` when somebody else was faster.
    async fn delete_once(
        &self,
        old: &Value,
        revision: Revision,
        options: &DeleteOptions,
        now: Timestamp,
    ) -> Result<Option<Deleted>, Refusal> {
        let mut object = old.clone();
        settle_finalizers(self.strategy.as_ref(), &mut object, options);
        let grace = self.begin(&mut object, old, options, now);
        let held = self.strategy.deletion(old, options.grace_seconds) == Deletion::Held;
        let waits = held || Meta::of(&object).finalizers().next().is_some() || grace > 0;
        if waits {
            self.strategy.begin_deletion(&mut object);
        }
        if options.dry_run {
            return Ok(Some(if waits { Deleted::Going(object) } else { Deleted::Gone(object) }));
        }
        if waits {
            if object == *old {
                return Ok(Some(Deleted::Going(object)));
            }
            let bytes = self.stored.encode(&self.stored_version(object.clone()));
            let outcome = self.store.txn(Txn::update(self.stored.key_of(old), revision, bytes)).await;
            return self.concluded(outcome, object, Deleted::Going);
        }
        let txn = Txn::remove(self.stored.key_of(old), revision);
        let txn = self.accompanied(txn, None, Some(old), false).await?;
        let outcome = self.store.txn(txn).await;
        self.concluded(outcome, object, Deleted::Gone)
    }

    fn concluded(
        &self,
        outcome: Result<Outcome, store::Error>,
        mut object: Value,
        made: fn(Value) -> Deleted,
    ) -> Result<Option<Deleted>, Refusal> {
        match outcome.map_err(store_refusal)? {
            Outcome::Committed { revision } => {
                object.set(&["metadata", "resourceVersion"], revision.to_string());
                Ok(Some(made(object)))
            }
            Outcome::Conflict { .. } => Ok(None),
        }
    }

    /// Marks the object as being deleted, where that takes time. Returns the grace period that is left, in seconds.
    fn begin(&self, object: &mut Value, old: &Value, options: &DeleteOptions, now: Timestamp) -> i64 {
        let meta = Meta::of(old);
        let deletion = self.strategy.deletion(old, options.grace_seconds);
        let seconds = match deletion {
            Deletion::Immediate => 0,
            Deletion::Held => return hold(object, meta, now),
            Deletion::Graceful { seconds } => seconds.max(0),
        };
        let running = meta.deletion_grace_seconds().filter(|_| meta.is_deleting());
        // A deletion under way can be shortened, never lengthened.
        if let Some(running) = running
            && (running <= seconds || (options.grace_seconds.is_none() && running > 0))
        {
            return running;
        }
        let finalizing = Meta::of(object).finalizers().next().is_some();
        if seconds == 0 && !finalizing && (meta.is_deleting() || deletion == Deletion::Immediate) {
            if meta.is_deleting() {
                MetaMut::of(object).set("deletionGracePeriodSeconds", 0);
            }
            return 0;
        }
        let start = meta.deletion_timestamp().filter(|_| running.is_some()).unwrap_or(now);
        let begun = start.saturating_sub(SignedDuration::from_secs(running.unwrap_or(0))).unwrap_or(now);
        let at = begun.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        let first = !meta.is_deleting();
        let mut changed = MetaMut::of(object);
        changed.set_time("deletionTimestamp", at).set("deletionGracePeriodSeconds", seconds);
        if first && self.strategy.facts().counts_generations && meta.generation() > 0 {
            changed.set("generation", meta.generation() + 1);
        }
        seconds
    }
}

/// Begins a deletion that ends when the kind's own finalizers are gone; it has no period.
fn hold(object: &mut Value, stored: Meta<'_>, now: Timestamp) -> i64 {
    if !stored.is_deleting() {
        MetaMut::of(object).set_time("deletionTimestamp", now);
    }
    0
}

/// What shall become of dependents stands among the finalizers, for the garbage collector.
fn settle_finalizers(strategy: &dyn Strategy, object: &mut Value, options: &DeleteOptions) {
    let settled = Meta::of(object).finalizers().any(|name| matches!(name, ORPHAN | FOREGROUND));
    let default = (strategy.orphans_dependents() && !settled).then_some("Orphan");
    let Some(propagation) = options.propagation.as_deref().or(default) else { return };
    let mut finalizers: Vec<String> =
        Meta::of(object).finalizers().filter(|name| !matches!(*name, ORPHAN | FOREGROUND)).map(str::to_owned).collect();
    match propagation {
        "Orphan" => finalizers.push(ORPHAN.to_owned()),
        "Foreground" => finalizers.push(FOREGROUND.to_owned()),
        _ => {}
    }
    let mut meta = MetaMut::of(object);
    if finalizers.is_empty() {
        meta.clear("finalizers");
    } else {
        meta.set("finalizers", finalizers);
    }
}
