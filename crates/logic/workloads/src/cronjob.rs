//! CronJob: make a Job at each scheduled moment.
//!
//! What has run is read from the Jobs themselves (their annotation `batch.kubernetes.io/cronjob-scheduled-timestamp`), so a
//! status that was not written costs nothing and no moment runs twice: the name of a Job is its minute.
//! Rules: `kubernetes.io/docs/concepts/workloads/controllers/cron-jobs`.

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use plan::{Action, Key, Plan, Propagation, Say, Step, Target, View, controller_reference, meta, reference};
use typed::api::batch::v1::{CronJob, CronJobStatus, Job};
use typed::meta::ObjectMeta;

use crate::job;
use crate::schedule::Schedule;

/// The annotation with the moment for which a Job was made.
pub const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// More missed moments than this are worth a warning.
const MISSED_MAX: i64 = 100;

const UNSUPPORTED_ZONE: &str = "is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";

/// What the CronJob controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// CronJobs.
    pub cron_jobs: &'a dyn View<CronJob>,
    /// Jobs.
    pub jobs: &'a dyn View<Job>,
}

/// One CronJob being planned.
struct Turn<'a> {
    cron_job: &'a CronJob,
    jobs: Vec<Arc<Job>>,
    world: &'a World<'a>,
    now: Timestamp,
    plan: Plan,
}

/// Plans one CronJob.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>, now: Timestamp) -> Plan {
    let Some(cron_job) = world.cron_jobs.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let jobs = world.jobs.controlled_by(meta::uid(&cron_job.metadata));
    let mut turn = Turn { cron_job: &cron_job, jobs, world, now, plan: Plan::default() };
    let status = turn.status();
    turn.trim_history();
    if !meta::is_deleting(&cron_job.metadata) && cron_job.spec.suspend != Some(true) {
        turn.run(&status);
    }
    if cron_job.status.clone().unwrap_or_default() != status {
        let mut changed = cron_job.as_ref().clone();
        changed.status = Some(status);
        turn.plan.finally(Action::update_status(changed));
    }
    turn.plan
}

