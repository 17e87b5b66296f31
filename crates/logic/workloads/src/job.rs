//! Job: run pods until enough of them have succeeded, or too many have failed.
//!
//! | file | noun |
//! |---|---|
//! | `job.rs` | the verdict: complete, failed, suspended, and in which words |
//! | `ledger.rs` | the books: which ended pods are counted |
//! | `pace.rs` | which pods start and stop, and pauses after failures |
//! | `policy.rs` | podFailurePolicy and successPolicy |
//! | `indexes.rs` | sets of completion indexes |
//!
//! Rules: `kubernetes.io/docs/concepts/workloads/controllers/job`; KEP-2307 (tracking), KEP-3329 (failure policy),
//! KEP-3850 (limits per index), KEP-3939 (replacement), KEP-3998 (success policy).

pub mod indexes;
mod ledger;
mod pace;
mod policy;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use plan::{Action, Claim, Key, Plan, Refusal, Say, Selector, View, claim, meta};
use typed::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use typed::api::core::v1::Pod;

use crate::nonzero;
use ledger::{Ledger, is_indexed};
pub use pace::PODS_PER_PLAN_MAX;

/// The finalizer by which ended pods wait to be counted.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
const OURSELVES: &str = "kubernetes.io/job-controller";

/// What the Job controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Jobs.
    pub jobs: &'a dyn View<Job>,
    /// Pods.
    pub pods: &'a dyn View<Pod>,
    /// How the last plan for this key was refused, if it was.
    pub refusal: Option<&'a Refusal>,
}

/// One Job being planned.
struct Sync<'a> {
    job: &'a Job,
    spec: &'a JobSpec,
    now: Timestamp,
    mine: Vec<Arc<Pod>>,
    ledger: Ledger,
    /// The last plan's new pods were refused.
    in_vain: bool,
    plan: Plan,
}

/// A Job's end, before its last pod is gone.
struct Verdict {
    /// `SuccessCriteriaMet` or `FailureTarget`.
    interim: &'static str,
    reason: String,
    message: String,
}

impl Verdict {
    fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self { interim: "FailureTarget", reason: reason.to_owned(), message: message.into() }
    }

    fn complete(reason: &str, message: impl Into<String>) -> Self {
        Self { interim: "SuccessCriteriaMet", reason: reason.to_owned(), message: message.into() }
    }
}

/// Whether the Job has ended: its condition `Complete` or `Failed`.
#[must_use]
pub fn ended(job: &Job) -> Option<&JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True")
}

/// Plans one Job.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>, now: Timestamp) -> Plan {
    let Some(job) = world.jobs.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let Some(spec) = &job.spec else { return Plan::nothing() };
    if spec.managed_by.as_deref().is_some_and(|manager| manager != OURSELVES) {
        return Plan::nothing();
    }
    let mut plan = Plan::default();
    if ended(&job).is_some() || meta::is_deleting(&job.metadata) {
        let pods = world.pods.controlled_by(meta::uid(&job.metadata));
        plan.then(pods.iter().filter(|pod| ledger::is_tracked(pod)).map(|pod| ledger::release(pod)).collect());
        return plan;
    }
    let selector = Selector::optional(spec.selector.as_ref());
    let claimed = claim(&Claim { owner: job.as_ref(), selector: &selector, finalizer: Some(TRACKING) }, world.pods);
    if !claimed.steps.is_empty() {
        plan.then(claimed.steps);
        return plan;
    }
    let ledger = Ledger::open(&job, spec, &claimed.mine);
    let in_vain = world.refusal.is_some_and(|refusal| refusal.creating);
    let mut sync = Sync { job: &job, spec, now, mine: claimed.mine, ledger, in_vain, plan };
    sync.run();
    sync.plan
}

/// Plans one pod whose Job is gone or never was: nobody will count its end, so nothing must hold it.
#[must_use]
pub fn plan_orphan(key: &Key, world: &World<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(pod) = world.pods.get(&key.namespace, &key.name).filter(|pod| ledger::is_tracked(pod)) else {
        return plan;
    };
    let cared_for = pace::job_of(&pod).is_some_and(|(job, uid)| {
        world
            .jobs
            .get(&job.namespace, &job.name)
            .is_some_and(|job| meta::uid(&job.metadata) == uid && ended(&job).is_none())
    });
    if !cared_for {
        plan.then(vec![ledger::release(&pod)]);
    }
    plan
}

