//! The engine for one machine: multi-version state in memory, made durable by a journal with group commit.
//!
//! All writes go through one thread, the [`committer`]: it takes whatever requests wait, decides them on the state in
//! memory, hands the changes of all of them to the [`journal`] as one batch with one sync, and only then makes them
//! visible and answers. On disk that is one record of a log; a B-tree takes what has left the log ([`ledger`]). While it syncs, the next batch gathers. Reads and watches never touch the disk.
//!
//! What is durable: the newest value of every key, the revision, the leases with their deadlines. History is not: at
//! every start the store is compacted to the revision at which it was opened, and watches from before it fail with
//! [`Error::Compacted`], upon which watch caches list again. So the file is bounded by what is live.
//!
//! One store, one process: a second one is refused with [`Error::InUse`].
//!
//! Invariants
//! - Nothing is acknowledged or visible before its sync has succeeded.
//! - After a failed write or sync nothing is ever written again: the file may hold the batch or not, and only a restart
//!   can tell. [`Embedded::failed`] tells the process to end.

mod btree;
mod committer;
mod crc;
pub(crate) mod fuzz;
mod journal;
mod ledger;
mod log;
mod queue;
mod record;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use redb::StorageBackend;
use redb::backends::FileBackend;
use tokio::sync::oneshot;

use env::task::{Fate, Owned};

use crate::limits::{HISTORY_BYTES_MAX, LOG_BYTES_MAX};
use crate::mvcc::{Leases, Mvcc, Snapshot};
use crate::{Answer, Error, Got, Key, LeaseId, Outcome, Page, Range, Revision, Status, Store, Txn, Watch, Watcher};

use btree::TreeFile;
use committer::{Committer, Failure};
use journal::Journal;
use ledger::Ledger;
use queue::{Command, Queue};

/// See the module's documentation.
#[derive(Debug)]
pub struct Embedded {
    mvcc: Arc<Mvcc>,
    queue: Arc<Queue>,
    failure: Arc<Failure>,
    committer: Option<JoinHandle<()>>,
    _expiry: Owned<()>,
}

/// How an embedded store behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most bytes of superseded values kept in memory for reads of the past and for watches.
    pub history_bytes_max: usize,
    /// The most bytes of one of the two files of the log: at a start, up to twice as much is read and replayed.
    pub log_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { history_bytes_max: HISTORY_BYTES_MAX, log_bytes_max: LOG_BYTES_MAX }
    }
}

impl Embedded {
    /// Opens the store in the file `path` and two files of a log beside it, which are made when they are missing; their
    /// folder must exist.
    ///
    /// # Errors
    /// [`Error::InUse`] when another process has it open, [`Error::Corrupt`] when it holds something else,
    /// [`Error::Open`] when it cannot be read.
    pub async fn open(path: &Path, options: Options) -> Result<Embedded, Error> {
        let path = path.to_owned();
        let (journal, snapshot) = env::task::blocking(move || open_files(&path, options.log_bytes_max)).await?;
        Ok(Embedded::start(journal, snapshot, options))
    }

    fn start(journal: impl Journal + 'static, snapshot: Snapshot, options: Options) -> Embedded {
        let mvcc = Arc::new(Mvcc::new(snapshot, options.history_bytes_max));
        let queue = Arc::new(Queue::default());
        let failure = Arc::new(Failure::new(journal.size_bytes()));
        let committer = Committer::new(mvcc.clone(), queue.clone(), failure.clone(), Box::new(journal));
        let thread = std::thread::Builder::new().name("store-committer".to_owned()).spawn(move || committer.run());
        let committer = Some(thread.expect("a process that starts can start one thread more"));
        let expiry = env::task::spawn(Fate::Vital, "store-leases", expire(mvcc.clone(), queue.clone()));
        Embedded { mvcc, queue, failure, committer, _expiry: expiry.abort_on_drop() }
    }

    /// Waits until a write to disk fails. The process should then end and be started again.
    pub async fn failed(&self) -> Error {
        self.failure.wait().await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(command(reply)).await?;
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(Error::OutcomeUnknown { message: "the committer ended".to_owned() }),
        }
    }
}

fn open_files(path: &Path, log_bytes_max: u64) -> Result<(Ledger, Snapshot), Error> {
    // The tree first: its lock says whether another process has the store.
    let tree = TreeFile::open(path)?;
    let medium = |number: usize| -> Result<Box<dyn StorageBackend>, Error> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let path = path.with_file_name(format!("{name}.log-{number}"));
        let failed =
            |source: journal::DiskError| Error::Open { path: path.display().to_string(), source: source.into() };
        let file = env::fs::open_or_create(&path, env::fs::PRIVATE).map_err(|error| failed(error.into()))?;
        Ok(Box::new(FileBackend::new(file).map_err(|error| failed(error.into()))?))
    };
    Ledger::open(tree, [medium(0)?, medium(1)?], log_bytes_max)
}

/// Ends leases as they fall due.
async fn expire(mvcc: Arc<Mvcc>, queue: Arc<Queue>) {
    loop {
        let lease = Leases::wait_for_end(mvcc.leases()).await;
        let (reply, ended) = oneshot::channel();
        if queue.push(Command::End { lease, reply }).await.is_err() {
            return;
        }
        match ended.await {
            Ok(Err(Error::Poisoned(_))) | Err(_) => return,
            Ok(Err(error)) => tracing::debug!(%lease, %error, "a lease was revoked as it expired"),
            Ok(Ok(())) => {}
        }
    }
}

impl Drop for Embedded {
    /// Waits for what is queued to become durable, and closes the file.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(committer) = self.committer.take()
            && committer.join().is_err()
        {
            tracing::error!("the store's committer panicked");
        }
    }
}

impl Store for Embedded {
    fn get<'a>(&'a self, key: &'a Key, at: Option<Revision>) -> Answer<'a, Got> {
        Box::pin(async move { self.mvcc.get(key, at) })
    }

    fn range(&self, range: Range) -> Answer<'_, Page> {
        Box::pin(async move { Ok(self.mvcc.scan(range)?.run().await) })
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        Box::pin(async move {
            txn.check()?;
            self.ask(|reply| Command::Txn { txn, reply }).await
        })
    }

    fn watch(&self, watch: Watch) -> Answer<'_, Watcher> {
        Box::pin(async move { self.mvcc.watch(watch) })
    }

    fn lease_grant(&self, ttl: Duration) -> Answer<'_, LeaseId> {
        Box::pin(self.ask(move |reply| Command::Grant { ttl, reply }))
    }

    fn lease_revoke(&self, lease: LeaseId) -> Answer<'_, ()> {
        Box::pin(self.ask(move |reply| Command::End { lease, reply }))
    }

    fn compact(&self, revision: Revision) -> Answer<'_, ()> {
        Box::pin(async move { self.mvcc.compact(revision) })
    }

    fn status(&self) -> Answer<'_, Status> {
        Box::pin(async move {
            Ok(Status {
                revision: self.mvcc.revision(),
                size_bytes: self.failure.size_bytes(),
                engine: format!("embedded {}", journal::FORMAT),
                progress_on_request: true,
            })
        })
    }
}
