//! Which pods a Job starts and stops, and how long it pauses after failures.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use plan::{Action, Key, Say, Step, meta, slow_start};
use typed::api::batch::v1::JobSpec;
use typed::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};

use super::ledger::{completions, index_of, is_indexed, recorded_failures, replaces_only_failed};
use super::policy::{Meaning, meaning};
use super::{INDEX, INDEX_FAILURES, Sync, TRACKING};
use crate::pods;

/// The most pods created by one plan.
pub const PODS_PER_PLAN_MAX: usize = 500;

const BACKOFF_FIRST_SECONDS: i64 = 10;
const BACKOFF_SECONDS_MAX: i64 = 600;

impl Sync<'_> {
    /// Stops surplus pods or starts missing ones; by how much the number of active pods changes.
    pub(super) fn manage(&mut self) -> i32 {
        let parallelism = self.spec.parallelism.unwrap_or(1);
        if self.spec.suspend == Some(true) {
            return -self.stop(self.ledger.active.clone());
        }
        let (active, succeeded) = (count(self.ledger.active.len()), self.ledger.succeeded(self.spec));
        let wanted = match self.spec.completions {
            None if succeeded > 0 => active.min(parallelism),
            None => parallelism,
            Some(completions) => (completions - succeeded - self.ledger.lost.total()).clamp(0, parallelism),
        };
        let surplus = self.surplus(active - wanted);
        if !surplus.is_empty() {
            return -self.stop(surplus);
        }
        let leaving = if replaces_only_failed(self.spec) { self.ledger.terminating } else { 0 };
        self.start(wanted - active - leaving)
    }

    /// Pods to stop: doubles and out-of-range indexes always, then the least valuable ones.
    fn surplus(&self, at_least: i32) -> Vec<Arc<Pod>> {
        let mut ranked = self.ledger.active.clone();
        pods::rank_for_deletion(&mut ranked, &std::collections::BTreeMap::new(), self.now);
        let mut surplus = Vec::new();
        if is_indexed(self.spec) {
            let mut seen = BTreeSet::new();
            // The most valuable pod of an index is met first and stays.
            let is_double = |pod: &Arc<Pod>| index_of(self.spec, pod).is_none_or(|index| !seen.insert(index));
            let (doubles, single): (Vec<_>, Vec<_>) = ranked.into_iter().rev().partition(is_double);
            surplus = doubles;
            ranked = single.into_iter().rev().collect();
        }
        let more = usize::try_from(at_least).unwrap_or_default().saturating_sub(surplus.len());
        surplus.extend(ranked.into_iter().take(more));
        surplus
    }

    /// Deletes pods; how many.
    pub(super) fn stop(&mut self, surplus: Vec<Arc<Pod>>) -> i32 {
        let deletion = |pod: &Arc<Pod>| {
            Step::of(Action::delete(pod.as_ref()))
                .done(self.job, Say::named("SuccessfulDelete", "Deleted pod: "))
                .refused(self.job, Say::refused("FailedDelete", "Error deleting: "))
        };
        let steps = surplus.iter().map(deletion).collect();
        self.plan.then(steps);
        count(surplus.len())
    }

    fn start(&mut self, missing: i32) -> i32 {
        let missing = usize::try_from(missing).unwrap_or_default().min(PODS_PER_PLAN_MAX);
        if missing == 0 || self.must_pause() {
            return 0;
        }
        let fresh: Vec<Pod> = match is_indexed(self.spec) {
            true => self.pending_indexes(missing).into_iter().map(|index| self.pod(Some(index))).collect(),
            false => (0..missing).map(|_| self.pod(None)).collect(),
        };
        let creation = |pod: Pod| {
            Step::of(Action::create(pod))
                .done(self.job, Say::named("SuccessfulCreate", "Created pod: "))
                .refused(self.job, Say::refused("FailedCreate", "Error creating: "))
        };
        let steps: Vec<Step> = fresh.into_iter().map(creation).collect();
        let started = count(steps.len());
        self.plan.stages.extend(slow_start(steps));
        started
    }

    /// The lowest indexes that are neither done nor lost nor running nor pausing.
    fn pending_indexes(&mut self, limit: usize) -> Vec<u32> {
        let waits =
            |pod: &&Arc<Pod>| !pods::is_terminal(pod) && (pods::is_active(pod) || replaces_only_failed(self.spec));
        let busy: BTreeSet<u32> = self.mine.iter().filter(waits).filter_map(|pod| index_of(self.spec, pod)).collect();
        let mut pending = Vec::new();
        for index in 0..completions(self.spec) {
            if pending.len() == limit {
                break;
            }
            let over = self.ledger.completed.contains(index) || self.ledger.lost.contains(index);
            if over || busy.contains(&index) || self.index_must_pause(index) {
                continue;
            }
            pending.push(index);
        }
        pending
    }

    /// The whole Job pauses after failures: 10 s, 20 s, … 10 min since the last, counted anew after each success.
    fn must_pause(&mut self) -> bool {
        if self.spec.backoff_limit_per_index.is_some() {
            return false;
        }
        let ended = |phase: &'static str| self.mine.iter().filter(move |pod| pods::phase(pod) == phase);
        let last_success = ended("Succeeded").filter_map(|pod| finished_at(pod)).max();
        let counts = |pod: &&Arc<Pod>| meaning(self.spec, pod) != Meaning::Ignored;
        let failures: Vec<Timestamp> = ended("Failed")
            .filter(counts)
            .filter_map(|pod| finished_at(pod))
            .filter(|at| Some(*at) > last_success)
            .collect();
        let Some(last) = failures.iter().max().copied() else { return false };
        self.wait_until(last, failures.len())
    }

    fn index_must_pause(&mut self, index: u32) -> bool {
        if self.spec.backoff_limit_per_index.is_none() {
            return false;
        }
        let Some(pod) = self.ledger.last_failed.get(&index).cloned() else { return false };
        let failures = usize::try_from(recorded_failures(&pod)).unwrap_or_default() + 1;
        finished_at(&pod).is_some_and(|last| self.wait_until(last, failures))
    }

    fn wait_until(&mut self, last: Timestamp, failures: usize) -> bool {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        let seconds = (BACKOFF_FIRST_SECONDS << doublings).min(BACKOFF_SECONDS_MAX);
        let until = last.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(last);
        if until > self.now {
            self.plan.look_again_at(until);
        }
        until > self.now
    }

    fn pod(&self, index: Option<u32>) -> Pod {
        let mut pod = pods::from_template(&self.spec.template, self.job);
        pod.metadata.finalizers.get_or_insert_default().push(TRACKING.to_owned());
        let Some(index) = index else { return pod };
        let name = format!("{}-{index}", meta::name(&self.job.metadata));
        pod.metadata.generate_name = Some(format!("{name}-"));
        meta::set_annotation(&mut pod.metadata, INDEX, &index.to_string());
        meta::set_label(&mut pod.metadata, INDEX, &index.to_string());
        if self.spec.backoff_limit_per_index.is_some() {
            let last = self.ledger.last_failed.get(&index);
            let counts = |pod: &&Arc<Pod>| meaning(self.spec, pod) != Meaning::Ignored;
            let failures = last.map_or(0, |pod| recorded_failures(pod) + i32::from(last.filter(counts).is_some()));
            meta::set_annotation(&mut pod.metadata, INDEX_FAILURES, &failures.to_string());
        }
        let spec = pod.spec.get_or_insert_default();
        spec.hostname = Some(name);
        for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
            let env = container.env.get_or_insert_default();
            if env.iter().all(|one| one.name != "JOB_COMPLETION_INDEX") {
                env.push(index_variable());
            }
        }
        pod
    }
}

