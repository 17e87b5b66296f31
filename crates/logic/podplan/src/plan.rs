//! The plan for one pod at one moment.
//!
//! A plan is one layer: stop these, or stop the sandbox, or make one, or start those. Whoever carried it out looks again
//! and asks again; so nothing here depends on how far an earlier plan came.

use std::collections::BTreeMap;

use jiff::Timestamp;
use typed::api::core::v1::{Container, LifecycleHandler, Pod, PodSpec, PodStatus};

use crate::backoff::{BackOffs, Bounds, go_text};
use crate::observed::{Observed, Sandbox, Seen, Stage};
use crate::probe::Findings;
use crate::resize::{self, Need, Resizing};
use crate::restart::{Verdict, verdict};
use crate::sandbox::{self, SandboxNeed};
use crate::termination::{self, Ending};
use crate::{identity, initialization, spec};

/// What a container is to its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`: starts in turn and keeps running.
    Sidecar,
    /// A container of `spec.containers`.
    Regular,
    /// Added to a running pod to look at it.
    Ephemeral,
}

/// Why a container waits, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The waiting reason: `CrashLoopBackOff`, `ImagePullBackOff`, `CreateContainerConfigError`, ...
    pub reason: String,
    /// The waiting message.
    pub message: String,
    /// When to try again.
    pub until: Timestamp,
}

/// Waiting containers by name.
pub type Holds = BTreeMap<String, Held>;

/// Everything that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What is desired.
    pub pod: &'a Pod,
    /// What the runtime reports.
    pub observed: &'a Observed,
    /// What probes found.
    pub probes: &'a Findings,
    /// Crash-loop back-offs by [`identity::crash_loop_key`].
    pub crash_loops: &'a BackOffs,
    /// Their bounds.
    pub bounds: Bounds,
    /// Containers whose last start failed before they ran (image, configuration), by name.
    pub holds: &'a Holds,
    /// That the pod is to end, if it is.
    pub ending: Option<&'a Ending>,
    /// The status reported last.
    pub previous: &'a PodStatus,
    /// What is known of its resize. The pod itself is as it was granted.
    pub resizing: &'a Resizing,
    /// The time.
    pub now: Timestamp,
}

/// A container to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// What it is to the pod.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// How many of that name there were before: its restart count.
    pub attempt: u32,
    /// When its predecessor ended; a start after an end lengthens the crash-loop back-off.
    pub failed_at: Option<Timestamp>,
}

/// Why a container is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The specification is another now.
    Changed,
    /// The liveness probe failed.
    LivenessProbe,
    /// The startup probe failed.
    StartupProbe,
    /// Its resources change, and it is to start anew with them.
    Resize,
    /// Nobody knows its state.
    Unknown,
    /// The pod ends, or starts over.
    Pod,
}

/// A container to stop.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    /// The runtime's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Seconds between the stop signal and the kill signal, the pre-stop hook included.
    pub grace_seconds: i64,
    /// The hook to run first.
    pub pre_stop: Option<LifecycleHandler>,
    /// Why.
    pub reason: StopReason,
    /// The event's message: `Container web failed liveness probe, will be restarted`.
    pub message: String,
}

/// What to do now. At most one of the first five is not empty, and a resize comes before the starts beside it; do it,
/// look again, ask again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Stop these, all at once.
    pub stop: Vec<Stop>,
    /// Remove these, in this order: the pod starts over.
    pub remove: Vec<String>,
    /// Stop these sandboxes.
    pub stop_sandboxes: Vec<String>,
    /// Make a sandbox with this attempt number.
    pub sandbox: Option<u32>,
    /// Change the resources of what runs. That it fails keeps nothing else from being done.
    pub resize: Option<Need>,
    /// Start these, in this order.
    pub start: Vec<Start>,
    /// Containers that wait, and why.
    pub held: Holds,
    /// When to ask again even if nothing happens.
    pub wake_at: Option<Timestamp>,
    /// Nothing runs and nothing will: the pod's resources can be given back.
    pub finished: bool,
}

impl Plan {
    /// Whether there is nothing to do now.
    pub fn is_idle(&self) -> bool {
        self.stop.is_empty()
            && self.remove.is_empty()
            && self.stop_sandboxes.is_empty()
            && self.sandbox.is_none()
            && self.resize.is_none()
            && self.start.is_empty()
    }

    pub(crate) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Only the first layer that has something to do stays.
    fn first_layer(mut self) -> Plan {
        let layers =
            [self.stop.is_empty(), self.remove.is_empty(), self.stop_sandboxes.is_empty(), self.sandbox.is_none()];
        let first = layers.iter().position(|empty| !empty).unwrap_or(layers.len());
        if first < 1 {
            self.remove.clear();
        }
        if first < 2 {
            self.stop_sandboxes.clear();
        }
        if first < 3 {
            self.sandbox = None;
        }
        if first < 4 {
            self.resize = None;
            self.start.clear();
        }
        self
    }
}

