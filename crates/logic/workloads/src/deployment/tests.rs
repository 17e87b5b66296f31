//! Deployments, together with the ReplicaSet controller.

use plan::{View, meta};
use rehearsal::{Playhouse, at, laws_hold, script, settle};
use typed::api::apps::v1::{Deployment, ReplicaSet};

use super::family;
use crate::samples::{self, DEPLOYMENT};

fn rest(house: &mut Playhouse, seconds: i64) {
    for _ in 0..100 {
        house.now = Some(at(seconds));
        let rounds = settle(house, at(seconds), &[&samples::deployments, &samples::replica_sets]);
        let before = format!("{:?}", house.objects().map(|o| o.meta().resource_version.clone()).collect::<Vec<_>>());
        house.run_pods();
        house.finish_terminations();
        let after = format!("{:?}", house.objects().map(|o| o.meta().resource_version.clone()).collect::<Vec<_>>());
        if rounds == 0 && before == after {
            return;
        }
        check_availability(house);
    }
    panic!("the rollout does not come to rest");
}

/// No rollout of four pods may ever ask for more than five, nor promise fewer than three.
fn check_availability(house: &Playhouse) {
    let sets: &dyn View<ReplicaSet> = house;
    let total: i32 = sets.all().iter().map(|set| family::size(set)).sum();
    assert!(total <= 5, "{total} pods wanted");
}

fn progress(house: &Playhouse) -> (String, String) {
    let deployment = house.expect::<Deployment>("default", "web");
    let conditions = deployment.status.clone().and_then(|status| status.conditions).unwrap_or_default();
    let progressing = conditions.into_iter().find(|condition| condition.type_ == "Progressing").expect("a condition");
    (progressing.status, progressing.reason.unwrap_or_default())
}

fn sizes(house: &Playhouse) -> Vec<(i64, i32)> {
    let sets: &dyn View<ReplicaSet> = house;
    let mut sizes: Vec<_> = sets.all().iter().map(|set| (family::revision(set), family::size(set))).collect();
    sizes.sort_unstable();
    sizes
}

fn image(house: &mut Playhouse, image: &str) {
    house.change::<Deployment>("default", "web", |deployment| {
        let spec = deployment.spec.as_mut().unwrap();
        spec.template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
    });
}

#[test]
fn the_first_plan_creates_a_replica_set() {
    let house = Playhouse::read(at(0), DEPLOYMENT);
    let plan = &samples::deployments(&house, at(1))[0];
    let text = script(plan);
    assert!(text.starts_with("create ReplicaSet web-") && text.ends_with("--\nupdate Deployment web status"), "{text}");
    let mut house = house;
    house.play(plan);
    assert!(house.said[0].starts_with("Normal ScalingReplicaSet Scaled up replica set web-"), "{:?}", house.said);
    assert!(house.said[0].ends_with(" from 0 to 4"), "{:?}", house.said);
}

#[test]
fn the_laws_hold() {
    laws_hold(&Playhouse::read(at(0), DEPLOYMENT), at(1), &[&samples::deployments, &samples::replica_sets]);
}

#[test]
fn a_rollout_replaces_all_pods_and_rolls_back() {
    let mut house = Playhouse::read(at(0), DEPLOYMENT);
    rest(&mut house, 10);
    assert_eq!(progress(&house), ("True".into(), "NewReplicaSetAvailable".into()));
    assert_eq!(sizes(&house), [(1, 4)]);
    image(&mut house, "web:2");
    rest(&mut house, 20);
    assert_eq!(sizes(&house), [(1, 0), (2, 4)]);
    image(&mut house, "web:3");
    rest(&mut house, 30);
    assert_eq!(sizes(&house), [(2, 0), (3, 4)], "one old revision is kept");
    image(&mut house, "web:2");
    rest(&mut house, 40);
    assert_eq!(sizes(&house), [(3, 0), (4, 4)], "undo makes the old replica set the newest");
    let deployment = house.expect::<Deployment>("default", "web");
    assert_eq!(meta::annotation(&deployment.metadata, family::REVISION), Some("4"));
    let sets: &dyn View<ReplicaSet> = &house;
    let newest = sets.all().into_iter().find(|set| family::revision(set) == 4).unwrap();
    assert_eq!(meta::annotation(&newest.metadata, "deployment.kubernetes.io/revision-history"), Some("2"));
}

