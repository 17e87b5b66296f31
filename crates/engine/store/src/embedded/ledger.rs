//! The journal: a log that every group is appended to with one write and one sync, and a B-tree that holds what has left
//! the log.
//!
//! The log is two files used in turns. When one is full the groups in it are folded into the tree, all in one
//! transaction of the tree and on a thread of its own, while the other file takes what comes; what was written and
//! overwritten meanwhile never reaches the tree. The tree knows the number of the last record folded into it, so that
//! at a start exactly those behind it are replayed.
//!
//! Invariants
//! - A file is used anew only when all of its records are in the tree.
//! - Records are numbered without gaps across both files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use redb::StorageBackend;

use crate::mvcc::{Lease, Snapshot};
use crate::{Entry, Error, Event, Key, LeaseId};

use super::btree::TreeFile;
use super::journal::{DiskError, Group, Journal};
use super::log::Log;
use super::record::{self, Record};

/// A buffer for records that has grown beyond this is not kept.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Ledger {
    tree: Place,
    logs: [Log; 2],
    /// Which of them takes the next record.
    current: usize,
    log_bytes_max: u64,
    /// The number of the last record.
    last: u64,
    /// What is in the log and not on its way into the tree.
    unfolded: Group,
    buffer: Vec<u8>,
    tree_bytes: u64,
}

/// Where the tree is.
#[derive(Debug)]
enum Place {
    Here(Box<TreeFile>),
    /// With the thread that folds records into it.
    Folding(JoinHandle<Result<Box<TreeFile>, DiskError>>),
    /// Nowhere any more: folding failed.
    Lost,
}

impl Ledger {
    /// Joins a tree with what the log knows beyond it.
    pub(super) fn open(
        (tree, mut snapshot): (TreeFile, Snapshot),
        media: [Box<dyn StorageBackend>; 2],
        log_bytes_max: u64,
    ) -> Result<(Ledger, Snapshot), Error> {
        let folded = tree.folded();
        let [first, second] = media;
        let (first, second) = (Log::open(first)?, Log::open(second)?);
        let of = |records: &[Record]| records.last().map_or(0, |record| record.number);
        let current = usize::from(of(&second.1) > of(&first.1));
        let last = of(&first.1).max(of(&second.1)).max(folded);
        let both_count = of(&first.1).min(of(&second.1)) > folded;
        let mut records: Vec<Record> = first.1.into_iter().chain(second.1).collect();
        records.retain(|record| record.number > folded);
        records.sort_unstable_by_key(|record| record.number);
        let unfolded = replay(records, folded, &mut snapshot)?;
        let tree_bytes = tree.size_bytes();
        let logs = [first.0, second.0];
        let (tree, buffer) = (Place::Here(Box::new(tree)), Vec::new());
        let mut ledger = Ledger { tree, logs, current, log_bytes_max, last, unfolded, buffer, tree_bytes };
        let failed = |source: DiskError| Error::Open { path: "(the log)".to_owned(), source: Arc::from(source) };
        if both_count {
            // The last folding did not come to its end. Without it there is no file to go on with.
            ledger.fold().and_then(|()| ledger.settle()).map_err(failed)?;
        }
        if ledger.last == folded || both_count {
            ledger.turn_to(usize::from(both_count) ^ current).map_err(|error| failed(error.into()))?;
        }
        Ok((ledger, snapshot))
    }

    fn turn_to(&mut self, log: usize) -> std::io::Result<()> {
        self.current = log;
        self.logs[log].begin(self.last + 1)
    }

    /// Sends what the log holds on its way into the tree, which must be here.
    fn fold(&mut self) -> Result<(), DiskError> {
        let Place::Here(mut tree) = std::mem::replace(&mut self.tree, Place::Lost) else {
            return Err("the tree is not here".into());
        };
        let (group, last) = (std::mem::take(&mut self.unfolded), self.last);
        let thread = std::thread::Builder::new().name("store-folder".to_owned());
        let work = move || {
            tree.fold(&group, last)?;
            Ok(tree)
        };
        self.tree = Place::Folding(thread.spawn(work)?);
        Ok(())
    }