/// What to do with the pod now.
pub fn plan(s: &Situation<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(pod_spec) = &s.pod.spec else {
        plan.finished = s.observed.is_quiet();
        return plan;
    };
    if let Some(ending) = s.ending {
        termination::plan(s, ending, &mut plan);
        return plan.first_layer();
    }
    if let Some(trigger) = restart_all_trigger(s, pod_spec) {
        start_over(s, &trigger, &mut plan);
        return plan.first_layer();
    }
    match sandbox::need(s.pod, s.observed) {
        SandboxNeed::New { attempt, .. } => new_sandbox(s, pod_spec, attempt, &mut plan),
        SandboxNeed::None => {
            let newest = s.observed.sandbox().expect("a sandbox that serves is there");
            in_sandbox(s, pod_spec, newest, &mut plan);
            in_place(s, &mut plan);
        }
    }
    plan.first_layer()
}

fn new_sandbox(s: &Situation<'_>, pod_spec: &PodSpec, attempt: u32, plan: &mut Plan) {
    let ended_for_good = !s.observed.containers.is_empty() && !anything_to_run(s, pod_spec);
    for seen in s.observed.alive() {
        plan.stop.push(termination::stop(s, seen, StopReason::Pod, "Stopping container for a new sandbox".to_owned()));
    }
    plan.stop_sandboxes = s.observed.sandboxes.iter().filter(|sandbox| sandbox.ready).map(|it| it.id.clone()).collect();
    if ended_for_good {
        plan.finished = s.observed.is_quiet();
    } else {
        plan.sandbox = Some(attempt);
    }
}

/// Whether a container would be started if there were a sandbox.
fn anything_to_run(s: &Situation<'_>, pod_spec: &PodSpec) -> bool {
    let failed = |seen: &Seen, role, container: &Container| {
        seen.stage == Stage::Exited
            && !resize::is_restarting(s, seen)
            && verdict(pod_spec, role, container, seen.exit_code) == Verdict::Stay
    };
    let init_failed = spec::inits(pod_spec).iter().filter(|container| !spec::is_sidecar(container)).any(|container| {
        s.observed
            .latest(&container.name)
            .is_some_and(|seen| seen.exit_code != 0 && failed(seen, Role::Init, container))
    });
    let regular = pod_spec
        .containers
        .iter()
        .any(|container| s.observed.latest(&container.name).is_none_or(|seen| !failed(seen, Role::Regular, container)));
    regular && !init_failed
}

fn in_sandbox(s: &Situation<'_>, pod_spec: &PodSpec, sandbox: &Sandbox, plan: &mut Plan) {
    // What runs in an older sandbox serves nobody.
    for seen in s.observed.alive().filter(|seen| seen.sandbox != sandbox.id) {
        plan.stop.push(termination::stop(s, seen, StopReason::Pod, "Stopping container of an old sandbox".to_owned()));
    }
    for ephemeral in spec::ephemerals(pod_spec) {
        if s.observed.latest(&ephemeral.name).is_none() {
            start(s, Role::Ephemeral, &spec::as_container(ephemeral), None, plan);
        }
    }
    match initialization::plan(s, pod_spec, sandbox, plan) {
        initialization::Outcome::Pending => return,
        initialization::Outcome::Failed => return termination::end_by_itself(s, plan),
        initialization::Outcome::Initialized => {}
    }
    let busy = pod_spec.containers.iter().map(|container| regular(s, pod_spec, sandbox, container, plan));
    // Each container must be looked at: no short circuit.
    if busy.filter(|busy| *busy).count() == 0 {
        plan.start.clear();
        termination::end_by_itself(s, plan);
    }
}

/// Plans the resize of what goes on running, now or after its back-off.
fn in_place(s: &Situation<'_>, plan: &mut Plan) {
    let Some(need) = resize::need(s) else { return };
    match s.resizing.not_before.filter(|at| *at > s.now) {
        Some(at) => plan.wake(at),
        None => plan.resize = Some(need),
    }
}

/// Plans one regular container; whether it runs, or will.
fn regular(s: &Situation<'_>, pod_spec: &PodSpec, sandbox: &Sandbox, container: &Container, plan: &mut Plan) -> bool {
    let Some(seen) = s.observed.latest(&container.name) else {
        start(s, Role::Regular, container, None, plan);
        return true;
    };
    match seen.stage {
        Stage::Running if seen.sandbox != sandbox.id => true,
        Stage::Running => running(s, seen, Role::Regular, container, plan),
        Stage::Unknown => {
            let message = "Container is in unknown state, try killing it before restart".to_owned();
            plan.stop.push(termination::stop(s, seen, StopReason::Unknown, message));
            true
        }
        // A container that was made but did not start counts as one that failed.
        Stage::Created | Stage::Exited => {
            let again = seen.stage == Stage::Created
                || resize::is_restarting(s, seen)
                || verdict(pod_spec, Role::Regular, container, seen.exit_code) != Verdict::Stay;
            if again {
                start(s, Role::Regular, container, Some(seen), plan);
            }
            again
        }
    }
}

