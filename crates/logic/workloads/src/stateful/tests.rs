//! StatefulSets: order, identity, claims, updates.

use plan::{Key, View, meta};
use rehearsal::{Playhouse, at, laws_hold, script, settle};
use typed::api::apps::v1::StatefulSet;
use typed::api::core::v1::{PersistentVolumeClaim, Pod};

use super::{World, plan};
use crate::samples::{STATEFUL_SET, stateful_sets};

fn names(house: &Playhouse) -> Vec<String> {
    let pods: &dyn View<Pod> = house;
    pods.all().iter().map(|pod| meta::name(&pod.metadata).to_owned()).collect()
}

fn images(house: &Playhouse) -> Vec<String> {
    let pods: &dyn View<Pod> = house;
    pods.all().iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap()).collect()
}

fn rest(house: &mut Playhouse) {
    for _ in 0..30 {
        settle(house, at(10), &[&stateful_sets]);
        house.run_pods();
        house.finish_terminations();
    }
}

#[test]
fn pods_come_in_order_each_with_its_claim() {
    let mut house = Playhouse::read(at(0), STATEFUL_SET);
    settle(&mut house, at(10), &[&stateful_sets]);
    assert_eq!(names(&house), ["db-0"], "the next waits until the first is ready");
    let pod = house.expect::<Pod>("default", "db-0");
    assert_eq!(meta::label(&pod.metadata, "apps.kubernetes.io/pod-index"), Some("0"));
    assert_eq!(pod.spec.as_ref().unwrap().hostname.as_deref(), Some("db-0"));
    assert_eq!(house.said[0], "Normal SuccessfulCreate create Claim data-db-0 Pod db-0 in StatefulSet db success");
    assert_eq!(house.said[1], "Normal SuccessfulCreate create Pod db-0 in StatefulSet db successful");
    rest(&mut house);
    assert_eq!(names(&house), ["db-0", "db-1", "db-2"]);
    let status = house.expect::<StatefulSet>("default", "db").status.clone().unwrap();
    assert_eq!((status.replicas, status.ready_replicas, status.updated_replicas), (3, Some(3), Some(3)));
    assert_eq!(status.current_revision, status.update_revision);
}

#[test]
fn the_laws_hold() {
    laws_hold(&Playhouse::read(at(0), STATEFUL_SET), at(10), &[&stateful_sets]);
    let parallel = STATEFUL_SET.replace("OrderedReady", "Parallel");
    let house = laws_hold(&Playhouse::read(at(0), &parallel), at(10), &[&stateful_sets]);
    assert_eq!(names(&house).len(), 3);
}

#[test]
fn the_highest_ordinal_goes_first_and_takes_its_claim() {
    let mut house = Playhouse::read(at(0), STATEFUL_SET);
    rest(&mut house);
    house.change::<StatefulSet>("default", "db", |set| set.spec.as_mut().unwrap().replicas = Some(1));
    let text = script(&stateful_sets(&house, at(10))[0]);
    assert!(text.starts_with("update PersistentVolumeClaim data-db-2"), "its claim first: {text}");
    assert!(text.contains("delete Pod db-2") && !text.contains("delete Pod db-1"), "{text}");
    rest(&mut house);
    assert_eq!(names(&house), ["db-0"]);
    let claims: &dyn View<PersistentVolumeClaim> = &house;
    let owners = claims.get("default", "data-db-2").and_then(|claim| claim.metadata.owner_references.clone());
    assert_eq!(owners.iter().flatten().map(|owner| owner.name.as_str()).collect::<Vec<_>>(), ["db-2"]);
    assert_eq!(claims.all().len(), 3, "the garbage collector takes the claims, not this controller");
}

#[test]
fn updates_respect_the_partition() {
    let mut house = Playhouse::read(at(0), STATEFUL_SET);
    rest(&mut house);
    house.change::<StatefulSet>("default", "db", |set| {
        let spec = set.spec.as_mut().unwrap();
        spec.template.spec.as_mut().unwrap().containers[0].image = Some("db:2".into());
        spec.update_strategy.as_mut().unwrap().rolling_update.as_mut().unwrap().partition = Some(2);
    });
    rest(&mut house);
    assert_eq!(images(&house), ["db:1", "db:1", "db:2"]);
    house.vanish::<Pod>("default", "db-0");
    rest(&mut house);
    assert_eq!(images(&house), ["db:1", "db:1", "db:2"], "below the partition the old revision is restored");
    house.change::<StatefulSet>("default", "db", |set| {
        set.spec.as_mut().unwrap().update_strategy.as_mut().unwrap().rolling_update.as_mut().unwrap().partition =
            Some(0);
    });
    rest(&mut house);
    assert_eq!(images(&house), ["db:2", "db:2", "db:2"]);
}

#[test]
fn an_unhealthy_pod_stops_an_ordered_update() {
    let mut house = Playhouse::read(at(0), STATEFUL_SET);
    rest(&mut house);
    house.change::<Pod>("default", "db-1", |pod| pod.status.as_mut().unwrap().conditions = None);
    house.change::<StatefulSet>("default", "db", |set| {
        set.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some("db:2".into());
    });
    settle(&mut house, at(10), &[&stateful_sets]);
    let pods: &dyn View<Pod> = &house;
    assert!(pods.all().iter().all(|pod| pod.metadata.deletion_timestamp.is_none()));
}

#[test]
fn an_empty_cache_deletes_nothing() {
    let house = Playhouse::at(at(0));
    let world = World { sets: &house, revisions: &house, pods: &house, claims: &house, max_unavailable_enabled: true };
    assert!(plan(&Key::new("default", "db"), &world, at(0)).is_idle());
}
