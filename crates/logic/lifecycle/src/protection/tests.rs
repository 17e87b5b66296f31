//! Volumes in use, and aggregated roles.

use plan::{Key, Propagation};
use rehearsal::{Playhouse, at, script};
use typed::api::core::v1::{PersistentVolumeClaim, Pod};
use typed::api::rbac::v1::ClusterRole;
use typed::api::storage::v1::VolumeAttributesClass;

use super::{plan_attributes, plan_claim};

#[test]
fn a_claim_lives_as_long_as_a_pod_uses_it() {
    let mut house =
        Playhouse::read(at(0), "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c, namespace: a}}");
    house.add_yaml("{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a}, spec: {nodeName: n1, containers: [], volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]}, status: {phase: Running}}");
    let key = Key::new("a", "c");
    house.play(&plan_claim(&key, &house, &house));
    house.delete::<PersistentVolumeClaim>("a", "c", Propagation::Background);
    assert!(plan_claim(&key, &house, &house).is_idle());
    house.change::<Pod>("a", "p", |pod| pod.status.as_mut().unwrap().phase = Some("Succeeded".into()));
    assert_eq!(script(&plan_claim(&key, &house, &house)), "update PersistentVolumeClaim c");
}

#[test]
fn a_class_of_attributes_lives_as_long_as_a_claim_asks_for_it() {
    let mut house = Playhouse::read(
        at(0),
        "{apiVersion: storage.k8s.io/v1, kind: VolumeAttributesClass, metadata: {name: gold}, driverName: d}",
    );
    house.add_yaml("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c, namespace: a}, spec: {volumeAttributesClassName: gold}}");
    let key = Key::cluster("gold");
    house.play(&plan_attributes(&key, &house, &house, &house));
    house.delete::<VolumeAttributesClass>("", "gold", Propagation::Background);
    assert!(plan_attributes(&key, &house, &house, &house).is_idle());
    house.change::<PersistentVolumeClaim>("a", "c", |claim| {
        claim.spec.as_mut().unwrap().volume_attributes_class_name = None;
    });
    assert_eq!(script(&plan_attributes(&key, &house, &house, &house)), "update VolumeAttributesClass gold");
}

#[test]
fn an_aggregated_role_has_the_rules_of_its_members() {
    let mut house = Playhouse::read(
        at(0),
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: view}, aggregationRule: {clusterRoleSelectors: [{matchLabels: {to: view}}]}}",
    );
    for name in ["b", "a"] {
        house.add_yaml(&format!("{{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {{name: {name}, labels: {{to: view}}}}, rules: [{{verbs: [get], resources: [{name}]}}]}}"));
    }
    house.play(&crate::roles::plan(&Key::cluster("view"), &house));
    let rules = house.expect::<ClusterRole>("", "view").rules.clone().unwrap();
    let resources: Vec<String> = rules.into_iter().flat_map(|rule| rule.resources.unwrap_or_default()).collect();
    assert_eq!(resources, ["a", "b"]);
    assert!(crate::roles::plan(&Key::cluster("view"), &house).is_idle());
}
