//! One pod, from its first moment to its last: look, plan, carry out, look again.
//!
//! A worker rests until something happens to its pod: another wish, a process that ended, a probe's verdict, a time that
//! the plan named. It never asks the runtime "and now?" while nothing happened.

mod hooks;
pub(crate) mod kept;
mod launch;
mod resizing;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use podplan::backoff::BackOffs;
use podplan::probe::{Findings, KINDS, Kind};
use podplan::resize::{self, Allocation, Pending, Resizing};
use podplan::status::{self, Node};
use podplan::termination::{self, Ending};
use podplan::{Held, Holds, Observed, Plan, Seen, Situation, Stage, Stop};
use tokio::sync::{Notify, watch};
use typed::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};

use crate::checks::Subject;
use crate::events::Notice;
use crate::exits::Exit;
use crate::logs;
use crate::observe::{Look, Observer};
use crate::prober::{self, Probes};
use crate::shared::Shared;
use crate::volumes::Places;
use verdicts::Verdicts;

/// The first and the longest wait for a runtime to notice an end that we have seen.
const RECHECK_MIN: Duration = Duration::from_millis(10);
const RECHECK_MAX: Duration = Duration::from_secs(1);
/// How long to wait after the runtime did not answer, or after an action that failed.
const RETRY_SECONDS: i64 = 2;
/// How often volumes that show API objects are brought up to date (`syncFrequency`), and how much later at most.
const REFRESH_SECONDS: i64 = 60;
const REFRESH_JITTER_SECONDS: u64 = 30;

/// What is wanted of a pod.
#[derive(Debug, Clone)]
pub(crate) struct Desired {
    /// The pod, with the resources that it was granted.
    pub(crate) pod: Arc<Pod>,
    /// The resources that it asks for beyond, and why it has to wait for them.
    pub(crate) pending: Option<Pending>,
    /// The generation of the pod that was granted a resize last.
    pub(crate) granted_generation: Option<i64>,
    /// It is to end.
    pub(crate) ending: Option<Ending>,
    /// Nobody knows it any more: when it has ended, nothing of it stays.
    pub(crate) gone: bool,
}

impl Desired {
    /// That `pod` is wanted, and nothing else.
    pub(crate) fn of(pod: Arc<Pod>) -> Desired {
        Desired { pod, pending: None, granted_generation: None, ending: None, gone: false }
    }
}

/// A handle to a running worker.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) desired: watch::Sender<Desired>,
    pub(crate) notify: Arc<Notify>,
}

#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    desired: watch::Receiver<Desired>,
    notify: Arc<Notify>,
    observer: Observer,
    look: Look,
    crash_loops: BackOffs,
    holds: Holds,
    verdicts: Verdicts,
    exits: BTreeMap<String, Exit>,
    probes: BTreeMap<String, Probes>,
    explained: BTreeSet<String>,
    pre_stopped: BTreeSet<String>,
    told: BTreeMap<String, Timestamp>,
    places: Option<Places>,
    previous: PodStatus,
    /// Whether this worker has put up a status: the board of a restarted kubelet is empty.
    reported: bool,
    /// An ending that the pod brought upon itself.
    own_ending: Option<Ending>,
    /// Nothing but stopping is tried before this time.
    blocked_until: Option<Timestamp>,
    recheck: Duration,
    /// When volumes that show API objects are brought up to date.
    refresh_at: Option<Timestamp>,
    resizing: Resizing,
    granted_generation: Option<i64>,
    /// What was granted, as it stands on disk.
    kept: Option<Allocation>,
}

impl Worker {
    /// Makes a worker and its handle.
    pub(crate) fn new(shared: Arc<Shared>, desired: Desired) -> (Worker, Handle) {
        let uid = desired.pod.metadata.uid.clone().unwrap_or_default();
        let previous = desired.pod.status.clone().unwrap_or_default();
        let (sender, receiver) = watch::channel(desired);
        let notify = Arc::new(Notify::new());
        let worker = Worker {
            observer: Observer::new(shared.runtime.clone(), uid),
            shared,
            desired: receiver,
            notify: notify.clone(),
            look: Look::default(),
            crash_loops: BackOffs::default(),
            holds: Holds::new(),
            verdicts: Verdicts::default(),
            exits: BTreeMap::new(),
            probes: BTreeMap::new(),
            explained: BTreeSet::new(),
            pre_stopped: BTreeSet::new(),
            told: BTreeMap::new(),
            places: None,
            previous,
            reported: false,
            own_ending: None,
            blocked_until: None,
            recheck: RECHECK_MIN,
            refresh_at: None,
            resizing: Resizing::default(),
            granted_generation: None,
            kept: None,
        };
        (worker, Handle { desired: sender, notify })
    }

