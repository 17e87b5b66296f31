//! What the store keeps, and how changes of it are told.

use bytes::Bytes;

use crate::{Key, LeaseId, Revision};

/// A key with its value and history in brief. Cloning shares the bytes.
///
/// Entries read from etcd share one buffer per answer: whoever keeps a few of many for long should copy their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    /// Empty when only keys were asked for.
    pub value: Bytes,
    /// The revision that brought the key into being, since it was last deleted.
    pub created: Revision,
    /// The revision of the last write of the key.
    pub modified: Revision,
    /// The number of writes since creation; 1 for a new key.
    pub version: u64,
    /// The lease that the key ends with.
    pub lease: Option<LeaseId>,
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub change: Change,
    /// The entry before the change; `None` for a creation (and when etcd has already compacted it away).
    pub prev: Option<Entry>,
}

/// What happened to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was written; a creation when `version` is 1.
    Put(Entry),
    /// It was deleted at this revision.
    Delete { key: Key, revision: Revision },
}

impl Event {
    /// The key that changed.
    pub fn key(&self) -> &Key {
        match &self.change {
            Change::Put(entry) => &entry.key,
            Change::Delete { key, .. } => key,
        }
    }

    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        match &self.change {
            Change::Put(entry) => entry.modified,
            Change::Delete { revision, .. } => *revision,
        }
    }

    /// The entry after the change.
    pub fn entry(&self) -> Option<&Entry> {
        match &self.change {
            Change::Put(entry) => Some(entry),
            Change::Delete { .. } => None,
        }
    }

    /// The bytes that the event keeps alive, roughly.
    pub(crate) fn size_bytes(&self) -> usize {
        let new = self.entry().map_or(0, |entry| entry.value.len());
        let old = self.prev.as_ref().map_or(0, |entry| entry.value.len());
        size_of::<Event>() + self.key().len() + new + old
    }
}

/// What a watch delivers at a time. A transaction is never split over two batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Every change of the span up to and including this revision has now been delivered.
    pub revision: Revision,
    /// In order of revision, then of operation. Empty: this batch only tells progress.
    pub events: Vec<Event>,
}
