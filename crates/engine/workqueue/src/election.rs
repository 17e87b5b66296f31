//! One leader among many, by a Lease: the rules of upstream's `tools/leaderelection`.
//!
//! Whoever holds the lease renews it; the others take it when it has not changed for its duration by their own clocks,
//! so clocks need not agree. A leader that cannot renew in time stops its work before anybody else can begin.

use std::sync::Arc;
use std::time::Duration;

use client::{Client, Error};
use env::task::Shutdown;
use env::time::Instant;
use observe::metrics::Gauge;
use parking_lot::Mutex;
use typed::api::coordination::v1::{Lease, LeaseSpec};
use typed::meta::{MicroTime, ObjectMeta};
use vitals::Vitals;

/// Every wait between attempts is up to so much longer by chance (upstream: 1.2).
const JITTER: f64 = 1.2;
/// Health fails when a leader has not renewed for this much longer than its lease lasts: it ought to have given up.
const OVERDUE_MAX: Duration = Duration::from_secs(20);

/// The three times of an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease that nobody renews keeps others away.
    pub lease: Duration,
    /// A leader that has not renewed for this long gives up; shorter than `lease`.
    pub renew_deadline: Duration,
    /// Between two attempts.
    pub retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            lease: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// A candidate.
#[derive(Debug)]
pub struct Election {
    client: Client,
    namespace: String,
    name: String,
    identity: String,
    timing: Timing,
    seen: Option<Seen>,
    standing: Standing,
    leads: Option<Arc<Gauge>>,
}

/// When the lead was last renewed; `None` while somebody else leads.
type Standing = Arc<Mutex<Option<Instant>>>;

/// The lease as it was last seen to change.
#[derive(Debug)]
struct Seen {
    lease: Lease,
    at: Instant,
}

/// How a candidacy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As asked; a lease that was held is given back.
    Shutdown,
    /// The work ended by itself; the lease is given back.
    WorkDone,
    /// The lease could not be renewed in time. The work was stopped; the process should start anew.
    Lost,
}

impl Election {
    /// A candidate for the lease `namespace`/`name`. `identity` must differ from all other candidates'; upstream's form
    /// is `<host>_<uuid>`.
    pub fn new(client: Client, namespace: &str, name: &str, identity: String) -> Self {
        Election {
            client,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity,
            timing: Timing::default(),
            seen: None,
            standing: Standing::default(),
            leads: None,
        }
    }

    /// Tells how the candidacy stands: a check `leaderElection`, and the gauge `leader_election_master_status`.
    pub fn watched_by(self, vitals: &Vitals) -> Self {
        let overdue = self.timing.lease + OVERDUE_MAX;
        let (standing, name) = (Arc::clone(&self.standing), self.name.clone());
        vitals.alive_while("leaderElection", move || match *standing.lock() {
            Some(renewed) if renewed.elapsed() > overdue => {
                Err(format!("failed election to renew leadership on lease {name}"))
            }
            _ => Ok(()),
        });
        let status = vitals.metrics().gauge(
            "leader_election_master_status",
            "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. \
             'name' is the string used to identify the lease. Please make sure to group by name.",
            &["name"],
        );
        let leads = status.with(&[&self.name]);
        leads.set(0.0);
        Election { leads: Some(leads), ..self }
    }

    /// Notes that the lead was renewed just now, or that it is over.
    fn stand(&self, leads: bool) {
        *self.standing.lock() = leads.then(Instant::now);
        if let Some(gauge) = &self.leads {
            gauge.set(if leads { 1.0 } else { 0.0 });
        }
    }

    /// Other times.
    pub fn with_timing(self, timing: Timing) -> Self {
        Election { timing, ..self }
    }

    /// Waits for the lease, then works and renews it. `work` is told to stop when the lease is lost or at `shutdown`,
    /// and is waited for; only then is the lease given back.
    pub async fn lead<F: Future<Output = ()>>(mut self, shutdown: Shutdown, work: impl FnOnce(Shutdown) -> F) -> Ended {
        tokio::select! {
            () = self.acquire() => {}
            () = shutdown.cancelled() => return Ended::Shutdown,
        }
        tracing::info!(lease = %self.name, identity = %self.identity, "leads");
        self.stand(true);
        // Of its own, not a child of `shutdown`: the work stops because of the election's end, whatever caused that.
        let stop = Shutdown::new();
        let mut working = std::pin::pin!(work(stop.clone()));
        let ended = tokio::select! {
            () = &mut working => Ended::WorkDone,
            () = shutdown.cancelled() => Ended::Shutdown,
            () = self.renew() => Ended::Lost,
        };
        stop.cancel();
        if ended == Ended::Lost {
            tracing::error!(lease = %self.name, "the lease could not be renewed in time");
            // Somebody else may lead soon: the work has to be over by then, finished or not.
            let _stopped = env::time::timeout(self.timing.lease - self.timing.renew_deadline, working).await;
            self.stand(false);
            return ended;
        }
        if ended == Ended::Shutdown {
            self.renew_during(working).await;
        }
        self.stand(false);
        self.release().await;
        ended
    }