    /// Lives with the pod until nothing of it is left.
    pub(crate) async fn run(mut self) {
        let pod = self.desired.borrow().pod.clone();
        self.remember_resize(&pod);
        loop {
            let desired = self.desired.borrow_and_update().clone();
            self.heed(&desired);
            if let Err(failure) = self.look_around(&desired.pod).await {
                tracing::warn!(pod = desired.pod.metadata.name, %failure, "the runtime did not answer");
                self.rest(Some(later(RETRY_SECONDS))).await;
                continue;
            }
            let ending = self.ending(&desired);
            self.tend(&desired.pod, ending.is_some());
            self.refresh(&desired.pod, ending.is_some()).await;
            let mut plan = self.plan(&desired.pod, ending.as_ref());
            self.tell_back_offs(&desired.pod, &plan);
            if plan.finished {
                if self.finish(&desired).await {
                    return;
                }
                continue;
            }
            if let Some(until) = self.blocked_until.filter(|until| *until > env::time::now()) {
                plan.sandbox = None;
                plan.resize = None;
                plan.start.clear();
                plan.wake_at = Some(plan.wake_at.map_or(until, |at| at.min(until)));
            }
            if plan.is_idle() {
                self.rest(self.wake_at(&desired.pod, &plan)).await;
            } else {
                let urgent = interrupted(self.desired.clone(), desired.ending.clone());
                tokio::select! {
                    biased;
                    () = urgent => {}
                    () = self.execute(&desired.pod, plan) => {}
                }
            }
        }
    }

