//! Jobs: counting, limits, policies.

use plan::{Key, Refusal, View, meta};
use rehearsal::{Playhouse, at, laws_hold, script, settle};
use typed::api::batch::v1::{Job, JobStatus};
use typed::api::core::v1::Pod;

use super::indexes::Indexes;
use super::{INDEX, TRACKING, World};
use crate::pods;
use crate::samples::{JOB, jobs};

fn status(house: &Playhouse) -> JobStatus {
    house.expect::<Job>("default", "sum").status.clone().unwrap_or_default()
}

fn verdict(house: &Playhouse) -> Vec<(String, String)> {
    let conditions = status(house).conditions.unwrap_or_default();
    conditions.into_iter().map(|c| (c.type_, c.reason.unwrap_or_default())).collect()
}

fn active(house: &Playhouse) -> Vec<String> {
    let pods: &dyn View<Pod> = house;
    let active = pods.all().into_iter().filter(|pod| pods::is_active(pod));
    active.map(|pod| meta::annotation(&pod.metadata, INDEX).unwrap_or("-").to_owned()).collect()
}

/// Moves the clock past any pause, and settles.
fn step(house: &mut Playhouse, seconds: i64) {
    house.now = Some(at(seconds));
    settle(house, at(seconds), &[&jobs]);
}

#[test]
fn pods_run_until_enough_have_succeeded() {
    let mut house = Playhouse::read(at(0), JOB);
    step(&mut house, 1);
    assert_eq!((active(&house).len(), status(&house).active), (2, Some(2)));
    house.end_pods("Succeeded", 0, pods::is_active);
    step(&mut house, 2);
    assert_eq!((active(&house).len(), status(&house).succeeded), (1, Some(2)), "one more is needed, not two");
    house.end_pods("Succeeded", 0, pods::is_active);
    step(&mut house, 3);
    let reached = "CompletionsReached".to_owned();
    assert_eq!(verdict(&house), [("SuccessCriteriaMet".into(), reached.clone()), ("Complete".into(), reached)]);
    assert_eq!((status(&house).succeeded, status(&house).completion_time.is_some()), (Some(3), true));
    let pods: &dyn View<Pod> = &house;
    assert!(pods.all().iter().all(|pod| !meta::has_finalizer(&pod.metadata, TRACKING)), "no finalizer stays behind");
    assert!(house.said.contains(&"Normal Completed Job completed".to_owned()), "{:?}", house.said);
}

#[test]
fn the_books_are_kept_where_no_pod_can_be_made() {
    let mut house = Playhouse::read(at(0), JOB);
    step(&mut house, 1);
    house.end_pods("Succeeded", 0, pods::is_active);
    let resource = <Pod as plan::Kind>::RESOURCE;
    let reason = ("Forbidden".to_owned(), "the namespace is being terminated".to_owned());
    let refusal = Refusal { resource, creating: true, reason: reason.0, message: reason.1 };
    let world = World { jobs: &house, pods: &house, refusal: Some(&refusal) };
    let plan = super::plan(&Key::new("default", "sum"), &world, at(2));
    let words = script(&plan);
    let of = |what: &str| words.find(what).unwrap_or_else(|| panic!("{what}: {words}"));
    let (told, released, made) = (of("status"), of("finalizers=[]"), of("create Pod"));
    assert!(told < released && released < made, "{words}");
}

#[test]
fn the_laws_hold() {
    let start = Playhouse::read(at(0), JOB);
    laws_hold(&start, at(1), &[&jobs]);
}

#[test]
fn every_end_is_counted_once_even_when_the_pods_vanish() {
    let mut house = Playhouse::read(at(0), JOB);
    step(&mut house, 1);
    house.end_pods("Succeeded", 0, pods::is_active);
    // The first plan notes the ends and releases the pods; then the pods are removed before they are numbers.
    let plan = jobs(&house, at(2)).remove(0);
    house.play(&plan);
    let pods: Vec<String> = {
        let all: &dyn View<Pod> = &house;
        all.all()
    }
    .iter()
    .map(|pod| meta::name(&pod.metadata).to_owned())
    .collect();
    assert_eq!(pods.len(), 3);
    for name in pods {
        if !meta::has_finalizer(&house.expect::<Pod>("default", &name).metadata, TRACKING) {
            house.vanish::<Pod>("default", &name);
        }
    }
    step(&mut house, 3);
    assert_eq!(status(&house).succeeded, Some(2));
}

#[test]
fn failures_pause_and_then_end_the_job() {
    let mut house = Playhouse::read(at(0), JOB);
    step(&mut house, 1);
    house.end_pods("Failed", 1, pods::is_active);
    step(&mut house, 2);
    assert_eq!(active(&house).len(), 0, "two failures: twenty seconds of rest");
    let again = jobs(&house, at(2))[0].requeue_at;
    assert_eq!(again, Some(at(21)));
    step(&mut house, 22);
    assert_eq!(active(&house).len(), 2);
    house.end_pods("Failed", 1, pods::is_active);
    step(&mut house, 23);
    let exceeded = "BackoffLimitExceeded".to_owned();
    assert_eq!(verdict(&house), [("FailureTarget".into(), exceeded.clone()), ("Failed".into(), exceeded)]);
    assert_eq!(status(&house).failed, Some(4));
}

