//! Multi-version state in memory: what the in-process engines read from and watch.
//!
//! Three parts, each under a lock of its own, always taken in this order and never held across a wait:
//! the [`index`] (key → versions), the [`leases`], and the [`history`] (a ring of commits, with the watchers).
//! One writer at a time: [`Staging`] decides transactions against the index without changing it, its commits are then
//! made durable by whoever must, and [`Mvcc::apply`] makes them visible, first to readers, then to watchers.
//!
//! It is deliberately ignorant of durability and of time.
//!
//! Invariants
//! - The ring holds the commits of consecutive revisions up to the current one.
//! - A version is dropped only when no permitted read can ask for it: it is superseded at or below both the compacted
//!   revision and every revision that a running scan has pinned.

mod history;
mod index;
mod leases;
mod scan;
mod staging;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::{Entry, Error, Event, Got, Key, Range, Revision, Watch, Watcher};

use history::History;
use index::Index;
pub(crate) use leases::{Lease, Leases};
pub(crate) use scan::Scan;
pub(crate) use staging::Staging;

/// How many commits are applied, or pruned, while readers wait.
const COMMITS_PER_LOCK: usize = 256;

/// One transaction's changes.
#[derive(Debug, PartialEq)]
pub(crate) struct Commit {
    pub(crate) revision: Revision,
    pub(crate) events: Vec<Event>,
}

/// The state that a restart begins with.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) revision: Revision,
    pub(crate) entries: Vec<Entry>,
    pub(crate) leases: Vec<Lease>,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Mvcc {
    index: RwLock<Index>,
    leases: Mutex<Leases>,
    history: RwLock<History>,
    /// How many scans run at each revision.
    pins: Mutex<BTreeMap<Revision, usize>>,
}

impl Mvcc {
    /// State that begins with `snapshot`, whose history is gone.
    pub(crate) fn new(snapshot: Snapshot, history_bytes_max: usize) -> Mvcc {
        let mut leases = Leases::new(snapshot.leases);
        for entry in &snapshot.entries {
            leases.attach(entry.lease, &entry.key);
        }
        let history = History::new(snapshot.revision, history_bytes_max);
        let index = Index::new(snapshot.revision, snapshot.entries);
        Mvcc {
            index: RwLock::new(index),
            leases: Mutex::new(leases),
            history: RwLock::new(history),
            pins: Mutex::default(),
        }
    }

    /// The revision of the last visible transaction.
    pub(crate) fn revision(&self) -> Revision {
        self.index.read().revision()
    }

    /// The bytes of the newest keys and values.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.index.read().live_bytes()
    }

    /// One entry, now or at a revision.
    pub(crate) fn get(&self, key: &Key, at: Option<Revision>) -> Result<Got, Error> {
        let index = self.index.read();
        let revision = index.revision();
        let entry = index.entry_at(key, index.readable(at)?);
        Ok(Got { entry, revision })
    }

    /// Begins to read a span, piece by piece.
    pub(crate) fn scan(&self, range: Range) -> Result<Scan<'_>, Error> {
        let index = self.index.read();
        let at = index.readable(range.at)?;
        // Pinned before the index is let go: nobody can compact in between.
        *self.pins.lock().entry(at).or_default() += 1;
        let current = index.revision();
        drop(index);
        Ok(Scan::new(self, range, at, current))
    }

    fn unpin(&self, at: Revision) {
        let mut pins = self.pins.lock();
        let scans = pins.get_mut(&at).expect("every scan pinned its revision");
        *scans -= 1;
        if *scans == 0 {
            pins.remove(&at);
        }
    }

    /// Makes staged commits visible. Their revisions continue the current one.
    pub(crate) fn apply(&self, commits: Vec<Arc<Commit>>) {
        let mut over_bound = false;
        for group in commits.chunks(COMMITS_PER_LOCK) {
            let mut index = self.index.write();
            group.iter().for_each(|commit| index.apply(commit));
            drop(index);
            self.note_leases(group);
            let mut history = self.history.write();
            let woken = history.append(group);
            over_bound = history.is_over_bound();
            drop(history);
            woken.iter().for_each(|cursor| cursor.wake());
        }
        if over_bound {
            self.trim();
        }
    }

    fn note_leases(&self, commits: &[Arc<Commit>]) {
        let leased = |entry: Option<&Entry>| entry.and_then(|entry| entry.lease);
        let events = commits.iter().flat_map(|commit| &commit.events);
        for event in events.filter(|event| leased(event.prev.as_ref()).or_else(|| leased(event.entry())).is_some()) {
            let mut leases = self.leases.lock();
            leases.detach(leased(event.prev.as_ref()), event.key());
            leases.attach(leased(event.entry()), event.key());
        }
    }

    /// The leases. Must not be held while another part of the state is asked for.
    pub(crate) fn leases(&self) -> &Mutex<Leases> {
        &self.leases
    }

    /// Watches a span.
    pub(crate) fn watch(self: &Arc<Self>, watch: Watch) -> Result<Watcher, Error> {
        let cursor = self.history.write().register(watch)?;
        Ok(Watcher::new(watch::Following::new(self.clone(), cursor)))
    }

    /// Forgets what only reads and watches from before `revision` need.
    pub(crate) fn compact(&self, revision: Revision) -> Result<(), Error> {
        let mut index = self.index.write();
        index.set_compacted(revision)?;
        drop(index);
        self.history.write().set_replay_from(revision);
        self.prune(revision);
        Ok(())
    }

    /// Compacts as far as the history's bound demands.
    fn trim(&self) {
        let Some(revision) = self.history.read().bound_revision() else { return };
        if let Err(error) = self.compact(revision) {
            // Compacted further already, but a scan may have kept some of it, which it perhaps needs no more.
            tracing::debug!(%error, "the history is compacted already");
            self.prune(revision);
        }
    }

    fn prune(&self, compacted: Revision) {
        let pinned = self.pins.lock().first_key_value().map(|(revision, _)| *revision);
        let floor = pinned.map_or(compacted, |pinned| pinned.min(compacted));
        loop {
            let commits = self.history.write().take_below(floor, COMMITS_PER_LOCK);
            if commits.is_empty() {
                break;
            }
            self.index.write().prune(&commits, floor);
        }
        // The commit at the floor stays for watchers, but what it superseded is out of reach.
        let at_floor = self.history.read().at(floor);
        self.index.write().prune(at_floor.as_slice(), floor);
    }
}
