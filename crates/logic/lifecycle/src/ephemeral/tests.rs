//! Claims of ephemeral volumes.

use plan::{Key, controller_of};
use rehearsal::{Playhouse, at, script};
use typed::api::core::v1::PersistentVolumeClaim;

use super::plan;

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a}, spec: {containers: [], volumes: [{name: v, ephemeral: {volumeClaimTemplate: {metadata: {labels: {tier: data}}, spec: {accessModes: [ReadWriteOnce]}}}}]}}";

#[test]
fn a_claim_is_made_once_and_never_taken_over() {
    let mut house = Playhouse::read(at(0), POD);
    let key = Key::new("a", "p");
    let first = plan(&key, &house, &house);
    assert_eq!(script(&first), "create PersistentVolumeClaim p-v");
    house.play(&first);
    assert!(plan(&key, &house, &house).is_idle());
    let claim = house.expect::<PersistentVolumeClaim>("a", "p-v");
    assert_eq!(controller_of(&claim.metadata).map(|owner| owner.name.as_str()), Some("p"));
    house.change::<PersistentVolumeClaim>("a", "p-v", |claim| claim.metadata.owner_references = None);
    let said = plan(&key, &house, &house);
    assert_eq!((script(&said).as_str(), said.events.len()), ("", 1));
}
