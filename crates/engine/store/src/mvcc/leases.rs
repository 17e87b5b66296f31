//! Leases: which keys end together, and when.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::limits::{LEASE_TTL_SECONDS_MAX, LEASES_MAX};
use crate::{Error, Key, LeaseId};

/// A lease as it is kept on disk: the deadline is wall-clock time, so that a restart does not lengthen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) id: LeaseId,
    pub(crate) deadline: Timestamp,
}

/// All live leases, with the keys attached to each.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    live: HashMap<LeaseId, Attached>,
    deadlines: BTreeSet<(Timestamp, LeaseId)>,
    /// Told whenever the next deadline may have come nearer.
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Attached {
    deadline: Timestamp,
    keys: BTreeSet<Key>,
}

impl Leases {
    pub(super) fn new(kept: Vec<Lease>) -> Leases {
        let mut leases = Leases::default();
        kept.into_iter().for_each(|lease| leases.insert(&lease));
        leases
    }

    /// A new lease, not yet inserted, that ends `ttl` after `now`.
    pub(crate) fn propose(&self, ttl: Duration, now: Timestamp) -> Result<Lease, Error> {
        if self.live.len() >= LEASES_MAX {
            return Err(Error::TooMany { what: "leases", max: LEASES_MAX });
        }
        let too_long = Error::LeaseTooLong { seconds_max: LEASE_TTL_SECONDS_MAX };
        if ttl.as_secs() > LEASE_TTL_SECONDS_MAX {
            return Err(too_long);
        }
        let deadline = now.checked_add(ttl).unwrap_or(Timestamp::MAX);
        loop {
            let number = i64::try_from(env::rand::u64() >> 1).expect("63 bits fit");
            if let Some(id) = LeaseId::new(number).filter(|id| !self.live.contains_key(id)) {
                return Ok(Lease { id, deadline });
            }
        }
    }

    pub(crate) fn insert(&mut self, lease: &Lease) {
        let attached = Attached { deadline: lease.deadline, keys: BTreeSet::new() };
        if self.live.insert(lease.id, attached).is_none() {
            self.deadlines.insert((lease.deadline, lease.id));
            self.changed.notify_one();
        }
    }

    /// Forgets a lease whose keys are deleted.
    pub(crate) fn remove(&mut self, id: LeaseId) {
        if let Some(attached) = self.live.remove(&id) {
            self.deadlines.remove(&(attached.deadline, id));
        }
    }

    pub(crate) fn check(&self, id: LeaseId) -> Result<(), Error> {
        if self.live.contains_key(&id) { Ok(()) } else { Err(Error::LeaseNotFound { lease: id }) }
    }

    /// The keys attached to a lease, in order.
    pub(super) fn keys(&self, id: LeaseId) -> Result<Vec<Key>, Error> {
        let attached = self.live.get(&id).ok_or(Error::LeaseNotFound { lease: id })?;
        Ok(attached.keys.iter().cloned().collect())
    }

    pub(super) fn attach(&mut self, id: Option<LeaseId>, key: &Key) {
        if let Some(attached) = id.and_then(|id| self.live.get_mut(&id)) {
            attached.keys.insert(key.clone());
        }
    }

    pub(super) fn detach(&mut self, id: Option<LeaseId>, key: &Key) {
        if let Some(attached) = id.and_then(|id| self.live.get_mut(&id)) {
            attached.keys.remove(key);
        }
    }

    /// The lease that ends first.
    pub(crate) fn next_to_end(&self) -> Option<Lease> {
        self.deadlines.first().map(|(deadline, id)| Lease { id: *id, deadline: *deadline })
    }

    /// Waits for the next lease to reach its deadline, for as long as there is none.
    pub(crate) async fn wait_for_end(leases: &parking_lot::Mutex<Leases>) -> LeaseId {
        let changed = leases.lock().changed.clone();
        loop {
            let next = leases.lock().next_to_end();
            let Some(lease) = next else {
                changed.notified().await;
                continue;
            };
            let left = lease.deadline.duration_since(env::time::now());
            let Ok(left) = Duration::try_from(left) else { return lease.id };
            if left.is_zero() {
                return lease.id;
            }
            // Whichever comes first; the loop looks again in any case.
            let slept = env::time::timeout(left.min(LONGEST_SLEEP), changed.notified()).await;
            tracing::trace!(deadline = slept.is_err(), "looking for leases that ended");
        }
    }
}

/// The wall clock may be set while we sleep; this bounds how late an expiry can be for it.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);
