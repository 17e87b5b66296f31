//! The engine that only remembers: multi-version state without durability.
//!
//! It is the model that the other engines are compared with, and the store of simulated clusters: it starts no thread,
//! takes its time and chance from `env`, and every call is done when it returns.
//!
//! It must be made inside a runtime, for one task waits for leases to end.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use env::task::{Fate, Owned};

use crate::limits::HISTORY_BYTES_MAX;
use crate::mvcc::{Leases, Mvcc, Snapshot, Staging};
use crate::{Answer, Error, Got, Key, LeaseId, Outcome, Page, Range, Revision, Status, Store, Txn, Watch, Watcher};

/// See the module's documentation.
#[derive(Debug)]
pub struct Memory {
    state: Arc<State>,
    _expiry: Owned<()>,
}

#[derive(Debug)]
struct State {
    mvcc: Arc<Mvcc>,
    /// Held from a transaction's decision until it is visible.
    writer: Mutex<()>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new(HISTORY_BYTES_MAX)
    }
}

impl Memory {
    /// An empty store that keeps at most `history_bytes_max` of superseded values.
    pub fn new(history_bytes_max: usize) -> Memory {
        let mvcc = Arc::new(Mvcc::new(Snapshot::default(), history_bytes_max));
        let state = Arc::new(State { mvcc, writer: Mutex::new(()) });
        let expiry = env::task::spawn(Fate::Vital, "store-leases", expire(state.clone()));
        Memory { state, _expiry: expiry.abort_on_drop() }
    }
}

async fn expire(state: Arc<State>) {
    loop {
        let lease = Leases::wait_for_end(state.mvcc.leases()).await;
        if let Err(error) = state.end(lease) {
            tracing::debug!(%lease, %error, "a lease was revoked as it expired");
        }
    }
}

impl State {
    fn txn(&self, txn: &Txn) -> Result<Outcome, Error> {
        let _writer = self.writer.lock();
        let mut staging = Staging::new(&self.mvcc);
        let outcome = staging.stage(txn)?;
        self.mvcc.apply(staging.into_commits());
        Ok(outcome)
    }

    fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        let mut leases = self.mvcc.leases().lock();
        let lease = leases.propose(ttl, env::time::now())?;
        leases.insert(&lease);
        Ok(lease.id)
    }

    fn end(&self, lease: LeaseId) -> Result<(), Error> {
        let _writer = self.writer.lock();
        let mut staging = Staging::new(&self.mvcc);
        staging.stage_lease_end(lease)?;
        self.mvcc.apply(staging.into_commits());
        self.mvcc.leases().lock().remove(lease);
        Ok(())
    }
}

impl Store for Memory {
    fn get<'a>(&'a self, key: &'a Key, at: Option<Revision>) -> Answer<'a, Got> {
        Box::pin(async move { self.state.mvcc.get(key, at) })
    }

    fn range(&self, range: Range) -> Answer<'_, Page> {
        Box::pin(async move { Ok(self.state.mvcc.scan(range)?.run().await) })
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        Box::pin(async move { self.state.txn(&txn) })
    }

    fn watch(&self, watch: Watch) -> Answer<'_, Watcher> {
        Box::pin(async move { self.state.mvcc.watch(watch) })
    }

    fn lease_grant(&self, ttl: Duration) -> Answer<'_, LeaseId> {
        Box::pin(async move { self.state.grant(ttl) })
    }

    fn lease_revoke(&self, lease: LeaseId) -> Answer<'_, ()> {
        Box::pin(async move { self.state.end(lease) })
    }

    fn compact(&self, revision: Revision) -> Answer<'_, ()> {
        Box::pin(async move { self.state.mvcc.compact(revision) })
    }

    fn status(&self) -> Answer<'_, Status> {
        Box::pin(async move {
            Ok(Status {
                revision: self.state.mvcc.revision(),
                size_bytes: self.state.mvcc.size_bytes(),
                engine: "memory".to_owned(),
                progress_on_request: true,
            })
        })
    }
}
