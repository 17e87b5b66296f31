//! Namespaces on their way out.

use std::collections::BTreeMap;

use plan::{Action, Key, Kind, Resource, meta};
use rehearsal::{Playhouse, at, script};
use typed::api::core::v1::{ConfigMap, Namespace, Pod, Secret};

use super::{Contents, Remaining, plan};

#[derive(Debug, Default)]
struct Shelf(BTreeMap<Resource, Remaining>, Vec<String>);

impl Contents for Shelf {
    fn resources(&self) -> (Vec<Resource>, Vec<String>) {
        (vec![ConfigMap::RESOURCE, Pod::RESOURCE, Secret::RESOURCE], self.1.clone())
    }

    fn remaining(&self, _namespace: &str, resource: &Resource) -> Remaining {
        self.0.get(resource).cloned().unwrap_or_default()
    }

    fn failures(&self, _namespace: &str) -> Vec<String> {
        Vec::new()
    }
}

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: team, deletionTimestamp: '2026-01-01T00:00:00Z'}
spec: {finalizers: [kubernetes]}
";

fn holding(contents: &[(Resource, usize, &[&str])]) -> Shelf {
    let remaining = |(resource, objects, finalizers): &(Resource, usize, &[&str])| {
        let finalizers = finalizers.iter().map(|finalizer| ((*finalizer).to_owned(), 1)).collect();
        (resource.clone(), Remaining { objects: *objects, finalizers })
    };
    Shelf(contents.iter().map(remaining).collect(), Vec::new())
}

fn check(shelf: &Shelf, expected: &str) -> Playhouse {
    let mut house = Playhouse::read(at(0), NAMESPACE);
    let plan = plan(&Key::cluster("team"), &house, shelf, at(1));
    assert_eq!(script(&plan), expected);
    house.play(&plan);
    house
}

#[test]
fn pods_go_before_everything_else() {
    let both = holding(&[(Pod::RESOURCE, 2, &[]), (ConfigMap::RESOURCE, 1, &[])]);
    check(&both, "delete all pods in team\n--\nupdate Namespace team status");
    let rest = holding(&[(Secret::RESOURCE, 1, &[]), (ConfigMap::RESOURCE, 1, &["example.com/hold"])]);
    let house =
        check(&rest, "delete all configmaps in team\ndelete all secrets in team\n--\nupdate Namespace team status");
    let conditions = house.expect::<Namespace>("", "team").status.clone().unwrap().conditions.unwrap();
    let words: Vec<&str> = conditions.iter().filter_map(|condition| condition.message.as_deref()).collect();
    assert!(
        words.contains(
            &"Some resources are remaining: configmaps. has 1 resource instances, secrets. has 1 resource instances"
        ),
        "{words:?}"
    );
    assert!(
        words.contains(
            &"Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
        ),
        "{words:?}"
    );
}

#[test]
fn an_empty_namespace_is_let_go() {
    let mut house = Playhouse::read(at(0), NAMESPACE);
    let plan = plan(&Key::cluster("team"), &house, &Shelf::default(), at(1));
    let Some(Action::Update { object, .. }) = plan.actions().next() else { panic!("{}", script(&plan)) };
    assert_eq!(meta::name(object.meta()), "team");
    house.play(&plan);
    assert_eq!(house.objects().count(), 0);
}

#[test]
fn what_cannot_be_discovered_cannot_be_empty() {
    let blind = Shelf(BTreeMap::new(), vec!["metrics.k8s.io/v1beta1: stale".to_owned()]);
    let house = check(&blind, "update Namespace team status");
    let conditions = house.expect::<Namespace>("", "team").status.clone().unwrap().conditions.unwrap();
    assert_eq!((conditions[0].status.as_str(), conditions[0].reason.as_deref()), ("True", Some("DiscoveryFailed")));
}

#[test]
fn a_living_namespace_is_not_touched() {
    let house = Playhouse::read(
        at(0),
        "{apiVersion: v1, kind: Namespace, metadata: {name: team}, spec: {finalizers: [kubernetes]}}",
    );
    assert!(plan(&Key::cluster("team"), &house, &Shelf::default(), at(1)).is_idle());
    let gone = Playhouse::at(at(0));
    assert!(plan(&Key::cluster("team"), &gone, &Shelf::default(), at(1)).is_idle());
}

#[test]
fn the_first_day_brings_an_account_and_a_bundle() {
    let mut house = Playhouse::read(at(0), "{apiVersion: v1, kind: Namespace, metadata: {name: team}}");
    let key = Key::cluster("team");
    house.play(&crate::nursery::plan_service_account(&key, &house, &house));
    house.play(&crate::nursery::plan_root_ca(&key, &house, &house, "PEM"));
    assert!(crate::nursery::plan_service_account(&key, &house, &house).is_idle());
    assert!(crate::nursery::plan_root_ca(&key, &house, &house, "PEM").is_idle());
    assert_eq!(script(&crate::nursery::plan_root_ca(&key, &house, &house, "NEW")), "update ConfigMap kube-root-ca.crt");
}
