//! The one thread that writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{oneshot, watch};

use crate::limits::GROUP_BYTES_MAX;
use crate::mvcc::{Mvcc, Staging};
use crate::{Error, LeaseId, Outcome};

use super::journal::{DiskError, Group, Journal};
use super::queue::{Command, Queue};

/// Takes commands in groups, makes each group durable with one sync, then visible, then answers.
#[derive(Debug)]
pub(super) struct Committer {
    mvcc: Arc<Mvcc>,
    queue: Arc<Queue>,
    failure: Arc<Failure>,
    journal: Box<dyn Journal>,
}

/// Answers that wait for the sync.
enum Decided {
    Txn(oneshot::Sender<Result<Outcome, Error>>, Result<Outcome, Error>),
    Grant(oneshot::Sender<Result<LeaseId, Error>>, Result<LeaseId, Error>),
    End(oneshot::Sender<Result<(), Error>>, Result<(), Error>),
}

impl Committer {
    pub(super) fn new(
        mvcc: Arc<Mvcc>,
        queue: Arc<Queue>,
        failure: Arc<Failure>,
        journal: Box<dyn Journal>,
    ) -> Committer {
        Committer { mvcc, queue, failure, journal }
    }

    /// Serves until the queue is closed.
    pub(super) fn run(mut self) {
        let _last_words = LastWords(self.failure.clone(), self.queue.clone());
        let mut waiting = VecDeque::new();
        while self.queue.take(&mut waiting) {
            while !waiting.is_empty() {
                self.serve_group(&mut waiting);
            }
        }
    }

    /// Serves as many of the waiting commands as may share a sync.
    fn serve_group(&mut self, waiting: &mut VecDeque<Command>) {
        let (group, ended, mut decided) = self.decide(waiting);
        let written = match self.failure.get() {
            Some(error) => Err(error),
            None if group.is_empty() => Ok(()),
            None => self.journal.append(&group).map_err(|error| self.failure.set(error)),
        };
        match written {
            Ok(()) => {
                self.failure.note_size(self.journal.size_bytes());
                self.mvcc.apply(group.commits);
                if let Some(lease) = ended {
                    self.mvcc.leases().lock().remove(lease);
                }
            }
            // Even a refusal may rest on what did not become durable.
            Err(error) => decided.iter_mut().for_each(|decided| decided.fail(&error)),
        }
        decided.into_iter().for_each(Decided::send);
    }

    fn decide(&self, waiting: &mut VecDeque<Command>) -> (Group, Option<LeaseId>, Vec<Decided>) {
        let mut group = Group::default();
        let mut ended = None;
        let mut decided = Vec::with_capacity(waiting.len());
        let mut staging = Staging::new(&self.mvcc);
        let mut bytes = 0;
        while bytes < GROUP_BYTES_MAX && ended.is_none() {
            let Some(command) = waiting.pop_front() else { break };
            match command {
                Command::Txn { txn, reply } => {
                    bytes += txn.size_bytes();
                    decided.push(Decided::Txn(reply, staging.stage(&txn)));
                }
                Command::Grant { ttl, reply } => decided.push(Decided::Grant(reply, self.grant(ttl, &mut group))),
                // What is attached to a lease is known when all before is applied: it stands alone.
                Command::End { .. } if !decided.is_empty() => {
                    waiting.push_front(command);
                    break;
                }
                Command::End { lease, reply } => {
                    let result = staging.stage_lease_end(lease);
                    if result.is_ok() {
                        ended = Some(lease);
                        group.leases_ended.push(lease);
                    }
                    decided.push(Decided::End(reply, result));
                }
            }
        }
        group.commits = staging.into_commits();
        (group, ended, decided)
    }

    fn grant(&self, ttl: std::time::Duration, group: &mut Group) -> Result<LeaseId, Error> {
        let mut leases = self.mvcc.leases().lock();
        let lease = leases.propose(ttl, env::time::now())?;
        // Known from here on, so that the next transaction of this group may attach to it.
        leases.insert(&lease);
        let id = lease.id;
        group.leases_granted.push(lease);
        Ok(id)
    }
}

impl Decided {
    fn fail(&mut self, error: &Error) {
        match self {
            Decided::Txn(_, result) => *result = Err(error.clone()),
            Decided::Grant(_, result) => *result = Err(error.clone()),
            Decided::End(_, result) => *result = Err(error.clone()),
        }
    }

    fn send(self) {
        let received = match self {
            Decided::Txn(reply, result) => reply.send(result).is_ok(),
            Decided::Grant(reply, result) => reply.send(result).is_ok(),
            Decided::End(reply, result) => reply.send(result).is_ok(),
        };
        if !received {
            tracing::trace!("the author of a write did not wait for its outcome");
        }
    }
}

/// Whether the disk has failed, for everybody who must know; and, beside it, how much it holds.
#[derive(Debug)]
pub(super) struct Failure {
    error: watch::Sender<Option<Error>>,
    size_bytes: AtomicU64,
}

impl Failure {
    pub(super) fn new(size_bytes: u64) -> Failure {
        Failure { error: watch::Sender::new(None), size_bytes: AtomicU64::new(size_bytes) }
    }

    pub(super) fn get(&self) -> Option<Error> {
        self.error.borrow().clone()
    }

    fn set(&self, error: DiskError) -> Error {
        tracing::error!(error = &*error as &dyn std::error::Error, "a write to the store's file failed");
        let error = Error::Poisoned(Arc::from(error));
        self.error.send_replace(Some(error.clone()));
        error
    }

    pub(super) async fn wait(&self) -> Error {
        let mut seen = self.error.subscribe();
        let failed = seen.wait_for(Option::is_some).await.expect("the sender lives as long as this borrow");
        failed.clone().expect("it was waited for")
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes.load(Ordering::Relaxed)
    }

    fn note_size(&self, size_bytes: u64) {
        self.size_bytes.store(size_bytes, Ordering::Relaxed);
    }
}

/// A committer that panics must not leave writers waiting for ever.
struct LastWords(Arc<Failure>, Arc<Queue>);

impl Drop for LastWords {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set("the committer panicked".into());
            self.1.close();
            self.1.discard();
        }
    }
}
