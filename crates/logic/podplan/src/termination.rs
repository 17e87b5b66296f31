//! How pods and containers end: grace periods, and sidecars after those they serve.

use jiff::Timestamp;
use typed::api::core::v1::{Container, Pod, Probe};

use crate::observed::{Seen, Stage};
use crate::plan::{Plan, Role, Situation, Stop, StopReason};
use crate::spec;

/// The least time between the stop and the kill signal, unless the pod is ended by force.
pub const GRACE_SECONDS_MIN: i64 = 2;
/// What a pod without `terminationGracePeriodSeconds` gets.
pub const GRACE_SECONDS_DEFAULT: i64 = 30;

/// That a pod is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// When it began.
    pub since: Timestamp,
    /// Seconds from then on.
    pub grace_seconds: i64,
    /// What the status will say, where ending is not the pod's own doing: eviction, deadline, preemption.
    pub verdict: Option<EndingVerdict>,
}

/// What the status of a pod says that was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingVerdict {
    /// `Evicted`, `DeadlineExceeded`, `Preempting`, ...
    pub reason: String,
    /// In words.
    pub message: String,
}

impl EndingVerdict {
    /// Whether the pod had to go for the sake of the node: not for its own deadline.
    pub(crate) fn is_disruption(&self) -> bool {
        self.reason != "DeadlineExceeded"
    }
}

/// The grace period of a pod that is being deleted, or would be.
pub fn pod_grace_seconds(pod: &Pod) -> i64 {
    let spec = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    pod.metadata.deletion_grace_period_seconds.or(spec).unwrap_or(GRACE_SECONDS_DEFAULT)
}

/// When the pod has been active for as long as it may; `None` without a deadline or before its start.
pub fn deadline(pod: &Pod, started_at: Option<Timestamp>) -> Option<Timestamp> {
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    started_at?.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()
}

/// The verdict over a pod whose deadline has passed.
pub fn deadline_exceeded() -> EndingVerdict {
    EndingVerdict {
        reason: "DeadlineExceeded".to_owned(),
        message: "Pod was active on the node longer than the specified deadline".to_owned(),
    }
}

/// The next step of an ending.
pub(crate) fn plan(s: &Situation<'_>, ending: &Ending, plan: &mut Plan) {
    let elapsed = s.now.duration_since(ending.since).as_secs();
    let left =
        if ending.grace_seconds <= 0 { 0 } else { ending.grace_seconds.saturating_sub(elapsed).max(GRACE_SECONDS_MIN) };
    layer(s, Some(left), plan);
}

/// The next step of a pod that has nothing left to do.
pub(crate) fn end_by_itself(s: &Situation<'_>, plan: &mut Plan) {
    layer(s, None, plan);
}

fn layer(s: &Situation<'_>, grace_seconds: Option<i64>, plan: &mut Plan) {
    for seen in turn(s) {
        let mut stop = stop(s, seen, StopReason::Pod, format!("Stopping container {}", seen.name));
        stop.grace_seconds = grace_seconds.unwrap_or(stop.grace_seconds);
        if stop.grace_seconds == 0 {
            stop.pre_stop = None;
        }
        plan.stop.push(stop);
    }
    if plan.stop.is_empty() {
        plan.stop_sandboxes = s.observed.sandboxes.iter().filter(|it| it.ready).map(|it| it.id.clone()).collect();
    }
    plan.finished = s.observed.is_quiet();
}

/// Whose turn it is: everybody but sidecars first, then the sidecars, the last started first.
fn turn<'a>(s: &Situation<'a>) -> Vec<&'a Seen> {
    let sidecars: Vec<String> = spec::containers(s.pod)
        .into_iter()
        .filter(|(role, _)| *role == Role::Sidecar)
        .map(|(_, container)| container.name.clone())
        .collect();
    let rank = |seen: &Seen| sidecars.iter().position(|name| *name == seen.name);
    let (served, serving): (Vec<&Seen>, Vec<&Seen>) = s.observed.alive().partition(|seen| rank(seen).is_none());
    if !served.is_empty() {
        return served;
    }
    let last = serving.iter().filter_map(|seen| rank(seen)).max();
    serving.into_iter().filter(|seen| rank(seen) == last).collect()
}

/// A stop of one container, with the grace that its reason asks for.
pub(crate) fn stop(s: &Situation<'_>, seen: &Seen, reason: StopReason, message: String) -> Stop {
    let found = spec::container(s.pod, &seen.name);
    let container = found.as_ref().map(|(_, container)| &**container);
    let hook = container.and_then(|container| container.lifecycle.as_ref()?.pre_stop.clone());
    Stop {
        id: seen.id.clone(),
        name: seen.name.clone(),
        grace_seconds: container_grace_seconds(s.pod, container, seen, reason),
        pre_stop: hook.filter(|_| seen.stage == Stage::Running),
        reason,
        message,
    }
}

fn container_grace_seconds(pod: &Pod, container: Option<&Container>, seen: &Seen, reason: StopReason) -> i64 {
    if let Some(seconds) = pod.metadata.deletion_grace_period_seconds {
        return seconds.max(0);
    }
    let of_probe = |probe: &Option<Probe>| probe.as_ref().and_then(|probe| probe.termination_grace_period_seconds);
    let by_probe = match (reason, container) {
        (StopReason::LivenessProbe, Some(container)) => of_probe(&container.liveness_probe),
        (StopReason::StartupProbe, Some(container)) => of_probe(&container.startup_probe),
        _ => None,
    };
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    by_probe.or(of_pod).or(seen.grace_seconds).unwrap_or(GRACE_SECONDS_DEFAULT).max(0)
}
