//! `ttlSecondsAfterFinished`: Jobs that ended go away by themselves, with their pods.
//!
//! Rules: `kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished`.

use jiff::{SignedDuration, Timestamp};
use plan::{Key, Plan, View, meta};
use typed::api::batch::v1::Job;

use crate::{cronjob, job};

/// Plans one Job.
#[must_use]
pub fn plan(key: &Key, jobs: &dyn View<Job>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(job) = jobs.get(&key.namespace, &key.name).filter(|job| !meta::is_deleting(&job.metadata)) else {
        return plan;
    };
    let Some(seconds) = job.spec.as_ref().and_then(|spec| spec.ttl_seconds_after_finished) else { return plan };
    let Some(end) = job::ended(&job).and_then(|end| end.last_transition_time.as_ref()) else { return plan };
    let expires = end.0.saturating_add(SignedDuration::from_secs(seconds.into())).unwrap_or(end.0);
    if expires <= now {
        plan.then_do(cronjob::delete_in_foreground(&job));
    } else {
        plan.look_again_at(expires);
    }
    plan
}