    /// Waits until the tree is here.
    fn settle(&mut self) -> Result<(), DiskError> {
        let folding = match std::mem::replace(&mut self.tree, Place::Lost) {
            Place::Folding(folding) => folding,
            Place::Here(tree) => {
                self.tree = Place::Here(tree);
                return Ok(());
            }
            Place::Lost => return Err("the tree is lost".into()),
        };
        let tree = folding.join().map_err(|_panic| "the thread that folds panicked")??;
        self.tree_bytes = tree.size_bytes();
        self.tree = Place::Here(tree);
        Ok(())
    }

    /// Notices early when folding has failed.
    fn check_folding(&mut self) -> Result<(), DiskError> {
        match &self.tree {
            Place::Folding(folding) if folding.is_finished() => self.settle(),
            Place::Lost => Err("the tree is lost".into()),
            Place::Folding(_) | Place::Here(_) => Ok(()),
        }
    }
}

impl Journal for Ledger {
    fn append(&mut self, group: &Group) -> Result<(), DiskError> {
        self.check_folding()?;
        let number = self.last + 1;
        self.buffer.clear();
        record::write(group, number, self.logs[self.current].salt(), &mut self.buffer);
        let is_full = self.logs[self.current].end_after(self.buffer.len()) > self.log_bytes_max;
        if is_full && !self.unfolded.is_empty() {
            self.settle()?;
            self.fold()?;
            self.turn_to(1 - self.current)?;
            self.buffer.clear();
            record::write(group, number, self.logs[self.current].salt(), &mut self.buffer);
        }
        self.logs[self.current].append(&self.buffer)?;
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        self.last = number;
        self.unfolded.commits.extend(group.commits.iter().cloned());
        self.unfolded.leases_granted.extend(group.leases_granted.iter().cloned());
        self.unfolded.leases_ended.extend(&group.leases_ended);
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.tree_bytes + self.logs.iter().map(Log::length).sum::<u64>()
    }
}

impl Drop for Ledger {
    /// The tree's file is let go of before whoever waits for this opens it again.
    fn drop(&mut self) {
        if let Err(error) = self.settle() {
            tracing::error!(%error, "the log could not be folded");
        }
    }
}

/// Applies records to a snapshot, and returns them as the group that they are to the tree.
fn replay(records: Vec<Record>, folded: u64, snapshot: &mut Snapshot) -> Result<Group, Error> {
    let mut group = Group::default();
    if records.is_empty() {
        return Ok(group);
    }
    let entries = std::mem::take(&mut snapshot.entries).into_iter();
    let mut state: BTreeMap<Key, Entry> = entries.map(|entry| (entry.key.clone(), entry)).collect();
    let mut leases: BTreeMap<LeaseId, Lease> = snapshot.leases.drain(..).map(|lease| (lease.id, lease)).collect();
    for (expected, record) in (folded + 1..).zip(records) {
        if record.number != expected {
            return Err(Error::corrupt(format!("the log goes on with record {}, not {expected}", record.number)));
        }
        let said = record.open()?;
        for transaction in said.transactions {
            if transaction.revision != snapshot.revision.next() {
                let (found, before) = (transaction.revision, snapshot.revision);
                return Err(Error::corrupt(format!("the log goes on with revision {found} after {before}")));
            }
            snapshot.revision = transaction.revision;
            let commit = transaction.into_commit(|key| state.get(key).cloned());
            commit.events.iter().for_each(|event| apply(event, &mut state));
            group.commits.push(commit);
        }
        leases.extend(said.leases_granted.iter().map(|lease| (lease.id, lease.clone())));
        for lease in &said.leases_ended {
            leases.remove(lease);
        }
        group.leases_granted.extend(said.leases_granted);
        group.leases_ended.extend(said.leases_ended);
    }
    snapshot.entries = state.into_values().collect();
    snapshot.leases = leases.into_values().collect();
    Ok(group)
}

fn apply(event: &Event, state: &mut BTreeMap<Key, Entry>) {
    match event.entry() {
        Some(entry) => drop(state.insert(entry.key.clone(), entry.clone())),
        None => drop(state.remove(event.key())),
    }
}
