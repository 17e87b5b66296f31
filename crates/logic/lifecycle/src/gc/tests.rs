//! The graph of owners, played on a cluster of ReplicaSets, Pods and ConfigMaps.

use plan::{Key, Kind, Propagation, Resource, View, meta};
use rehearsal::{Playhouse, at, script};
use typed::api::apps::v1::{Deployment, ReplicaSet};
use typed::api::core::v1::{ConfigMap, Node, Pod};

use super::Graph;

fn resolve(api_version: &str, kind: &str) -> Option<Resource> {
    let known = [Deployment::RESOURCE, ReplicaSet::RESOURCE, Pod::RESOURCE, ConfigMap::RESOURCE, Node::RESOURCE];
    known.into_iter().find(|row| row.api_version() == api_version && row.kind == kind)
}

fn object(resource: &Resource, name: &str, owners: &[(&Resource, &str, bool)]) -> String {
    let owner = |(resource, name, block): &(&Resource, &str, bool)| {
        format!(
            "{{apiVersion: {}, kind: {}, name: {name}, uid: {name}, blockOwnerDeletion: {block}}}",
            resource.api_version(),
            resource.kind
        )
    };
    let owners: Vec<String> = owners.iter().map(owner).collect();
    format!(
        "{{apiVersion: {}, kind: {}, metadata: {{name: {name}, namespace: default, uid: {name}, ownerReferences: [{}]}}}}",
        resource.api_version(),
        resource.kind,
        owners.join(", ")
    )
}

/// A deployment, its replica set, two pods, and a config map owned by one of the pods and the replica set.
fn family() -> Playhouse {
    let (deployment, set, pod, map) = (Deployment::RESOURCE, ReplicaSet::RESOURCE, Pod::RESOURCE, ConfigMap::RESOURCE);
    let mut house = Playhouse::at(at(0));
    house.add_yaml("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: default, uid: d}, spec: {selector: {}, template: {}}}");
    house.add_yaml(&object(&set, "r", &[(&deployment, "d", true)]).replace("]}}", "]}, spec: {selector: {}}}"));
    house.add_yaml(&object(&pod, "p1", &[(&set, "r", true)]));
    house.add_yaml(&object(&pod, "p2", &[(&set, "r", true)]));
    house.add_yaml(&object(&map, "m", &[(&pod, "p1", true), (&set, "r", true)]));
    house
}

fn graph(house: &Playhouse) -> Graph {
    let mut graph = Graph::default();
    for object in house.objects() {
        graph.observe(&object.resource(), object.meta());
    }
    graph
}

/// Plans every object until nothing more happens.
fn collect(house: &mut Playhouse) {
    for _ in 0..50 {
        let seen = graph(house);
        let uids: Vec<String> = house.objects().map(|object| meta::uid(object.meta()).to_owned()).collect();
        let mut writes = 0;
        for uid in uids {
            writes += house.play(&seen.plan(&uid, &resolve)).writes;
        }
        house.finish_terminations();
        if writes == 0 {
            return;
        }
    }
    panic!("the collector does not come to rest");
}

fn names(house: &Playhouse) -> Vec<String> {
    house.objects().map(|object| meta::name(object.meta()).to_owned()).collect()
}

#[test]
fn in_the_background_dependents_follow_their_owner() {
    let mut house = family();
    house.delete::<Deployment>("default", "d", Propagation::Background);
    collect(&mut house);
    assert_eq!(house.objects().count(), 0);
}

#[test]
fn in_the_foreground_the_owner_waits() {
    let mut house = family();
    house.delete::<Deployment>("default", "d", Propagation::Foreground);
    let seen = graph(&house);
    assert!(seen.plan("d", &resolve).is_idle(), "it is blocked by its replica set");
    assert_eq!(script(&seen.plan("r", &resolve)), "delete ReplicaSet r Foreground");
    collect(&mut house);
    assert_eq!(house.objects().count(), 0);
}

#[test]
fn orphans_stay() {
    let mut house = family();
    house.delete::<ReplicaSet>("default", "r", Propagation::Orphan);
    collect(&mut house);
    assert_eq!(names(&house), ["m", "p1", "p2", "d"]);
    assert_eq!(house.expect::<Pod>("default", "p2").metadata.owner_references, None);
    assert_eq!(house.expect::<ConfigMap>("default", "m").metadata.owner_references.as_ref().map(Vec::len), Some(1));
}

#[test]
fn one_living_owner_is_enough() {
    let mut house = family();
    house.vanish::<Pod>("default", "p1");
    collect(&mut house);
    assert_eq!(names(&house), ["m", "p2", "d", "r"]);
    let owners = house.expect::<ConfigMap>("default", "m").metadata.owner_references.clone().unwrap();
    assert_eq!(owners.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(), ["r"]);
}

#[test]
fn an_owner_out_of_sight_is_not_an_owner_gone() {
    let mut house = family();
    let mut blind = Graph::default();
    for object in house.objects().filter(|object| object.resource() != Deployment::RESOURCE) {
        blind.observe(&object.resource(), object.meta());
    }
    let plan = blind.plan("r", &resolve);
    assert_eq!(script(&plan), "delete ReplicaSet r");
    assert!(house.play(&plan).refusal.is_some(), "the live read finds the deployment");
    assert_eq!(names(&house).len(), 5);
}

#[test]
fn unknown_kinds_and_impossible_owners_decide_nothing() {
    let mut house = Playhouse::at(at(0));
    house.add_yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: default, uid: m, ownerReferences: [{apiVersion: example.com/v1, kind: Thing, name: t, uid: t}]}}");
    house.add_yaml("{apiVersion: v1, kind: Node, metadata: {name: host, uid: host, ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: p}]}}");
    let seen = graph(&house);
    assert!(seen.plan("m", &resolve).is_idle());
    let plan = seen.plan("host", &resolve);
    assert_eq!((script(&plan).as_str(), plan.events[0].say.reason), ("", "OwnerRefInvalidNamespace"));
}

#[test]
fn the_graph_wakes_those_concerned() {
    let mut house = family();
    let mut seen = graph(&house);
    assert_eq!(seen.forget("r"), ["d", "m", "p1", "p2"]);
    house.vanish::<ReplicaSet>("default", "r");
    let pods: &dyn View<Pod> = &house;
    let pod = pods.get("default", "p1").unwrap();
    assert_eq!(seen.observe(&Pod::RESOURCE, &pod.metadata), ["p1", "r"]);
    assert_eq!(Key::of(pod.as_ref()).to_string(), "default/p1");
}