    async fn look_around(&mut self, pod: &Pod) -> Result<(), cri::Failure> {
        self.look = self.observer.look().await?;
        let ended = self.look.observed.containers.iter().filter(|seen| seen.stage == Stage::Exited);
        let fresh: Vec<_> = ended.filter(|seen| !self.explained.contains(&seen.id)).cloned().collect();
        for seen in fresh {
            self.explained.insert(seen.id.clone());
            let Some((_, container)) = podplan::container(pod, &seen.name) else { continue };
            let message = logs::termination_message(&self.shared.config, pod, &container, &seen);
            match message {
                Ok(message) if !message.is_empty() => {
                    self.observer.explain(&seen.id, message.clone());
                    let all = self.look.observed.containers.iter_mut();
                    all.filter(|it| it.id == seen.id).for_each(|it| it.message.clone_from(&message));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(container = seen.name, %error, "no termination message can be read"),
            }
        }
        let known = &self.look.observed.containers;
        self.explained.retain(|id| known.iter().any(|seen| seen.id == *id));
        self.pre_stopped.retain(|id| known.iter().any(|seen| seen.id == *id));
        Ok(())
    }

    /// Whether the pod is to end, and how: by another's wish, by its deadline, or because it is over.
    fn ending(&mut self, desired: &Desired) -> Option<Ending> {
        if desired.ending.is_some() {
            return desired.ending.clone();
        }
        let now = env::time::now();
        if self.own_ending.is_none() {
            let started = self.previous.start_time.as_ref().map(|time| time.0);
            let late = termination::deadline(&desired.pod, started).is_some_and(|deadline| deadline <= now);
            if late || status::is_terminal(&self.previous) {
                let verdict = late.then(termination::deadline_exceeded);
                let grace_seconds = termination::pod_grace_seconds(&desired.pod);
                self.own_ending = Some(Ending { since: now, grace_seconds, verdict });
            }
        }
        self.own_ending.clone()
    }

    fn plan(&mut self, pod: &Arc<Pod>, ending: Option<&Ending>) -> Plan {
        let findings = self.verdicts.for_plan();
        if ending.is_none() {
            let unfinished = resize::unfinished(&self.situation(pod, &findings, ending));
            self.follow_resize(pod, unfinished);
        }
        let situation = self.situation(pod, &findings, ending);
        let plan = podplan::plan(&situation);
        let node = Node { ips: self.shared.config.node_ips.clone(), runtime: self.shared.runtime_name.clone() };
        let status = status::status(&situation, &plan, &node);
        if status != self.previous || !self.reported {
            self.reported = true;
            self.previous = status.clone();
            self.shared.statuses.set(pod, status);
        }
        plan
    }

    fn situation<'a>(&'a self, pod: &'a Pod, probes: &'a Findings, ending: Option<&'a Ending>) -> Situation<'a> {
        Situation {
            pod,
            observed: &self.look.observed,
            probes,
            crash_loops: &self.crash_loops,
            bounds: self.shared.config.crash_loop,
            holds: &self.holds,
            ending,
            previous: &self.previous,
            resizing: &self.resizing,
            now: env::time::now(),
        }
    }

    /// Watches what runs, and probes it.
    fn tend(&mut self, pod: &Arc<Pod>, ending: bool) {
        let Look { observed, pids } = &self.look;
        self.exits.retain(|id, _| pids.contains_key(id));
        for (id, pid) in pids {
            let notify = &self.notify;
            self.exits.entry(id.clone()).or_insert_with(|| Exit::watch(*pid, notify.clone()));
        }
        let running: Vec<_> = observed.containers.iter().filter(|seen| seen.stage == Stage::Running).collect();
        let stopped: Vec<String> =
            self.probes.keys().filter(|id| ending || running.iter().all(|seen| seen.id != **id)).cloned().collect();
        for id in stopped {
            self.probes.remove(&id);
            if !ending {
                self.verdicts.board().send_modify(|findings| findings.forget(&id));
            }
        }
        for seen in running.into_iter().filter(|_| !ending) {
            let Some((_, container)) = podplan::container(pod, &seen.name) else { continue };
            if self.probes.contains_key(&seen.id) || KINDS.iter().all(|kind| kind.of(&container).is_none()) {
                continue;
            }
            remember(self.verdicts.board(), &self.previous, seen, &container);
            let subject = Subject {
                runtime: self.shared.runtime.clone(),
                container: container.into_owned(),
                id: seen.id.clone(),
                ip: pod_ips(&self.shared, observed, pod).first().cloned().unwrap_or_default(),
            };
            let context = prober::Context {
                pod: pod.clone(),
                findings: self.verdicts.board().clone(),
                shared: self.shared.clone(),
                started_at: seen.started_at.unwrap_or(seen.created_at),
            };
            self.probes.insert(seen.id.clone(), prober::start(&subject, &context));
        }
    }

    fn tell_back_offs(&mut self, pod: &Pod, plan: &Plan) {
        for (name, held) in plan.held.iter().filter(|(_, held)| held.reason == "CrashLoopBackOff") {
            if self.told.insert(name.clone(), held.until) != Some(held.until) {
                let text = |value: &Option<String>| value.clone().unwrap_or_default();
                let meta = &pod.metadata;
                let who = format!("{}_{}({})", text(&meta.name), text(&meta.namespace), text(&meta.uid));
                let message = format!("Back-off restarting failed container {name} in pod {who}");
                self.tell(pod, name, Notice::warning("BackOff", &message));
            }
        }
    }

    /// Brings volumes that show API objects up to date, now and then and whenever the pod changed.
    async fn refresh(&mut self, pod: &Arc<Pod>, ending: bool) {
        let now = env::time::now();
        let settled = self.look.observed.containers.iter().any(|seen| seen.stage == Stage::Running) && !ending;
        if !settled || !crate::volumes::shows_objects(pod) {
            self.refresh_at = None;
            return;
        }
        match self.refresh_at {
            Some(at) if at > now => return,
            // What was made at the start is fresh; an adopted pod's volumes may not be.
            None if self.places.is_some() => {}
            _ => {
                let facts = self.shared.facts(pod_ips(&self.shared, &self.look.observed, pod));
                match self.shared.volumes.prepare(pod, &facts).await {
                    Ok(places) => self.places = Some(places),
                    Err(problem) => {
                        self.shared.recorder.tell(pod, None, Notice::warning("FailedMount", &problem));
                    }
                }
            }
        }
        let jitter = i64::try_from(env::rand::below(REFRESH_JITTER_SECONDS)).unwrap_or_default();
        self.refresh_at = Some(later(REFRESH_SECONDS + jitter));
    }

    fn wake_at(&self, pod: &Pod, plan: &Plan) -> Option<Timestamp> {
        let started = self.previous.start_time.as_ref().map(|time| time.0);
        let deadline = termination::deadline(pod, started).filter(|_| self.own_ending.is_none());
        [plan.wake_at, deadline, self.refresh_at].into_iter().flatten().min()
    }

    /// Waits until there may be something to do.
    async fn rest(&mut self, wake_at: Option<Timestamp>) {
        // An end that we saw and the runtime has not noticed yet: look again, soon.
        let unnoticed = self.exits.values().any(Exit::is_over);
        let recheck = if unnoticed { Some(self.recheck) } else { None };
        self.recheck = if unnoticed { (self.recheck * 2).min(RECHECK_MAX) } else { RECHECK_MIN };
        let until = wake_at.map(|at| Duration::try_from(at.duration_since(env::time::now())).unwrap_or_default());
        let wait = [recheck, until].into_iter().flatten().min();
        tokio::select! {
            changed = self.desired.changed() => {
                if changed.is_err() {
                    // The kubelet is shutting down: containers go on without it.
                    std::future::pending::<()>().await;
                }
                // Another specification may mend what failed, and volumes show it.
                self.blocked_until = None;
                self.refresh_at = self.refresh_at.map(|_| env::time::now());
            }
            () = self.notify.notified() => {}
            () = self.verdicts.news() => {}
            () = sleep(wait) => {}
        }
    }

    async fn execute(&mut self, pod: &Arc<Pod>, plan: Plan) {
        if let Err(error) = self.keep_grant(pod, &plan).await {
            tracing::warn!(pod = pod.metadata.name, %error, "what the pod was granted cannot be kept");
            return self.rest(Some(later(RETRY_SECONDS))).await;
        }
        if !plan.stop.is_empty() {
            let stops =
                plan.stop.iter().map(|stop| hooks::stop(&self.shared, &self.look, pod, stop, &self.pre_stopped));
            let hooked = futures::future::join_all(stops).await;
            self.pre_stopped.extend(hooked.into_iter().flatten());
            plan.stop.iter().for_each(|Stop { id, .. }| self.observer.forget(id));
        }
        for id in &plan.remove {
            if let Err(failure) = self.remove_container(pod, id).await {
                tracing::warn!(id, %failure, "a container was not removed");
                self.blocked_until = Some(later(RETRY_SECONDS));
            }
        }
        for id in &plan.stop_sandboxes {
            if let Err(failure) = self.shared.runtime.sandbox_stop(id.clone()).await {
                let message = format!("error killing pod: failed to \"KillPodSandbox\" for \"{id}\": {failure}");
                self.shared.recorder.tell(pod, None, Notice::warning("FailedKillPod", &message));
                self.rest(Some(later(RETRY_SECONDS))).await;
            }
            self.observer.forget(id);
        }
        if let Some(attempt) = plan.sandbox {
            // A new pod's grant is written while its sandbox is made; should that fail, it is tried again before a start.
            let writing = self.writing(pod);
            let (written, made) = futures::join!(writing, self.make_sandbox(pod, attempt));
            self.kept = written.ok().flatten().or_else(|| self.kept.take());
            if let Err(message) = made {
                self.shared.recorder.tell(pod, None, Notice::warning(message.0, &message.1));
                self.blocked_until = Some(later(RETRY_SECONDS));
            }
        }
        if let Some(need) = &plan.resize {
            self.resize(pod, need).await;
        }
        for start in &plan.start {
            match self.start(pod, start).await {
                Ok(()) => {
                    self.holds.remove(&start.name);
                }
                Err(held) => {
                    tracing::info!(container = start.name, reason = held.reason, words = held.message, "held");
                    self.holds.insert(start.name.clone(), held);
                }
            }
        }
    }

    async fn remove_container(&self, pod: &Pod, id: &str) -> Result<(), cri::Failure> {
        self.shared.runtime.container_remove(id.to_owned()).await?;
        if let Some(seen) = self.look.observed.containers.iter().find(|seen| seen.id == id)
            && let Err(error) = logs::remove_link(&self.shared.config, pod, &seen.name, id)
        {
            tracing::warn!(id, %error, "a log's link stays behind");
        }
        Ok(())
    }

    /// Gives back what a pod that is over holds; whether nothing of it is left.
    async fn finish(&mut self, desired: &Desired) -> bool {
        let uid = desired.pod.metadata.uid.clone().unwrap_or_default();
        if let Err(error) = self.release(&desired.pod, &uid).await {
            tracing::warn!(uid, %error, "a pod's resources were not released");
            self.rest(Some(later(RETRY_SECONDS))).await;
            return false;
        }
        if desired.gone {
            if let Err(error) = self.erase(&desired.pod).await {
                tracing::warn!(uid, %error, "a pod was not erased");
                self.rest(Some(later(RETRY_SECONDS))).await;
                return false;
            }
            self.shared.statuses.forget(&uid);
            return true;
        }
        if desired.pod.metadata.deletion_timestamp.is_some()
            && let Err(error) = self.shared.api.pod_delete(&desired.pod).await
        {
            tracing::warn!(uid, %error, "a pod that has ended was not deleted");
            self.rest(Some(later(RETRY_SECONDS))).await;
            return false;
        }
        // The status stays as it is until somebody deletes the pod.
        if self.desired.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        false
    }

    async fn release(&mut self, pod: &Pod, uid: &str) -> std::io::Result<()> {
        self.probes.clear();
        self.places = None;
        self.shared.volumes.release(uid).await?;
        let (cgroups, path) = (self.shared.cgroups.clone(), self.shared.config.pod_cgroup(pod));
        // What the runtime lost sight of, such as a sandbox that it was killed in the midst of making, ends here.
        env::task::blocking(move || cgroups.end(&path).and_then(|()| cgroups.remove(&path))).await
    }

    /// Removes containers, sandboxes and logs.
    async fn erase(&self, pod: &Pod) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        for seen in &self.look.observed.containers {
            self.remove_container(pod, &seen.id).await?;
        }
        for sandbox in &self.look.observed.sandboxes {
            self.shared.runtime.sandbox_remove(sandbox.id.clone()).await?;
        }
        let folder = logs::pod_folder(&self.shared.config, pod);
        Ok(env::task::blocking(move || env::fs::remove_dir_all_if_exists(&folder)).await?)
    }

