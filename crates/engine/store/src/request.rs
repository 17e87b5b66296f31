//! Questions to the store, and their answers.

use std::collections::HashSet;

use bytes::Bytes;

use crate::limits::{KEY_BYTES_MAX, TXN_BYTES_MAX, TXN_OPS_MAX};
use crate::{Entry, Error, Key, LeaseId, Revision, Span};

/// The answer to [`crate::Store::get`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// `None`: there is no such key.
    pub entry: Option<Entry>,
    /// The store's current revision when it answered (also for reads of the past).
    pub revision: Revision,
}

/// A question for the entries of a span.
#[derive(Debug, Clone)]
pub struct Range {
    pub span: Span,
    /// As of which revision; `None` for now.
    pub at: Option<Revision>,
    /// The most entries to return; 0 for all.
    pub limit: usize,
    pub want: Want,
}

/// How much of each entry is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Entries with their values.
    Entries,
    /// Entries with empty values.
    Keys,
    /// Only [`Page::count`].
    Count,
}

impl Range {
    /// All entries of `span`, now.
    pub fn of(span: Span) -> Range {
        Range { span, at: None, limit: 0, want: Want::Entries }
    }

    /// As of `revision`.
    #[must_use]
    pub fn at(self, revision: Revision) -> Range {
        Range { at: Some(revision), ..self }
    }

    /// At most `entries_max` entries; 0 for all.
    #[must_use]
    pub fn limit(self, entries_max: usize) -> Range {
        Range { limit: entries_max, ..self }
    }

    /// With this much of each entry.
    #[must_use]
    pub fn want(self, want: Want) -> Range {
        Range { want, ..self }
    }
}

/// The answer to [`crate::Store::range`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In key order.
    pub entries: Vec<Entry>,
    /// Without [`Range::at`]: the revision that the page shows, at which further pages must be asked for.
    /// With it: the store's current revision, as in etcd.
    pub revision: Revision,
    /// Whether the limit cut entries off.
    pub more: bool,
    /// The number of keys in the span, whatever the limit.
    pub count: u64,
}

/// An atomic change under conditions.
#[derive(Debug, Clone, Default)]
pub struct Txn {
    /// All must hold.
    pub compares: Vec<Compare>,
    /// All happen, at one revision. No key may occur twice.
    pub ops: Vec<Op>,
}

/// The condition that a key was last written at this revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    pub key: Key,
    /// [`Revision::ZERO`]: the key is absent.
    pub modified: Revision,
}

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Writes a key, detaching it from an earlier lease.
    Put { key: Key, value: Bytes, lease: Option<LeaseId> },
    /// Deletes a key; that it is absent is fine.
    Delete { key: Key },
}

impl Op {
    /// The key that is written.
    pub fn key(&self) -> &Key {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }

    pub(crate) fn lease(&self) -> Option<LeaseId> {
        match self {
            Op::Put { lease, .. } => *lease,
            Op::Delete { .. } => None,
        }
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It happened, at this revision (the current one if it changed nothing).
    Committed { revision: Revision },
    /// A comparison failed and nothing happened.
    Conflict {
        /// The store's revision when it looked.
        revision: Revision,
        /// What the compared keys hold, in the order of the comparisons.
        current: Vec<Option<Entry>>,
    },
}

impl Txn {
    /// A transaction that does nothing yet.
    pub fn new() -> Txn {
        Txn::default()
    }

    /// Creates `key`, which must be absent.
    pub fn create(key: Key, value: Bytes) -> Txn {
        Txn::new().when(key.clone(), Revision::ZERO).put(key, value)
    }

    /// Replaces the value of `key`, last written at `modified`.
    pub fn update(key: Key, modified: Revision, value: Bytes) -> Txn {
        Txn::new().when(key.clone(), modified).put(key, value)
    }

    /// Deletes `key`, last written at `modified`.
    pub fn remove(key: Key, modified: Revision) -> Txn {
        Txn::new().when(key.clone(), modified).delete(key)
    }

    /// Adds a condition.
    #[must_use]
    pub fn when(mut self, key: Key, modified: Revision) -> Txn {
        self.compares.push(Compare { key, modified });
        self
    }

    /// Adds a write.
    #[must_use]
    pub fn put(mut self, key: Key, value: Bytes) -> Txn {
        self.ops.push(Op::Put { key, value, lease: None });
        self
    }

    /// Adds a write of a key that ends with `lease`.
    #[must_use]
    pub fn put_leased(mut self, key: Key, value: Bytes, lease: LeaseId) -> Txn {
        self.ops.push(Op::Put { key, value, lease: Some(lease) });
        self
    }

    /// Adds a deletion.
    #[must_use]
    pub fn delete(mut self, key: Key) -> Txn {
        self.ops.push(Op::Delete { key });
        self
    }

    /// The bytes of all keys and values.
    pub(crate) fn size_bytes(&self) -> usize {
        let compares: usize = self.compares.iter().map(|compare| compare.key.len()).sum();
        let ops = self.ops.iter().map(|op| match op {
            Op::Put { key, value, .. } => key.len() + value.len(),
            Op::Delete { key } => key.len(),
        });
        compares + ops.sum::<usize>()
    }

    /// Checks the bounds that hold for every engine.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.ops.len() > TXN_OPS_MAX || self.compares.len() > TXN_OPS_MAX {
            return Err(Error::TooMany { what: "operations in a transaction", max: TXN_OPS_MAX });
        }
        let size_bytes = self.size_bytes();
        if size_bytes > TXN_BYTES_MAX {
            return Err(Error::TooLarge { size_bytes, size_bytes_max: TXN_BYTES_MAX });
        }
        let keys = self.compares.iter().map(|compare| &compare.key).chain(self.ops.iter().map(Op::key));
        for key in keys {
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return Err(Error::InvalidKey { size_bytes: key.len(), size_bytes_max: KEY_BYTES_MAX });
            }
        }
        self.check_distinct()
    }

    fn check_distinct(&self) -> Result<(), Error> {
        if self.ops.len() < 2 {
            return Ok(());
        }
        let mut seen = HashSet::with_capacity(self.ops.len());
        match self.ops.iter().find(|op| !seen.insert(op.key())) {
            Some(op) => Err(Error::DuplicateKey { key: op.key().clone() }),
            None => Ok(()),
        }
    }
}

/// A wish to be told of changes.
#[derive(Debug, Clone)]
pub struct Watch {
    pub span: Span,
    /// The first revision to tell; `None` for what happens from now on. May lie in the future.
    pub from: Option<Revision>,
}

impl Watch {
    /// The changes of `span` after `revision`, typically that of a list of the same span.
    pub fn after(span: Span, revision: Revision) -> Watch {
        Watch { span, from: Some(revision.next()) }
    }

    /// The changes of `span` from now on.
    pub fn now(span: Span) -> Watch {
        Watch { span, from: None }
    }
}

/// Where a store stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The last transaction's revision.
    pub revision: Revision,
    /// The size of the database, in memory or on disk, whichever makes it durable.
    pub size_bytes: u64,
    /// The engine with its version, such as `etcd 3.6.8`.
    pub engine: String,
    /// Whether [`crate::Watcher::request_progress`] can be relied on (etcd: from 3.4.31 and 3.5.13 on).
    pub progress_on_request: bool,
}