impl Sync<'_> {
    fn run(&mut self) {
        let mut status = self.job.status.clone().unwrap_or_default();
        let suspended = self.spec.suspend == Some(true);
        if status.start_time.is_none() && !suspended {
            status.start_time = Some(meta::time(self.now));
        }
        let verdict = self.verdict(&status);
        let mut active = i32::try_from(self.ledger.active.len()).unwrap_or(i32::MAX);
        match &verdict {
            Some(verdict) => {
                self.ledger.release_failure_counts();
                active -= self.stop(self.ledger.active.clone());
                set(&mut status, condition(verdict.interim, "True", &verdict.reason, &verdict.message, self.now));
            }
            // Where no pod can be made, as in a namespace that ends, the books must be kept all the same: before, not after.
            None if self.in_vain => self.note_suspension(&mut status),
            None => {
                active += self.manage();
                self.note_suspension(&mut status);
            }
        }
        let tries_again = self.in_vain && verdict.is_none();
        self.ledger.write_into(self.spec, &mut status);
        status.active = nonzero(active);
        if let Some(verdict) = verdict.filter(|_| self.is_over()) {
            self.end(&mut status, &verdict);
        }
        if self.job.status.as_ref() != Some(&status) {
            let mut changed = self.job.clone();
            changed.status = Some(status);
            self.plan.then_do(Action::update_status(changed));
        }
        let release = self.ledger.release();
        self.plan.then(release);
        if tries_again {
            self.manage();
        }
    }

    /// Whether no pod runs or leaves, and every end is counted.
    fn is_over(&self) -> bool {
        self.ledger.active.is_empty() && self.ledger.terminating == 0 && self.ledger.is_closed()
    }

    fn end(&mut self, status: &mut JobStatus, verdict: &Verdict) {
        let complete = verdict.interim == "SuccessCriteriaMet";
        let kind = if complete { "Complete" } else { "Failed" };
        set(status, condition(kind, "True", &verdict.reason, &verdict.message, self.now));
        if complete {
            status.completion_time = Some(meta::time(self.now));
            self.plan.say(self.job, Say::normal("Completed", "Job completed"));
        } else {
            let reason = FAILURES.iter().find(|known| **known == verdict.reason).copied().unwrap_or("Failed");
            self.plan.say(self.job, Say::warning(reason, verdict.message.clone()));
        }
    }

    /// How the Job ends, if it does. A verdict once written stands.
    fn verdict(&mut self, status: &JobStatus) -> Option<Verdict> {
        for interim in ["FailureTarget", "SuccessCriteriaMet"] {
            if let Some(known) = find(status, interim).filter(|known| known.status == "True") {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                return Some(Verdict { interim, reason: text(&known.reason), message: text(&known.message) });
            }
        }
        self.failure(status).or_else(|| self.success())
    }

    fn failure(&mut self, status: &JobStatus) -> Option<Verdict> {
        if let Some(words) = self.ledger.fatal.take() {
            return Some(Verdict::failed("PodFailurePolicy", words));
        }
        let limit = self.spec.backoff_limit.unwrap_or(6);
        if self.ledger.failed() > limit || pace::restarts_exceed(self.spec, &self.ledger.active) {
            return Some(Verdict::failed("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        if self.is_past_deadline(status) {
            return Some(Verdict::failed("DeadlineExceeded", "Job was active longer than specified deadline"));
        }
        let lost = self.ledger.lost.total();
        if !is_indexed(self.spec) || lost == 0 {
            return None;
        }
        if self.spec.max_failed_indexes.is_some_and(|limit| lost > limit) {
            let words = "Job has exceeded the specified maximal number of failed indexes";
            return Some(Verdict::failed("MaxFailedIndexesExceeded", words));
        }
        let over = self.ledger.completed.total() + lost >= self.spec.completions.unwrap_or_default();
        over.then(|| Verdict::failed("FailedIndexes", "Job has failed indexes"))
    }

    fn is_past_deadline(&mut self, status: &JobStatus) -> bool {
        let (Some(seconds), Some(start)) = (self.spec.active_deadline_seconds, &status.start_time) else {
            return false;
        };
        if self.spec.suspend == Some(true) {
            return false;
        }
        let deadline = start.0.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(start.0);
        if deadline > self.now {
            self.plan.look_again_at(deadline);
        }
        deadline <= self.now
    }

    fn success(&self) -> Option<Verdict> {
        if let Some(words) = policy::success(self.spec, &self.ledger.completed) {
            return Some(Verdict::complete("SuccessPolicy", words));
        }
        let succeeded = self.ledger.succeeded(self.spec);
        let enough = match self.spec.completions {
            None => succeeded > 0 && self.ledger.active.is_empty(),
            Some(completions) => succeeded >= completions,
        };
        enough.then(|| Verdict::complete("CompletionsReached", "Reached expected number of succeeded pods"))
    }

    fn note_suspension(&mut self, status: &mut JobStatus) {
        let stands = find(status, "Suspended").map(|condition| condition.status == "True");
        match (self.spec.suspend == Some(true), stands) {
            (true, Some(true)) | (false, None | Some(false)) => {}
            (true, _) => {
                set(status, condition("Suspended", "True", "JobSuspended", "Job suspended", self.now));
                status.start_time = None;
                self.plan.say(self.job, Say::normal("Suspended", "Job suspended"));
            }
            (false, Some(true)) => {
                set(status, condition("Suspended", "False", "JobResumed", "Job resumed", self.now));
                status.start_time = Some(meta::time(self.now));
                self.plan.say(self.job, Say::normal("Resumed", "Job resumed"));
            }
        }
    }
}

/// The reasons of failed Jobs, which are also the reasons of their events.
const FAILURES: [&str; 5] =
    ["PodFailurePolicy", "BackoffLimitExceeded", "DeadlineExceeded", "MaxFailedIndexesExceeded", "FailedIndexes"];

fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> JobCondition {
    JobCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(meta::time(now)),
        last_transition_time: Some(meta::time(now)),
    }
}

fn find<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    status.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn set(status: &mut JobStatus, fresh: JobCondition) {
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|condition| condition.type_ == fresh.type_) {
        Some(known) if known.status == fresh.status && known.reason == fresh.reason => {}
        Some(known) => *known = fresh,
        None => conditions.push(fresh),
    }
}

#[cfg(test)]
mod tests;