    fn tell(&self, pod: &Pod, container: &str, notice: Notice<'_>) {
        self.shared.recorder.tell(pod, Some(container), notice);
    }
}

/// What an earlier kubelet found of this very container holds until a probe says otherwise: a restart of the kubelet takes
/// no pod out of its services.
fn remember(findings: &watch::Sender<Findings>, previous: &PodStatus, seen: &Seen, container: &Container) {
    let status = status::container_status(previous, &seen.name);
    let same = |status: &&ContainerStatus| status.container_id.as_deref().is_some_and(|id| id.ends_with(&seen.id));
    let Some(status) = status.filter(same) else { return };
    findings.send_modify(|findings| {
        if status.started == Some(true) && container.startup_probe.is_some() {
            findings.set(&seen.id, Kind::Startup, true);
        }
        if status.ready && container.readiness_probe.is_some() {
            findings.set(&seen.id, Kind::Readiness, true);
        }
    });
}

/// Ends when the wish for an ending changes: only that is worth breaking off what is being done.
async fn interrupted(mut desired: watch::Receiver<Desired>, ending: Option<Ending>) {
    while desired.changed().await.is_ok() {
        if desired.borrow_and_update().ending != ending {
            return;
        }
    }
    std::future::pending().await
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => env::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn later(seconds: i64) -> Timestamp {
    env::time::now().saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// What came in the way of a start, which is tried again `wait` from now.
fn hold(reason: &str, message: String, wait: Duration) -> Held {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    let until = env::time::now().saturating_add(wait).unwrap_or(Timestamp::MAX);
    Held { reason: reason.to_owned(), message, until }
}

/// The addresses of a pod: its own, or the node's.
fn pod_ips(shared: &Shared, observed: &Observed, pod: &Pod) -> Vec<String> {
    if pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or_default() {
        return shared.config.node_ips.clone();
    }
    observed.sandbox().map(|sandbox| sandbox.ips.clone()).unwrap_or_default()
}
