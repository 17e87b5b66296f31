//! The books of a Job: which ended pods have been counted.
//!
//! A pod keeps the finalizer `batch.kubernetes.io/job-tracking` until its end stands in the Job's status, so that no end is
//! lost when the pod object goes away. Counting is crash-safe in three writes: the uid enters `uncountedTerminatedPods`, the
//! finalizer goes, the uid becomes a number. Succeeded pods of an indexed Job enter `completedIndexes` directly, which is
//! idempotent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plan::{Action, MetaPatch, Step, meta};
use typed::api::batch::v1::{Job, JobSpec, JobStatus, UncountedTerminatedPods};
use typed::api::core::v1::Pod;

use super::indexes::Indexes;
use super::policy::{self, Meaning};
use super::{INDEX, INDEX_FAILURES, TRACKING};
use crate::{nonzero, pods};

/// The most ends that enter the books at once.
const UNCOUNTED_MAX: usize = 500;

/// The state of the books after this plan's entries.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) terminating: i32,
    /// Ends that are numbers already.
    counted_succeeded: i32,
    counted_failed: i32,
    /// Ends that are uids still.
    uncounted: UncountedTerminatedPods,
    /// Indexes that are done, of an indexed Job.
    pub(super) completed: Indexes,
    /// Indexes that are lost, of a Job with `backoffLimitPerIndex`.
    pub(super) lost: Indexes,
    /// The first rule by which a pod fails the whole Job.
    pub(super) fatal: Option<String>,
    /// Pods whose finalizer may go once the status is written.
    settled: Vec<Arc<Pod>>,
    /// For each index its most recent failed pod, which carries the failure count until it is replaced.
    pub(super) last_failed: BTreeMap<u32, Arc<Pod>>,
}

/// How a pod ended, as far as the Job is concerned.
enum End {
    Succeeded,
    Failed,
}

fn end_of(spec: &JobSpec, pod: &Pod) -> Option<End> {
    match pods::phase(pod) {
        "Succeeded" => Some(End::Succeeded),
        "Failed" => Some(End::Failed),
        _ if meta::is_deleting(&pod.metadata) && !replaces_only_failed(spec) => Some(End::Failed),
        _ => None,
    }
}

/// Whether terminating pods are waited for before they are replaced.
pub(super) fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement_policy.as_deref() == Some("Failed")
}

pub(super) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// The completion index of a pod, if it is below `completions`.
pub(super) fn index_of(spec: &JobSpec, pod: &Pod) -> Option<u32> {
    let index = meta::annotation(&pod.metadata, INDEX)?.parse().ok()?;
    (index < completions(spec)).then_some(index)
}

pub(super) fn completions(spec: &JobSpec) -> u32 {
    u32::try_from(spec.completions.unwrap_or_default()).unwrap_or_default()
}

