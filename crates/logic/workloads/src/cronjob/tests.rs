//! CronJobs: moments, concurrency, history.

use jiff::Timestamp;
use plan::{Key, Plan, View, meta};
use rehearsal::{Playhouse, script, settle};
use typed::api::batch::v1::{CronJob, Job, JobCondition};

use super::{World, plan};

const CRON_JOB: &str = "
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick, namespace: default, creationTimestamp: '2026-01-01T00:00:10Z'}
spec:
  schedule: '*/5 * * * *'
  concurrencyPolicy: Allow
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 1
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: tick:1}]}}}}
";

fn time(text: &str) -> Timestamp {
    format!("2026-01-01T{text}Z").parse().unwrap()
}

fn actor(house: &Playhouse, now: Timestamp) -> Vec<Plan> {
    let view: &dyn View<CronJob> = house;
    let world = World { cron_jobs: house, jobs: house };
    view.all().iter().map(|one| plan(&Key::of(one.as_ref()), &world, now)).collect()
}

fn step(house: &mut Playhouse, now: &str) -> usize {
    house.now = Some(time(now));
    settle(house, time(now), &[&actor]);
    let jobs: &dyn View<Job> = house;
    jobs.all().len()
}

fn finish(house: &mut Playhouse, kind: &str) {
    let jobs: Vec<String> = {
        let all: &dyn View<Job> = house;
        all.all()
    }
    .iter()
    .map(|job| meta::name(&job.metadata).to_owned())
    .collect();
    for name in jobs {
        house.change::<Job>("default", &name, |job| {
            let condition = JobCondition { type_: kind.into(), status: "True".into(), ..JobCondition::default() };
            job.status.get_or_insert_default().conditions.get_or_insert_default().push(condition);
        });
    }
}

#[test]
fn each_moment_makes_one_job() {
    let mut house = Playhouse::read(time("00:00:10"), CRON_JOB);
    assert_eq!(step(&mut house, "00:01:00"), 0);
    assert_eq!(actor(&house, time("00:01:00"))[0].requeue_at, Some(time("00:05:00")));
    assert_eq!(step(&mut house, "00:05:00"), 1);
    assert_eq!(step(&mut house, "00:06:00"), 1);
    let cron_job = house.expect::<CronJob>("default", "tick");
    let status = cron_job.status.clone().unwrap();
    assert_eq!(status.last_schedule_time.map(|at| at.0), Some(time("00:05:00")));
    assert_eq!(status.active.map(|active| active.len()), Some(1));
    let jobs: &dyn View<Job> = &house;
    let job = &jobs.all()[0];
    assert_eq!(meta::name(&job.metadata), format!("tick-{}", time("00:05:00").as_second() / 60));
    assert_eq!(meta::annotation(&job.metadata, super::SCHEDULED), Some("2026-01-01T00:05:00Z"));
    assert_eq!(step(&mut house, "00:17:00"), 2, "of two missed moments only the last is made up for");
}

#[test]
fn forbid_waits_and_replace_takes_over() {
    let mut house = Playhouse::read(time("00:00:10"), &CRON_JOB.replace("Allow", "Forbid"));
    step(&mut house, "00:05:00");
    assert_eq!(step(&mut house, "00:10:00"), 1);
    assert!(house.said.iter().any(|said| said.starts_with("Normal JobAlreadyActive Not starting job because")));
    finish(&mut house, "Complete");
    assert_eq!(step(&mut house, "00:10:30"), 2);
    let mut house = Playhouse::read(time("00:00:10"), &CRON_JOB.replace("Allow", "Replace"));
    step(&mut house, "00:05:00");
    let text = script(&actor(&house, time("00:10:00"))[0]);
    assert!(text.starts_with("delete Job tick-") && text.contains("\n--\ncreate Job tick-"), "{text}");
}

#[test]
fn history_is_trimmed_and_late_starts_are_skipped() {
    let mut house = Playhouse::read(time("00:00:10"), CRON_JOB);
    for now in ["00:05:00", "00:10:00", "00:15:00"] {
        step(&mut house, now);
        finish(&mut house, "Complete");
    }
    assert_eq!(step(&mut house, "00:16:00"), 1);
    let mut house = Playhouse::read(
        time("00:00:10"),
        &CRON_JOB.replace("concurrencyPolicy", "startingDeadlineSeconds: 20\n  concurrencyPolicy"),
    );
    assert_eq!(step(&mut house, "00:05:30"), 0);
    assert_eq!(step(&mut house, "00:10:10"), 1);
}

#[test]
fn bad_schedules_and_zones_are_said() {
    let mut house = Playhouse::read(time("00:00:10"), &CRON_JOB.replace("*/5 * * * *", "*/5 * * *"));
    step(&mut house, "00:05:00");
    assert_eq!(
        house.said[0],
        "Warning UnparseableSchedule unparseable schedule: \"*/5 * * *\" : expected exactly 5 fields, found 4: [*/5 * * *]"
    );
    let mut house = Playhouse::read(
        time("00:00:10"),
        &CRON_JOB.replace("concurrencyPolicy", "timeZone: Mars/Olympus\n  concurrencyPolicy"),
    );
    step(&mut house, "00:05:00");
    assert!(
        house.said[0].starts_with("Warning UnknownTimeZone invalid timeZone: \"Mars/Olympus\" : "),
        "{:?}",
        house.said
    );
}