#[test]
fn a_rollout_that_stands_still_times_out() {
    let mut house = Playhouse::read(at(0), DEPLOYMENT);
    settle(&mut house, at(10), &[&samples::deployments, &samples::replica_sets]);
    let waits = samples::deployments(&house, at(10))[0].requeue_at;
    assert!(waits.is_some_and(|until| until <= at(620)), "{waits:?}");
    settle(&mut house, at(700), &[&samples::deployments, &samples::replica_sets]);
    assert_eq!(progress(&house), ("False".into(), "ProgressDeadlineExceeded".into()));
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut house = Playhouse::read(at(0), DEPLOYMENT);
    rest(&mut house, 10);
    house.change::<Deployment>("default", "web", |deployment| deployment.spec.as_mut().unwrap().paused = Some(true));
    image(&mut house, "web:2");
    house.change::<Deployment>("default", "web", |deployment| deployment.spec.as_mut().unwrap().replicas = Some(5));
    rest(&mut house, 20);
    assert_eq!(sizes(&house), [(1, 5)]);
    assert_eq!(progress(&house), ("Unknown".into(), "DeploymentPaused".into()));
}

#[test]
fn growth_in_the_middle_of_a_rollout_is_shared() {
    let mut house = Playhouse::read(at(0), DEPLOYMENT);
    rest(&mut house, 10);
    image(&mut house, "web:2");
    // The new pods never become ready, so the rollout stays in the middle: 3 old, 2 new.
    settle(&mut house, at(20), &[&samples::deployments, &samples::replica_sets]);
    house.finish_terminations();
    settle(&mut house, at(20), &[&samples::deployments, &samples::replica_sets]);
    assert_eq!(sizes(&house), [(1, 3), (2, 2)]);
    house.change::<Deployment>("default", "web", |deployment| deployment.spec.as_mut().unwrap().replicas = Some(8));
    house.play(&samples::deployments(&house, at(30))[0].clone());
    assert_eq!(sizes(&house), [(1, 6), (2, 4)], "ten pods with surge, shared 3:2");
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let mut house = Playhouse::read(
        at(0),
        &DEPLOYMENT
            .replace("{type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}", "{type: Recreate}"),
    );
    rest(&mut house, 10);
    image(&mut house, "web:2");
    settle(&mut house, at(20), &[&samples::deployments, &samples::replica_sets]);
    assert_eq!(sizes(&house), [(1, 0)], "the old pods still terminate");
    rest(&mut house, 30);
    assert_eq!(sizes(&house), [(1, 0), (2, 4)]);
}

#[test]
fn a_taken_name_is_counted_as_a_collision() {
    let mut house = Playhouse::read(at(0), DEPLOYMENT);
    let first = samples::deployments(&house, at(1))[0].clone();
    let mut stranger = house.clone();
    stranger.play(&first);
    let sets: &dyn View<ReplicaSet> = &stranger;
    let name = meta::name(&sets.all()[0].metadata).to_owned();
    house.add_yaml(&format!("{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: {name}, namespace: default}}, spec: {{selector: {{matchLabels: {{a: b}}}}}}}}"));
    settle(&mut house, at(2), &[&samples::deployments]);
    let deployment = house.expect::<Deployment>("default", "web");
    assert_eq!(deployment.status.as_ref().and_then(|status| status.collision_count), Some(1));
}

#[test]
fn a_thousand_pods_cost_a_thousand_writes_and_a_few() {
    let mut house = Playhouse::read(at(0), &DEPLOYMENT.replace("replicas: 4", "replicas: 1000"));
    settle(&mut house, at(10), &[&samples::deployments, &samples::replica_sets]);
    let writes = house.revision();
    assert!(writes <= 1000 + 12, "{writes} writes");
    house.run_pods();
    let before = house.revision();
    settle(&mut house, at(20), &[&samples::deployments, &samples::replica_sets]);
    assert!(house.revision() - before <= 3, "one status each");
}
