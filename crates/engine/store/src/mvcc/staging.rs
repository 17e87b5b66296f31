//! Deciding transactions, before they are durable or visible.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Change, Compare, Entry, Error, Event, Key, LeaseId, Op, Outcome, Revision, Txn};

use super::{Commit, Mvcc};

/// A run of transactions, each decided on the state that the ones before it will leave.
///
/// There must be one staging at a time, and its commits must be applied before the next one.
#[derive(Debug)]
pub(crate) struct Staging<'a> {
    mvcc: &'a Mvcc,
    revision: Revision,
    overlay: HashMap<Key, Option<Entry>>,
    commits: Vec<Arc<Commit>>,
}

impl<'a> Staging<'a> {
    pub(crate) fn new(mvcc: &'a Mvcc) -> Staging<'a> {
        Staging { mvcc, revision: mvcc.revision(), overlay: HashMap::new(), commits: Vec::new() }
    }

    /// Decides one transaction.
    pub(crate) fn stage(&mut self, txn: &Txn) -> Result<Outcome, Error> {
        txn.check()?;
        self.check_leases(txn)?;
        let current: Vec<_> = txn.compares.iter().map(|compare| self.current(&compare.key)).collect();
        if !txn.compares.iter().zip(&current).all(|(compare, entry)| holds(compare, entry.as_ref())) {
            return Ok(Outcome::Conflict { revision: self.revision, current });
        }
        let next = self.revision.next();
        let events: Vec<_> = txn.ops.iter().filter_map(|op| self.event(op, next)).collect();
        self.commit(events);
        Ok(Outcome::Committed { revision: self.revision })
    }

    /// Deletes the keys of a lease, as one transaction.
    pub(crate) fn stage_lease_end(&mut self, lease: LeaseId) -> Result<(), Error> {
        let keys = self.mvcc.leases.lock().keys(lease)?;
        let next = self.revision.next();
        let events = keys.into_iter().filter_map(|key| self.event(&Op::Delete { key }, next)).collect();
        self.commit(events);
        Ok(())
    }

    /// What was decided, in the order of revisions.
    pub(crate) fn into_commits(self) -> Vec<Arc<Commit>> {
        self.commits
    }

    fn commit(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        self.revision = self.revision.next();
        for event in &events {
            self.overlay.insert(event.key().clone(), event.entry().cloned());
        }
        self.commits.push(Arc::new(Commit { revision: self.revision, events }));
    }

    fn current(&self, key: &Key) -> Option<Entry> {
        match self.overlay.get(key) {
            Some(staged) => staged.clone(),
            None => self.mvcc.index.read().entry(key),
        }
    }

    fn check_leases(&self, txn: &Txn) -> Result<(), Error> {
        let mut wanted = txn.ops.iter().filter_map(Op::lease).peekable();
        if wanted.peek().is_none() {
            return Ok(());
        }
        let leases = self.mvcc.leases.lock();
        wanted.try_for_each(|lease| leases.check(lease))
    }

    /// The event that `op` makes at `revision`; none for deleting what is absent.
    fn event(&self, op: &Op, revision: Revision) -> Option<Event> {
        let prev = self.current(op.key());
        let change = match op {
            Op::Put { key, value, lease } => Change::Put(Entry {
                // An existing key's bytes are shared with the index instead of kept twice.
                key: prev.as_ref().map_or(key, |prev| &prev.key).clone(),
                value: value.clone(),
                created: prev.as_ref().map_or(revision, |prev| prev.created),
                modified: revision,
                version: prev.as_ref().map_or(0, |prev| prev.version) + 1,
                lease: *lease,
            }),
            Op::Delete { .. } => Change::Delete { key: prev.as_ref()?.key.clone(), revision },
        };
        Some(Event { change, prev })
    }
}

fn holds(compare: &Compare, entry: Option<&Entry>) -> bool {
    entry.map_or(Revision::ZERO, |entry| entry.modified) == compare.modified
}