/// Plans a running container that is to go on running; whether it, or a successor, will.
pub(crate) fn running(s: &Situation<'_>, seen: &Seen, role: Role, container: &Container, plan: &mut Plan) -> bool {
    let prefix = if role == Role::Sidecar { "Init container" } else { "Container" };
    let name = &container.name;
    let changed = role == Role::Regular && seen.hash.is_some_and(|hash| hash != identity::container_hash(container));
    let (reason, what) = if changed {
        (StopReason::Changed, format!("{prefix} {name} definition changed"))
    } else if s.probes.liveness_failed(&seen.id) {
        (StopReason::LivenessProbe, format!("{prefix} {name} failed liveness probe"))
    } else if s.probes.startup_failed(&seen.id) {
        (StopReason::StartupProbe, format!("{prefix} {name} failed startup probe"))
    } else if role != Role::Init && resize::restarts(s, seen, container) {
        let message = format!("Container {name} resize requires restart");
        plan.stop.push(termination::stop(s, seen, StopReason::Resize, message));
        return true;
    } else {
        return true;
    };
    // A killed container exits with a signal's code: whether it comes back is what that exit asks for.
    let spec = s.pod.spec.as_ref().expect("a pod with containers has a specification");
    let again = changed || verdict(spec, role, container, 137) != Verdict::Stay;
    let message = if again { format!("{what}, will be restarted") } else { what };
    plan.stop.push(termination::stop(s, seen, reason, message));
    true
}

/// Plans the start of a container, now or after its back-off.
pub(crate) fn start(s: &Situation<'_>, role: Role, container: &Container, before: Option<&Seen>, plan: &mut Plan) {
    let name = &container.name;
    if let Some(held) = s.holds.get(name).filter(|held| held.until > s.now) {
        plan.wake(held.until);
        plan.held.insert(name.clone(), held.clone());
        return;
    }
    // One that was stopped to get another size has not failed.
    let failed = before.filter(|seen| !resize::is_restarting(s, seen));
    let failed_at = failed.map(|seen| seen.finished_at.unwrap_or(seen.created_at));
    if let Some(failed_at) = failed_at {
        let key = identity::crash_loop_key(container);
        let until = s.crash_loops.until(&key, failed_at, s.bounds).filter(|(until, _)| *until > s.now);
        if let Some((until, delay)) = until {
            plan.wake(until);
            plan.held.insert(name.clone(), crash_loop(s.pod, name, until, delay));
            return;
        }
    }
    plan.start.push(Start { role, name: name.clone(), attempt: attempt(s, name), failed_at });
}

fn crash_loop(pod: &Pod, name: &str, until: Timestamp, delay: jiff::SignedDuration) -> Held {
    let pod = spec::pod_text(pod);
    let delay = go_text(delay);
    Held {
        reason: "CrashLoopBackOff".to_owned(),
        message: format!("back-off {delay} restarting failed container={name} pod={pod}"),
        until,
    }
}

fn attempt(s: &Situation<'_>, name: &str) -> u32 {
    if let Some(seen) = s.observed.latest(name) {
        return seen.attempt + 1;
    }
    // The runtime forgot the container, the status did not.
    let status = crate::status::container_status(s.previous, name);
    status
        .filter(|status| status.container_id.is_some())
        .map_or(0, |status| u32::try_from(status.restart_count).unwrap_or_default() + 1)
}

fn restart_all_trigger(s: &Situation<'_>, pod_spec: &PodSpec) -> Option<String> {
    spec::containers(s.pod).iter().find_map(|(role, container)| {
        let seen = s.observed.latest(&container.name).filter(|seen| seen.stage == Stage::Exited)?;
        (verdict(pod_spec, *role, container, seen.exit_code) == Verdict::RestartAll).then(|| seen.id.clone())
    })
}

/// Everything ends and is removed; what asked for it goes last, so that a crash on the way loses nothing.
fn start_over(s: &Situation<'_>, trigger: &str, plan: &mut Plan) {
    for seen in s.observed.alive() {
        plan.stop.push(termination::stop(s, seen, StopReason::Pod, "Restarting all containers".to_owned()));
    }
    plan.remove = s.observed.containers.iter().map(|seen| seen.id.clone()).filter(|id| id != trigger).collect();
    plan.remove.push(trigger.to_owned());
}