fn index_variable() -> EnvVar {
    let field_path = format!("metadata.labels['{INDEX}']");
    EnvVar {
        name: "JOB_COMPLETION_INDEX".to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { api_version: None, field_path }),
            ..EnvVarSource::default()
        }),
    }
}

/// When the last container ended; for a pod that never had any, when it was found not ready or deleted.
fn finished_at(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let ends = status
        .container_statuses
        .iter()
        .flatten()
        .filter_map(|c| c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    let by_container = ends.map(|end| end.0).max();
    let by_condition =
        || pods::condition(pod, "Ready").and_then(|ready| ready.last_transition_time.as_ref()).map(|at| at.0);
    let by_deletion = || pod.metadata.deletion_timestamp.as_ref().map(|at| at.0);
    by_container.or_else(by_condition).or_else(by_deletion).or_else(|| Some(meta::created(&pod.metadata)))
}

fn count(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

/// The sum of restarts of pods that restart their containers themselves.
pub(super) fn restarts_exceed(spec: &JobSpec, active: &[Arc<Pod>]) -> bool {
    let on_failure = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some("OnFailure");
    let limit = spec.backoff_limit.unwrap_or(6);
    let restarts = |pod: &Arc<Pod>| -> i32 {
        let Some(status) = &pod.status else { return 0 };
        let all = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
        all.map(|container| container.restart_count).sum()
    };
    let running = active.iter().filter(|pod| matches!(pods::phase(pod), "Running" | "Pending"));
    let total: i32 = running.map(restarts).sum();
    on_failure && if limit == 0 { total > 0 } else { total >= limit }
}

/// The key of the Job that controls a pod.
pub(super) fn job_of(pod: &Pod) -> Option<(Key, String)> {
    let owner = plan::controller_of(&pod.metadata).filter(|owner| owner.kind == "Job")?;
    Some((Key::new(meta::namespace(&pod.metadata), &owner.name), owner.uid.clone()))
}