#[test]
fn an_indexed_job_gives_each_index_its_own_limit() {
    let text = JOB
        .replace("NonIndexed", "Indexed")
        .replace("backoffLimit: 2", "backoffLimit: 100\n  backoffLimitPerIndex: 1\n  maxFailedIndexes: 2");
    let mut house = Playhouse::read(at(0), &text);
    step(&mut house, 1);
    assert_eq!(active(&house), ["0", "1"]);
    let of = |index: &'static str| {
        move |pod: &Pod| pods::is_active(pod) && meta::annotation(&pod.metadata, INDEX) == Some(index)
    };
    house.end_pods("Failed", 1, of("0"));
    house.end_pods("Succeeded", 0, of("1"));
    step(&mut house, 2);
    assert_eq!(active(&house), ["2"], "index 0 rests");
    assert_eq!(status(&house).completed_indexes.as_deref(), Some("1"));
    step(&mut house, 30);
    assert_eq!(active(&house).len(), 2);
    house.end_pods("Failed", 1, of("0"));
    house.end_pods("Succeeded", 0, of("2"));
    step(&mut house, 60);
    assert_eq!(status(&house).failed_indexes.as_deref(), Some("0"));
    assert_eq!(verdict(&house).last(), Some(&("Failed".to_owned(), "FailedIndexes".to_owned())));
    let pods: &dyn View<Pod> = &house;
    assert!(pods.all().iter().all(|pod| !meta::has_finalizer(&pod.metadata, TRACKING)));
}

#[test]
fn the_failure_policy_ends_the_job_or_looks_away() {
    let policy = "backoffLimit: 2\n  podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget, status: 'True'}]}, {action: FailJob, onExitCodes: {operator: In, values: [42]}}]}";
    let mut house = Playhouse::read(at(0), &JOB.replace("backoffLimit: 2", policy));
    step(&mut house, 1);
    house.end_pods("Failed", 137, pods::is_active);
    let all: Vec<String> = {
        let all: &dyn View<Pod> = &house;
        all.all()
    }
    .iter()
    .map(|pod| meta::name(&pod.metadata).to_owned())
    .collect();
    for name in &all {
        house.change::<Pod>("default", name, |pod| {
            let condition = typed::api::core::v1::PodCondition {
                type_: "DisruptionTarget".into(),
                status: "True".into(),
                ..Default::default()
            };
            pod.status.as_mut().unwrap().conditions = Some(vec![condition]);
        });
    }
    step(&mut house, 2);
    assert_eq!(
        (status(&house).failed, active(&house).len()),
        (None, 2),
        "evicted pods do not count and are replaced at once"
    );
    house.end_pods("Failed", 42, pods::is_active);
    step(&mut house, 3);
    assert_eq!(verdict(&house).last(), Some(&("Failed".to_owned(), "PodFailurePolicy".to_owned())));
    let message = status(&house).conditions.unwrap()[0].message.clone().unwrap();
    assert!(message.contains("failed with exit code 42 matching FailJob rule at index 1"), "{message}");
}

#[test]
fn suspending_stops_the_pods_and_resuming_starts_them() {
    let mut house = Playhouse::read(at(0), JOB);
    step(&mut house, 1);
    house.run_pods();
    house.change::<Job>("default", "sum", |job| job.spec.as_mut().unwrap().suspend = Some(true));
    step(&mut house, 2);
    house.finish_terminations();
    step(&mut house, 3);
    assert_eq!((active(&house).len(), status(&house).start_time), (0, None));
    assert_eq!(verdict(&house), [("Suspended".to_owned(), "JobSuspended".to_owned())]);
    house.change::<Job>("default", "sum", |job| job.spec.as_mut().unwrap().suspend = Some(false));
    step(&mut house, 100);
    assert_eq!(active(&house).len(), 2);
    assert_eq!(verdict(&house), [("Suspended".to_owned(), "JobResumed".to_owned())]);
}

#[test]
fn index_sets_read_and_write_as_the_api_does() {
    for (text, written, total) in [
        ("", "", 0),
        ("0", "0", 1),
        ("1,2", "1,2", 2),
        ("1-3,5,7-9", "1-3,5,7-9", 7),
        ("5,1-3,4", "1-5", 5),
        ("1-99", "1-9", 9),
        ("x,3", "3", 1),
    ] {
        let set = Indexes::parse(text, 10);
        assert_eq!((set.to_string(), set.total()), (written.to_owned(), total), "{text}");
    }
    assert_eq!(Indexes::parse("0-4", 10).common(&Indexes::parse("3-6,0", 10)), 3);
}

#[test]
fn a_completion_costs_two_writes_of_pods_and_a_share_of_the_status() {
    let mut house = Playhouse::read(
        at(0),
        &JOB.replace("parallelism: 2", "parallelism: 20").replace("completions: 3", "completions: 100"),
    );
    for second in 1..20 {
        step(&mut house, second);
        let (before, running) = (house.revision(), active(&house).len());
        house.end_pods("Succeeded", 0, pods::is_active);
        assert_eq!(house.revision() - before, running as u64, "ends are the kubelet's writes");
    }
    assert_eq!(status(&house).succeeded, Some(100));
    let kubelet = 100;
    let writes = house.revision() - kubelet;
    assert!(writes <= 200 + 3 * 6, "{writes} writes");
}
