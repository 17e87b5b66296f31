//! Endpoints.

use plan::{Key, Plan, View, meta};
use rehearsal::{Playhouse, at, laws_hold, script, settle};
use typed::api::core::v1::{Endpoints, Pod, Service};

use super::{World, plan};
use crate::slices::tests::{SERVICE, pod};

fn plan_web(house: &Playhouse) -> Plan {
    plan(&Key::new("default", "web"), &World { services: house, pods: house, endpoints: house })
}

fn actor(house: &Playhouse, _now: jiff::Timestamp) -> Vec<Plan> {
    vec![plan_web(house)]
}

#[test]
fn ready_and_not_ready_addresses_stand_apart() {
    let mut house = Playhouse::read(at(0), SERVICE);
    (0..3).for_each(|number| house.add_yaml(&pod(number)));
    house.change::<Pod>("default", "web-001", |pod| pod.status.as_mut().unwrap().conditions = None);
    let house = laws_hold(&house, at(1), &[&actor]);
    let subsets = house.expect::<Endpoints>("default", "web").subsets.clone().unwrap();
    assert_eq!(subsets[0].addresses.as_ref().map(Vec::len), Some(2));
    assert_eq!(subsets[0].not_ready_addresses.as_ref().map(Vec::len), Some(1));
    assert_eq!(subsets[0].ports.as_ref().unwrap()[0].port, 8080);
}

#[test]
fn more_than_a_thousand_are_cut_and_said() {
    let mut house = Playhouse::read(at(0), SERVICE);
    (0..1001).for_each(|number| house.add_yaml(&pod(number)));
    settle(&mut house, at(1), &[&actor]);
    let endpoints = house.expect::<Endpoints>("default", "web");
    assert_eq!(endpoints.subsets.as_ref().unwrap()[0].addresses.as_ref().map(Vec::len), Some(1000));
    assert_eq!(meta::annotation(&endpoints.metadata, super::OVER_CAPACITY), Some("truncated"));
}

#[test]
fn endpoints_go_with_their_service_and_only_if_it_is_really_gone() {
    let mut house = Playhouse::read(at(0), SERVICE);
    house.add_yaml(&pod(0));
    settle(&mut house, at(1), &[&actor]);
    let mut blind = house.clone();
    blind.vanish::<Service>("default", "web");
    let plan = plan_web(&blind);
    assert_eq!(script(&plan), "delete Endpoints web");
    assert!(house.play(&plan).refusal.is_some(), "the service is still there");
    blind.play(&plan);
    let left: &dyn View<Endpoints> = &blind;
    assert!(left.all().is_empty());
}
