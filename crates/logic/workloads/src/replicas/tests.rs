//! ReplicaSets: numbers, ranking, ownership.

use plan::{Key, Propagation, View};
use rehearsal::{Playhouse, at, laws_hold, script, settle};
use typed::api::apps::v1::ReplicaSet;
use typed::api::core::v1::Pod;

use super::{World, plan_replica_set};
use crate::samples;

const SET: &str = "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web, namespace: default}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: web:1}]}
";

fn plan(house: &Playhouse) -> plan::Plan {
    let world = World { sets: house, pods: house, refusal: None };
    plan_replica_set(&Key::new("default", "web"), &world, at(100))
}

#[test]
fn missing_pods_are_created_in_doubling_batches() {
    let house = Playhouse::read(at(0), SET);
    let expected = "create Pod web-*\n--\ncreate Pod web-*\ncreate Pod web-*\n--\ncreate Pod web-*\ncreate Pod web-*\n--\nupdate ReplicaSet web status";
    assert_eq!(script(&plan(&house)), expected);
}

#[test]
fn the_laws_hold() {
    let house = laws_hold(&Playhouse::read(at(0), SET), at(100), &[&samples::replica_sets]);
    let set = house.expect::<ReplicaSet>("default", "web");
    assert_eq!(set.status.as_ref().map(|status| status.replicas), Some(5));
    let pods: &dyn View<Pod> = &house;
    assert_eq!(pods.all().len(), 5);
}

#[test]
fn an_empty_cache_deletes_nothing() {
    assert_eq!(script(&plan(&Playhouse::at(at(0)))), "");
}

#[test]
fn the_pods_users_value_least_go_first() {
    let mut house = Playhouse::read(at(0), SET);
    settle(&mut house, at(100), &[&samples::replica_sets]);
    house.run_pods();
    settle(&mut house, at(100), &[&samples::replica_sets]);
    let pods: &dyn View<Pod> = &house;
    let cheap = pods.all()[3].metadata.name.clone().unwrap();
    house.change::<Pod>("default", &cheap, |pod| {
        plan::meta::set_annotation(&mut pod.metadata, "controller.kubernetes.io/pod-deletion-cost", "-10");
    });
    house.change::<ReplicaSet>("default", "web", |set| set.spec.as_mut().unwrap().replicas = Some(4));
    assert!(script(&plan(&house)).starts_with(&format!("delete Pod {cheap}\n--")), "{}", script(&plan(&house)));
}

#[test]
fn orphans_are_adopted_and_strangers_released() {
    let mut house = Playhouse::read(at(0), SET);
    house.add_yaml("{apiVersion: v1, kind: Pod, metadata: {name: lost, namespace: default, labels: {app: web}}}");
    assert_eq!(script(&plan(&house)), "patch Pod lost owners=[\"web\"]");
    settle(&mut house, at(100), &[&samples::replica_sets]);
    house.change::<Pod>("default", "lost", |pod| pod.metadata.labels = None);
    assert_eq!(script(&plan(&house)), "patch Pod lost owners=[]");
    house.delete::<ReplicaSet>("default", "web", Propagation::Foreground);
    assert_eq!(
        script(&plan(&house)),
        "update ReplicaSet web status",
        "a set on its way out neither adopts nor makes nor releases"
    );
}

#[test]
fn a_refusal_stands_in_the_status_until_it_is_overcome() {
    let house = Playhouse::read(at(0), SET);
    let refusal = plan::Refusal {
        resource: <Pod as plan::Kind>::RESOURCE,
        creating: true,
        reason: "Forbidden".into(),
        message: "exceeded quota".into(),
    };
    let world = World { sets: &house, pods: &house, refusal: Some(&refusal) };
    let mut failed = house.clone();
    failed.play(&plan_replica_set(&Key::new("default", "web"), &world, at(100)));
    let failure = |house: &Playhouse| house.expect::<ReplicaSet>("default", "web").status.clone().unwrap().conditions;
    let conditions = failure(&failed).expect("a condition");
    assert_eq!(
        (conditions[0].reason.as_deref(), conditions[0].message.as_deref()),
        (Some("FailedCreate"), Some("exceeded quota"))
    );
    settle(&mut failed, at(100), &[&samples::replica_sets]);
    assert_eq!(failure(&failed), None);
}