/// How often an index has failed, as its pod records it.
pub(super) fn recorded_failures(pod: &Pod) -> i32 {
    meta::annotation(&pod.metadata, INDEX_FAILURES).and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl Ledger {
    pub(super) fn open(job: &Job, spec: &JobSpec, mine: &[Arc<Pod>]) -> Self {
        let status = job.status.clone().unwrap_or_default();
        let parse =
            |text: Option<&String>| text.map(|text| Indexes::parse(text, completions(spec))).unwrap_or_default();
        let mut ledger = Self {
            completed: parse(status.completed_indexes.as_ref()),
            lost: parse(status.failed_indexes.as_ref()),
            counted_succeeded: status.succeeded.unwrap_or_default(),
            counted_failed: status.failed.unwrap_or_default(),
            ..Self::default()
        };
        let known = status.uncounted_terminated_pods.unwrap_or_default();
        let tracked: BTreeSet<&str> =
            mine.iter().filter(|pod| is_tracked(pod)).map(|pod| meta::uid(&pod.metadata)).collect();
        let split = |uids: Option<Vec<String>>| -> (Vec<String>, Vec<String>) {
            uids.unwrap_or_default().into_iter().partition(|uid| tracked.contains(uid.as_str()))
        };
        let (succeeded, now_succeeded) = split(known.succeeded);
        let (failed, now_failed) = split(known.failed);
        ledger.counted_succeeded += i32::try_from(now_succeeded.len()).unwrap_or(i32::MAX);
        ledger.counted_failed += i32::try_from(now_failed.len()).unwrap_or(i32::MAX);
        ledger.uncounted = UncountedTerminatedPods { succeeded: Some(succeeded), failed: Some(failed) };
        for pod in mine {
            ledger.enter(spec, pod);
        }
        if spec.backoff_limit_per_index.is_some() && is_indexed(spec) {
            ledger.keep_failure_counts(spec);
        }
        ledger
    }

    fn enter(&mut self, spec: &JobSpec, pod: &Arc<Pod>) {
        self.active.extend(pods::is_active(pod).then(|| pod.clone()));
        self.terminating += i32::from(pods::is_terminating(pod));
        let Some(end) = end_of(spec, pod) else { return };
        let (uid, index) = (meta::uid(&pod.metadata).to_owned(), index_of(spec, pod));
        if let (End::Failed, Some(index)) = (&end, index) {
            let newer = self.last_failed.get(&index).is_none_or(|last| {
                (recorded_failures(last), meta::created(&last.metadata))
                    <= (recorded_failures(pod), meta::created(&pod.metadata))
            });
            if newer {
                self.last_failed.insert(index, pod.clone());
            }
        }
        if !is_tracked(pod) {
            return;
        }
        let known = |list: &Option<Vec<String>>| list.iter().flatten().any(|one| *one == uid);
        if !known(&self.uncounted.succeeded) && !known(&self.uncounted.failed) {
            let entries = self.uncounted.succeeded.iter().chain(&self.uncounted.failed).map(Vec::len).sum::<usize>();
            if entries >= UNCOUNTED_MAX {
                return;
            }
            match end {
                End::Succeeded if is_indexed(spec) => drop(index.map(|index| self.completed.insert(index))),
                End::Succeeded => self.uncounted.succeeded.get_or_insert_default().push(uid),
                End::Failed => self.enter_failure(spec, pod, uid, index),
            }
        }
        self.settled.push(pod.clone());
    }

    fn enter_failure(&mut self, spec: &JobSpec, pod: &Pod, uid: String, index: Option<u32>) {
        match policy::meaning(spec, pod) {
            Meaning::Ignored => return,
            Meaning::FailsJob(words) => drop(self.fatal.get_or_insert(words)),
            Meaning::FailsIndex => drop(index.map(|index| self.lost.insert(index))),
            Meaning::Counts => {}
        }
        if let (Some(limit), Some(index)) = (spec.backoff_limit_per_index, index)
            && recorded_failures(pod) >= limit
        {
            self.lost.insert(index);
        }
        self.uncounted.failed.get_or_insert_default().push(uid);
    }

    /// The last failed pod of an index that will be tried again keeps its finalizer, so that its failure count survives.
    fn keep_failure_counts(&mut self, spec: &JobSpec) {
        let running: BTreeSet<u32> = self.active.iter().filter_map(|pod| index_of(spec, pod)).collect();
        let Self { settled, last_failed, completed, lost, .. } = self;
        settled.retain(|pod| {
            let Some(index) = index_of(spec, pod) else { return true };
            let is_last = last_failed.get(&index).is_some_and(|last| last.metadata.uid == pod.metadata.uid);
            !is_last || completed.contains(index) || lost.contains(index) || running.contains(&index)
        });
    }

    pub(super) fn succeeded(&self, spec: &JobSpec) -> i32 {
        if is_indexed(spec) {
            self.completed.total()
        } else {
            self.counted_succeeded + count(&self.uncounted.succeeded)
        }
    }

    pub(super) fn failed(&self) -> i32 {
        self.counted_failed + count(&self.uncounted.failed)
    }

    /// Whether every end is a number and no finalizer waits for the books.
    pub(super) fn is_closed(&self) -> bool {
        count(&self.uncounted.succeeded) + count(&self.uncounted.failed) == 0 && self.settled.is_empty()
    }

    /// A Job that is decided tries no index again, so no failure count must survive.
    pub(super) fn release_failure_counts(&mut self) {
        let kept: Vec<_> = self.last_failed.values().filter(|pod| is_tracked(pod)).cloned().collect();
        for pod in kept {
            if !self.settled.iter().any(|settled| settled.metadata.uid == pod.metadata.uid) {
                self.settled.push(pod);
            }
        }
    }

    pub(super) fn write_into(&self, spec: &JobSpec, status: &mut JobStatus) {
        status.succeeded = nonzero(if is_indexed(spec) { self.completed.total() } else { self.counted_succeeded });
        status.failed = nonzero(self.counted_failed);
        status.terminating = Some(self.terminating);
        let ready = self.active.iter().filter(|pod| pods::is_ready(pod)).count();
        status.ready = Some(i32::try_from(ready).unwrap_or(i32::MAX));
        if is_indexed(spec) {
            status.completed_indexes = (!self.completed.is_empty()).then(|| self.completed.to_string());
        }
        if spec.backoff_limit_per_index.is_some() {
            status.failed_indexes = Some(self.lost.to_string()).filter(|text| !text.is_empty());
        }
        let some = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
        status.uncounted_terminated_pods = Some(UncountedTerminatedPods {
            succeeded: some(&self.uncounted.succeeded),
            failed: some(&self.uncounted.failed),
        });
    }

    /// Takes the finalizers from all pods whose end is in the books.
    pub(super) fn release(&self) -> Vec<Step> {
        self.settled.iter().map(|pod| release(pod)).collect()
    }
}

fn count(list: &Option<Vec<String>>) -> i32 {
    i32::try_from(list.as_ref().map_or(0, Vec::len)).unwrap_or(i32::MAX)
}

pub(super) fn is_tracked(pod: &Pod) -> bool {
    meta::has_finalizer(&pod.metadata, TRACKING)
}

/// Takes the tracking finalizer from a pod.
pub(super) fn release(pod: &Pod) -> Step {
    Step::of(Action::patch(pod, MetaPatch::finalizers(meta::finalizers_without(&pod.metadata, TRACKING))))
}