    async fn acquire(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(lease = %self.name, %error, "cannot ask for the lease"),
            }
            env::time::sleep(self.timing.retry.mul_f64(1.0 + JITTER * env::rand::unit())).await;
        }
    }

    /// Renews until it fails for too long.
    async fn renew(&mut self) {
        let mut renewed = Instant::now();
        loop {
            env::time::sleep(self.timing.retry).await;
            let left = self.timing.renew_deadline.saturating_sub(renewed.elapsed());
            if left.is_zero() {
                return;
            }
            match env::time::timeout(left, self.attempt()).await {
                Ok(Ok(true)) => {
                    renewed = Instant::now();
                    self.stand(true);
                }
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!(lease = %self.name, %error, "cannot renew the lease"),
                Err(_elapsed) => return,
            }
        }
    }

    /// Keeps the lease while the work comes to its end.
    async fn renew_during<F: Future<Output = ()>>(&mut self, work: std::pin::Pin<&mut F>) {
        tokio::select! {
            () = work => {}
            () = self.renew() => {}
        }
    }

    /// Takes or renews the lease, if that is possible now.
    async fn attempt(&mut self) -> Result<bool, Error> {
        let held = match &self.seen {
            // Our own lease as we wrote it: if nobody has touched it, there is no need to read it first.
            Some(seen) if self.holds(&seen.lease) && seen.at.elapsed() < self.timing.lease => Some(seen.lease.clone()),
            _ => None,
        };
        if let Some(lease) = held {
            match self.client.update(&self.claimed(lease)).await {
                Ok(lease) => {
                    self.see(lease);
                    return Ok(true);
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        let found = match self.client.get::<Lease>(&self.namespace, &self.name).await {
            Ok(lease) => lease,
            Err(error) if error.is_not_found() => {
                let metadata = ObjectMeta {
                    name: Some(self.name.clone()),
                    namespace: Some(self.namespace.clone()),
                    ..ObjectMeta::default()
                };
                let lease = Lease { metadata, spec: None };
                return self.take(self.client.create(&self.claimed(lease)).await);
            }
            Err(error) => return Err(error),
        };
        if self.seen.as_ref().is_none_or(|seen| seen.lease.spec != found.spec) {
            self.see(found.clone());
        }
        let holder = holder(&found);
        let seconds = found.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
        let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let is_current = self.seen.as_ref().is_some_and(|seen| seen.at.elapsed() < lasts);
        if !holder.is_empty() && holder != self.identity && is_current {
            return Ok(false);
        }
        let claim = self.claimed(found);
        self.take(self.client.update(&claim).await)
    }

    /// Somebody else may have been quicker.
    fn take(&mut self, outcome: Result<Lease, Error>) -> Result<bool, Error> {
        match outcome {
            Ok(lease) => {
                self.see(lease);
                Ok(true)
            }
            Err(error) if error.is_conflict() || error.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn see(&mut self, lease: Lease) {
        self.seen = Some(Seen { lease, at: Instant::now() });
    }

    fn holds(&self, lease: &Lease) -> bool {
        holder(lease) == self.identity
    }

    /// The lease as it looks when we hold it.
    fn claimed(&self, mut lease: Lease) -> Lease {
        let now = Some(MicroTime(env::time::now()));
        let was_ours = self.holds(&lease);
        let is_new = lease.metadata.resource_version.is_none();
        let spec = lease.spec.get_or_insert_default();
        if !was_ours {
            spec.acquire_time.clone_from(&now);
            spec.lease_transitions = Some(if is_new { 0 } else { spec.lease_transitions.unwrap_or(0) + 1 });
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = Some(i32::try_from(self.timing.lease.as_secs()).unwrap_or(i32::MAX).max(1));
        spec.renew_time = now;
        lease
    }

    /// Gives the lease back, so that others need not wait for its end.
    async fn release(&mut self) {
        let Some(seen) = self.seen.take().filter(|seen| self.holds(&seen.lease)) else { return };
        let now = MicroTime(env::time::now());
        let mut lease = seen.lease;
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: lease.spec.as_ref().and_then(|spec| spec.lease_transitions),
            ..LeaseSpec::default()
        });
        match env::time::timeout(self.timing.renew_deadline, self.client.update(&lease)).await {
            Ok(Ok(_)) => tracing::info!(lease = %self.name, "gives the lease back"),
            Ok(Err(error)) => tracing::warn!(lease = %self.name, %error, "cannot give the lease back"),
            Err(_elapsed) => tracing::warn!(lease = %self.name, "cannot give the lease back in time"),
        }
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default()
}
