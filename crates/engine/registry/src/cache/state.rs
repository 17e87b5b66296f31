//! What the cache knows at one moment.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use env::time::Instant;
use store::{Key, Revision};

use super::Cached;

/// Most changes that are remembered for watchers that come back.
const CHANGES_MAX: usize = 16_384;
/// Changes that are remembered however old they are, so that watchers of what rarely changes find their place.
const CHANGES_MIN: usize = 128;
/// How long further changes are remembered. Watchers hear of revisions every minute; upstream remembers 75 s at least.
const CHANGES_AGE_MAX: Duration = Duration::from_secs(120);
/// Most bytes of objects that only those changes still hold.
const CHANGES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One change.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The object after it; for a deletion the last state, at the deletion's revision.
    pub(crate) object: Arc<Cached>,
    /// The object before it.
    pub(crate) old: Option<Arc<Cached>>,
    /// What happened.
    pub(crate) moved: Moved,
    /// When this server heard of it.
    pub(crate) at: Instant,
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    Added,
    Modified,
    Deleted,
}

/// What a watcher finds when it looks.
#[derive(Debug)]
pub(crate) enum Read {
    /// The next changes and the position behind them; none when it has seen everything.
    Changes(Vec<Arc<Entry>>, u64),
    /// The ring has gone past its position.
    Behind,
}

/// Objects, and the ring of changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<Key, Arc<Cached>>,
    ring: VecDeque<Arc<Entry>>,
    ring_bytes: usize,
    /// Changes that have left the ring, or never were in it.
    before_ring: u64,
    /// Every change of a later revision than this is in the ring.
    known_since: Revision,
}

impl State {
    /// Starts over with `objects` as of `revision`.
    pub(super) fn reset(&mut self, objects: BTreeMap<Key, Arc<Cached>>, revision: Revision) {
        self.before_ring = self.end();
        self.ring.clear();
        self.ring_bytes = 0;
        self.objects = objects;
        self.known_since = revision;
    }

    /// Applies one change.
    pub(super) fn apply(&mut self, entry: Entry) {
        match entry.moved {
            Moved::Deleted => self.objects.remove(entry.object.key()),
            Moved::Added | Moved::Modified => {
                self.objects.insert(entry.object.key().clone(), Arc::clone(&entry.object))
            }
        };
        let now = entry.at;
        self.ring_bytes += entry.object.stored().len();
        self.ring.push_back(Arc::new(entry));
        while self.is_too_much(now) {
            let Some(gone) = self.ring.pop_front() else { break };
            self.ring_bytes -= gone.object.stored().len();
            self.known_since = gone.object.revision();
            self.before_ring += 1;
        }
    }

    /// Whether the oldest change is one too many.
    fn is_too_much(&self, now: Instant) -> bool {
        let changes = self.ring.len();
        let old = || self.ring.front().is_some_and(|oldest| now.duration_since(oldest.at) > CHANGES_AGE_MAX);
        changes > CHANGES_MAX || self.ring_bytes > CHANGES_BYTES_MAX || (changes > CHANGES_MIN && old())
    }

    /// The position behind the last change.
    pub(super) fn end(&self) -> u64 {
        self.before_ring + self.ring.len() as u64
    }

    pub(super) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<Cached>> {
        let from = self.objects.range(Key::from(prefix)..);
        from.take_while(move |(key, _)| key.as_bytes().starts_with(prefix.as_bytes())).map(|(_, object)| object)
    }

    pub(super) fn read(&self, after: u64, entries_max: usize) -> Read {
        let Some(skip) = after.checked_sub(self.before_ring) else { return Read::Behind };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(self.ring.len());
        let entries: Vec<Arc<Entry>> = self.ring.iter().skip(skip).take(entries_max).cloned().collect();
        let position = self.before_ring + (skip + entries.len()) as u64;
        Read::Changes(entries, position)
    }

    pub(super) fn position_of(&self, revision: Revision) -> Option<u64> {
        if revision < self.known_since {
            return None;
        }
        let before = self.ring.partition_point(|entry| entry.object.revision() <= revision);
        Some(self.before_ring + before as u64)
    }
}

#[cfg(test)]
mod tests;
