//! Jobs and CronJobs.

use kind::Context;
use object::{Meta, Text, Value};

use crate::podspec::default_template;
use crate::promises::Promises;
use crate::tree::{at, default_text, default_to, each, empty, flag, unset, within};

/// Retries of a job's pods unless it says otherwise.
const BACKOFF_LIMIT: i64 = 6;

/// A CronJob.
pub(crate) const CRON_JOB: Promises = Promises {
    default: |cron| within(cron, "spec", default_cron_job),
    check_create: crate::check::batch::cron_job,
    check_update: crate::check::batch::cron_job_update,
    warn: crate::check::podwarnings::of_cron_job,
    columns: crate::print::batch::CRON_JOB,
    cells: crate::print::batch::cron_job,
    ..Promises::WORKLOAD
};

/// A Job.
pub(crate) const JOB: Promises = Promises {
    default: default_job,
    create,
    check_create: crate::check::batch::job,
    check_update: crate::check::batch::job_update,
    warn: crate::check::podwarnings::of_named_workload,
    orphans: true,
    selectable: &["status.successful"],
    select: |job| {
        let succeeded = job.int_at(&["status", "succeeded"]).unwrap_or(0);
        vec![("status.successful", Text::from(succeeded.to_string()))]
    },
    columns: crate::print::batch::JOB,
    cells: crate::print::batch::job,
    ..Promises::WORKLOAD
};

fn default_cron_job(spec: &mut Value) {
    default_text(spec, "concurrencyPolicy", "Allow");
    default_to(spec, "suspend", false);
    default_to(spec, "successfulJobsHistoryLimit", 3);
    default_to(spec, "failedJobsHistoryLimit", 1);
    at(spec, &["jobTemplate", "spec"], |job| {
        default_failure_policy(job);
        within(job, "template", default_template);
    });
}

fn default_job(job: &mut Value) {
    within(job, "spec", |spec| {
        if unset(spec.get("completions")) && unset(spec.get("parallelism")) {
            default_to(spec, "completions", 1);
        }
        default_to(spec, "parallelism", 1);
        let per_index = !unset(spec.get("backoffLimitPerIndex"));
        default_to(spec, "backoffLimit", if per_index { i64::from(i32::MAX) } else { BACKOFF_LIMIT });
        default_text(spec, "completionMode", "NonIndexed");
        default_to(spec, "suspend", false);
        default_to(spec, "manualSelector", false);
        let on_failure = if unset(spec.get("podFailurePolicy")) { "TerminatingOrFailed" } else { "Failed" };
        default_text(spec, "podReplacementPolicy", on_failure);
        default_failure_policy(spec);
        within(spec, "template", default_template);
    });
    default_labels(job);
}

/// A job without labels has those of its pods.
fn default_labels(job: &mut Value) {
    if empty(job.at(&["metadata", "labels"]))
        && let Some(labels) = job.at(&["spec", "template", "metadata", "labels"]).cloned()
        && !empty(Some(&labels))
    {
        job.set(&["metadata", "labels"], labels);
    }
}

fn default_failure_policy(spec: &mut Value) {
    within(spec, "podFailurePolicy", |policy| {
        each(policy, "rules", |rule| {
            each(rule, "onPodConditions", |pattern| default_text(pattern, "status", "True"));
        });
    });
}

/// Gives a job the selector by which it knows its pods, and its pods the labels.
fn create(_context: &Context<'_>, job: &mut Value) {
    if flag(job, &["spec", "manualSelector"]) {
        return;
    }
    let meta = Meta::of(job);
    let (uid, name) = (Text::from(meta.uid()), Text::from(meta.name()));
    for (label, value) in [
        ("job-name", &name),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("batch.kubernetes.io/controller-uid", &uid),
    ] {
        // A label that a client has set stays, and validation refuses it unless it is right.
        if job.at(&["spec", "template", "metadata", "labels", label]).is_none() {
            job.set(&["spec", "template", "metadata", "labels", label], value.clone());
        }
    }
    const SELECTED: &str = "batch.kubernetes.io/controller-uid";
    if job.at(&["spec", "selector", "matchLabels", SELECTED]).is_none() {
        job.set(&["spec", "selector", "matchLabels", SELECTED], uid);
    }
    default_labels(job);
}