impl Turn<'_> {
    /// The status as the Jobs tell it.
    fn status(&mut self) -> CronJobStatus {
        let mut status = self.cron_job.status.clone().unwrap_or_default();
        let mut active = status.active.take().unwrap_or_default();
        active.retain(|known| {
            let job = self.jobs.iter().find(|job| job.metadata.uid == known.uid);
            let name = known.name.as_deref().unwrap_or_default();
            match job.map(|job| (job, job::ended(job))) {
                Some((_, None)) => true,
                Some((_, Some(end))) => {
                    let words = format!("Saw completed job: {name}, condition: {}", end.type_);
                    self.plan.say(self.cron_job, Say::normal("SawCompletedJob", words));
                    false
                }
                None => {
                    self.plan.say(self.cron_job, Say::normal("MissingJob", format!("Active job went missing: {name}")));
                    false
                }
            }
        });
        for job in &self.jobs {
            let Some(scheduled) = scheduled_at(job) else { continue };
            if job::ended(job).is_none() && active.iter().all(|known| known.uid != job.metadata.uid) {
                active.push(reference(job.as_ref()));
            }
            if status.last_schedule_time.as_ref().is_none_or(|last| last.0 < scheduled) {
                status.last_schedule_time = Some(meta::time(scheduled));
            }
            let completed = job.status.as_ref().and_then(|status| status.completion_time.clone());
            let complete = job::ended(job).is_some_and(|end| end.type_ == "Complete");
            if complete && completed.as_ref().map(|at| at.0) > status.last_successful_time.as_ref().map(|at| at.0) {
                status.last_successful_time = completed;
            }
        }
        status.active = (!active.is_empty()).then_some(active);
        status
    }

    fn trim_history(&mut self) {
        let spec = &self.cron_job.spec;
        let limits = [("Complete", spec.successful_jobs_history_limit), ("Failed", spec.failed_jobs_history_limit)];
        let mut steps = Vec::new();
        for (kind, limit) in limits {
            let Some(limit) = limit else { continue };
            let of_kind = |job: &&Arc<Job>| job::ended(job).is_some_and(|end| end.type_ == kind);
            let mut ended: Vec<_> = self.jobs.iter().filter(of_kind).cloned().collect();
            let started = |job: &Job| job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|at| at.0);
            ended.sort_by_key(|job| (started(job).is_none(), started(job), meta::name(&job.metadata).to_owned()));
            let surplus = ended.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
            let alive = ended.into_iter().take(surplus).filter(|job| !meta::is_deleting(&job.metadata));
            steps.extend(alive.map(|job| self.deletion(&job)));
        }
        self.plan.then(steps);
    }

    fn deletion(&self, job: &Job) -> Step {
        let name = meta::name(&job.metadata);
        Step::of(Action::delete(job))
            .done(self.cron_job, Say::normal("SuccessfulDelete", format!("Deleted job {name}")))
            .refused(self.cron_job, Say::refused("FailedDelete", "Deleted job: "))
    }

    fn run(&mut self, status: &CronJobStatus) {
        let Some((schedule, zone)) = self.schedule() else { return };
        if let Some(next) = schedule.next(self.now, &zone) {
            self.plan.look_again_at(next);
        }
        let Some(due) = self.due(&schedule, &zone, status) else { return };
        let spec = &self.cron_job.spec;
        let late = |seconds| due.saturating_add(SignedDuration::from_secs(seconds)).is_ok_and(|limit| limit < self.now);
        if spec.starting_deadline_seconds.is_some_and(late) {
            let when = due.to_zoned(zone).strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
            let words = format!("Missed scheduled time to start a job: {when}");
            return self.plan.say(self.cron_job, Say::warning("MissSchedule", words));
        }
        let job = self.job(due, &zone);
        if self.world.jobs.get(meta::namespace(&job.metadata), meta::name(&job.metadata)).is_some() {
            return;
        }
        let active: Vec<_> =
            self.jobs.iter().filter(|job| job::ended(job).is_none() && scheduled_at(job).is_some()).cloned().collect();
        match spec.concurrency_policy.as_deref() {
            Some("Forbid") if !active.is_empty() => {
                let words = "Not starting job because prior execution is running and concurrency policy is Forbid";
                return self.plan.say(self.cron_job, Say::normal("JobAlreadyActive", words));
            }
            Some("Replace") => {
                let steps = active
                    .iter()
                    .filter(|job| !meta::is_deleting(&job.metadata))
                    .map(|job| self.deletion(job))
                    .collect();
                self.plan.then(steps);
            }
            _ => {}
        }
        let words = format!("Created job {}", meta::name(&job.metadata));
        let step = Step::of(Action::create(job))
            .done(self.cron_job, Say::normal("SuccessfulCreate", words))
            .refused(self.cron_job, Say::refused("FailedCreate", "Error creating job: "));
        self.plan.then(vec![step]);
    }

    fn schedule(&mut self) -> Option<(Schedule, TimeZone)> {
        let (spec, text) = (&self.cron_job.spec, &self.cron_job.spec.schedule);
        let mut zone = TimeZone::UTC;
        let mut fields = text.as_str();
        if let Some(rest) = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) {
            let words = format!("CRON_TZ or TZ used in schedule {text:?} {UNSUPPORTED_ZONE}");
            self.plan.say(self.cron_job, Say::warning("UnsupportedSchedule", words));
            let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            zone = self.zone(name)?;
            fields = rest;
        } else if let Some(name) = &spec.time_zone {
            zone = self.zone(name)?;
        }
        match Schedule::parse(fields) {
            Ok(schedule) => Some((schedule, zone)),
            Err(problem) => {
                let words = format!("unparseable schedule: {text:?} : {problem}");
                self.plan.say(self.cron_job, Say::warning("UnparseableSchedule", words));
                None
            }
        }
    }

    fn zone(&mut self, name: &str) -> Option<TimeZone> {
        match TimeZone::get(name) {
            Ok(zone) => Some(zone),
            Err(problem) => {
                let words = format!("invalid timeZone: {name:?} : {problem}");
                self.plan.say(self.cron_job, Say::warning("UnknownTimeZone", words));
                None
            }
        }
    }

    /// The latest scheduled moment that has passed and has not been run.
    fn due(&mut self, schedule: &Schedule, zone: &TimeZone, status: &CronJobStatus) -> Option<Timestamp> {
        let created = meta::created(&self.cron_job.metadata);
        let mut from = status.last_schedule_time.as_ref().map_or(created, |last| last.0);
        if let Some(seconds) = self.cron_job.spec.starting_deadline_seconds {
            let deadline = self.now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(from);
            from = from.max(deadline);
        }
        let first = schedule.next(from, zone).filter(|first| *first <= self.now)?;
        let Some(second) = schedule.next(first, zone).filter(|second| *second <= self.now) else { return Some(first) };
        let pause = second.as_second() - first.as_second();
        let missed = (self.now.as_second() - first.as_second()) / pause.max(1) + 1;
        if missed > MISSED_MAX && self.cron_job.spec.starting_deadline_seconds.is_none() {
            let words =
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.plan.say(self.cron_job, Say::warning("TooManyMissedTimes", words));
        }
        // Two periods before now is early enough to find the last moment and late enough not to count through years.
        let near = self.now.checked_sub(SignedDuration::from_secs(pause.saturating_mul(2))).unwrap_or(first).max(first);
        let mut due = first;
        let mut at = schedule.next(near.checked_sub(SignedDuration::from_secs(1)).ok()?, zone);
        while let Some(moment) = at.filter(|moment| *moment <= self.now) {
            due = moment;
            at = schedule.next(moment, zone);
        }
        Some(due)
    }

    fn job(&self, due: Timestamp, zone: &TimeZone) -> Job {
        let template = &self.cron_job.spec.job_template;
        let wanted = template.metadata.clone().unwrap_or_default();
        let mut metadata = ObjectMeta {
            name: Some(format!("{}-{}", meta::name(&self.cron_job.metadata), due.as_second().div_euclid(60))),
            namespace: self.cron_job.metadata.namespace.clone(),
            labels: wanted.labels,
            annotations: wanted.annotations,
            owner_references: Some(vec![controller_reference(self.cron_job)]),
            ..ObjectMeta::default()
        };
        let local = due.to_zoned(zone.clone());
        let text = match local.offset().is_zero() {
            true => local.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            false => local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        };
        meta::set_annotation(&mut metadata, SCHEDULED, &text);
        Job { metadata, spec: template.spec.clone(), status: None }
    }
}

fn scheduled_at(job: &Job) -> Option<Timestamp> {
    meta::annotation(&job.metadata, SCHEDULED)?.parse().ok()
}

/// Deletes a Job with everything below it, in exactly the revision that was seen.
pub(crate) fn delete_in_foreground(job: &Job) -> Action {
    Action::Delete { target: Target::exactly(job), propagation: Propagation::Foreground, grace_seconds: None }
}

#[cfg(test)]
mod tests;
