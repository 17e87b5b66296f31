//! Wake-ups.

use plan::Key;
use rehearsal::{Playhouse, at, settle};
use typed::api::core::v1::{Node, Pod, Taint};

use crate::samples::{self, DAEMON_SET, DEPLOYMENT, node};

#[test]
fn children_wake_their_owners_and_orphans_whoever_wants_them() {
    let mut house = Playhouse::read(at(0), DEPLOYMENT);
    settle(&mut house, at(1), &[&samples::deployments, &samples::replica_sets]);
    let pods: &dyn plan::View<Pod> = &house;
    let pod = pods.all()[0].clone();
    let sets: &dyn plan::View<typed::api::apps::v1::ReplicaSet> = &house;
    let set = sets.all()[0].clone();
    let mut stray = pod.metadata.clone();
    stray.owner_references = None;
    let key = Key::of(set.as_ref());
    for (old, new, expected) in [
        (None, Some(&pod.metadata), 1),
        (Some(&pod.metadata), None, 1),
        (None, Some(&stray), 1),
        (Some(&stray), None, 0),
    ] {
        let woken = super::replicators((old, new), sets);
        assert_eq!(woken.len(), expected);
        assert!(woken.iter().all(|one| *one == key));
    }
    assert_eq!(super::deployments((None, Some(&set.metadata)), &house), [Key::new("default", "web")].into());
    assert_eq!(super::deployment_of_gone_pod(&pod, &house), Some(Key::new("default", "web")));
}

#[test]
fn a_heartbeat_wakes_no_daemon_set() {
    let mut house = Playhouse::read(at(0), DAEMON_SET);
    house.add_yaml(&node("n1"));
    let before = house.expect::<Node>("", "n1");
    let mut beat = before.as_ref().clone();
    beat.status.get_or_insert_default().phase = Some("x".into());
    assert_eq!(super::daemon_sets_of_node(Some(&before), Some(&beat), &house).len(), 0);
    beat.spec.get_or_insert_default().taints = Some(vec![Taint::default()]);
    assert_eq!(super::daemon_sets_of_node(Some(&before), Some(&beat), &house).len(), 1);
}
