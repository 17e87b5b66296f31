//! Keys in order, each with the versions that may still be read.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Change, Entry, Error, Event, Key, LeaseId, Revision, Span};

use super::Commit;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Index {
    keys: BTreeMap<Key, Chain>,
    revision: Revision,
    /// The oldest revision that may be read.
    compacted: Revision,
    live_bytes: u64,
}

/// The versions of a key.
#[derive(Debug)]
struct Chain {
    latest: Version,
    /// Oldest first; most keys have none.
    older: Vec<Version>,
}

/// A key's state from `modified` on, until the next version.
#[derive(Debug)]
struct Version {
    modified: Revision,
    created: Revision,
    /// The number of writes since `created`.
    version: u64,
    lease: Option<LeaseId>,
    /// `None`: deleted.
    value: Option<Bytes>,
}

/// The lower end of a scan's next piece.
pub(super) type From<'a> = Bound<&'a [u8]>;

impl Index {
    pub(super) fn new(revision: Revision, entries: Vec<Entry>) -> Index {
        let live_bytes = entries.iter().map(|entry| size_bytes(&entry.key, &entry.value)).sum();
        let chain = |entry: Entry| (entry.key.clone(), Chain { latest: Version::of(&entry), older: Vec::new() });
        // Built from sorted entries, the tree is packed and needs no search.
        let keys = entries.into_iter().map(chain).collect();
        Index { keys, revision, compacted: revision, live_bytes }
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// The revision to read for the wish `at`.
    pub(super) fn readable(&self, at: Option<Revision>) -> Result<Revision, Error> {
        match at {
            None => Ok(self.revision),
            Some(at) if at < self.compacted => Err(Error::Compacted { requested: at, compacted: Some(self.compacted) }),
            Some(at) if at > self.revision => {
                Err(Error::FutureRevision { requested: at, current: Some(self.revision) })
            }
            Some(at) => Ok(at),
        }
    }

    pub(super) fn set_compacted(&mut self, to: Revision) -> Result<(), Error> {
        if to > self.revision {
            return Err(Error::FutureRevision { requested: to, current: Some(self.revision) });
        }
        if to <= self.compacted {
            return Err(Error::Compacted { requested: to, compacted: Some(self.compacted) });
        }
        self.compacted = to;
        Ok(())
    }

    /// The entry of `key`, now.
    pub(super) fn entry(&self, key: &Key) -> Option<Entry> {
        self.entry_at(key, self.revision)
    }

    /// The entry of `key` as of `at`.
    pub(super) fn entry_at(&self, key: &Key, at: Revision) -> Option<Entry> {
        let (key, chain) = self.keys.get_key_value(key)?;
        chain.at(at)?.entry(key)
    }

    /// Calls `visit` with the keys of `span` that are live at `at`, beginning with `from`, and with a maker of their
    /// entries. Looks at no more than `keys_max` keys and returns where to go on, if not at the end.
    pub(super) fn visit(
        &self,
        span: &Span,
        from: From<'_>,
        at: Revision,
        (keys_max, mut visit): (usize, impl FnMut(Found<'_>)),
    ) -> Option<Key> {
        if span.end().is_some_and(|end| *end <= *span.start()) {
            return None;
        }
        let end = span.end().map_or(Bound::Unbounded, |end| Bound::Excluded(&end[..]));
        let mut last: Option<&Key> = None;
        for (looked_at, (key, chain)) in self.keys.range::<[u8], _>((from, end)).enumerate() {
            if looked_at == keys_max {
                return last.cloned();
            }
            if let Some(version) = chain.at(at).filter(|version| version.value.is_some()) {
                visit(Found { key, version });
            }
            last = Some(key);
        }
        None
    }

    /// Makes the next commit visible.
    pub(super) fn apply(&mut self, commit: &Commit) {
        assert_eq!(commit.revision, self.revision.next(), "commits are applied in the order of their revisions");
        for event in &commit.events {
            self.apply_event(event);
        }
        self.revision = commit.revision;
    }

    fn apply_event(&mut self, event: &Event) {
        if let Some(prev) = &event.prev {
            self.live_bytes -= size_bytes(&prev.key, &prev.value);
        }
        let version = match &event.change {
            Change::Put(entry) => {
                self.live_bytes += size_bytes(&entry.key, &entry.value);
                Version::of(entry)
            }
            Change::Delete { revision, .. } => Version::deleted(*revision),
        };
        match self.keys.entry(event.key().clone()) {
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Chain { latest: version, older: Vec::new() });
            }
            btree_map::Entry::Occupied(mut occupied) => {
                let chain = occupied.get_mut();
                let superseded = std::mem::replace(&mut chain.latest, version);
                chain.older.push(superseded);
            }
        }
    }

    /// Drops the versions that were superseded by `commits` and that no read at `floor` or later can see.
    pub(super) fn prune(&mut self, commits: &[Arc<Commit>], floor: Revision) {
        for event in commits.iter().flat_map(|commit| &commit.events) {
            let Some(chain) = self.keys.get_mut(event.key()) else { continue };
            if chain.prune(floor) {
                self.keys.remove(event.key());
            }
        }
    }

    /// How many versions are kept, deletions included.
    #[cfg(test)]
    pub(super) fn versions(&self) -> usize {
        self.keys.values().map(|chain| 1 + chain.older.len()).sum()
    }
}

/// A live key that a scan came by.
#[derive(Debug)]
pub(super) struct Found<'a> {
    key: &'a Key,
    version: &'a Version,
}

impl Found<'_> {
    pub(super) fn entry(&self, with_value: bool) -> Entry {
        let mut entry = self.version.entry(self.key).expect("only live keys are visited");
        if !with_value {
            entry.value = Bytes::new();
        }
        entry
    }
}

impl Chain {
    /// The version in force at a revision.
    fn at(&self, at: Revision) -> Option<&Version> {
        if self.latest.modified <= at {
            return Some(&self.latest);
        }
        self.older.iter().rev().find(|version| version.modified <= at)
    }

    /// Drops what is superseded at `floor`; true when nothing worth keeping remains.
    fn prune(&mut self, floor: Revision) -> bool {
        if self.latest.modified <= floor {
            self.older = Vec::new();
            return self.latest.value.is_none();
        }
        if let Some(in_force) = self.older.iter().rposition(|version| version.modified <= floor) {
            let first_kept = if self.older[in_force].value.is_none() { in_force + 1 } else { in_force };
            self.older.drain(..first_kept);
        }
        false
    }
}

impl Version {
    fn of(entry: &Entry) -> Version {
        Version {
            modified: entry.modified,
            created: entry.created,
            version: entry.version,
            lease: entry.lease,
            value: Some(entry.value.clone()),
        }
    }

    fn deleted(revision: Revision) -> Version {
        Version { modified: revision, created: Revision::ZERO, version: 0, lease: None, value: None }
    }

    fn entry(&self, key: &Key) -> Option<Entry> {
        Some(Entry {
            key: key.clone(),
            value: self.value.clone()?,
            created: self.created,
            modified: self.modified,
            version: self.version,
            lease: self.lease,
        })
    }
}

fn size_bytes(key: &Key, value: &Bytes) -> u64 {
    (key.len() + value.len()) as u64
}
