//! DaemonSets: nodes, taints, updates.

use plan::{View, meta};
use rehearsal::{Playhouse, at, laws_hold, settle};
use typed::api::apps::v1::DaemonSet;
use typed::api::core::v1::{Node, Pod, Taint};

use super::placement;
use crate::samples::{DAEMON_SET, daemon_sets, node};

fn cluster(set: &str) -> Playhouse {
    let mut house = Playhouse::read(at(0), set);
    ["n1", "n2", "n3"].into_iter().for_each(|name| house.add_yaml(&node(name)));
    house
}

fn where_they_are(house: &Playhouse) -> Vec<String> {
    let pods: &dyn View<Pod> = house;
    let alive = pods.all().into_iter().filter(|pod| !meta::is_deleting(&pod.metadata));
    let mut nodes: Vec<String> = alive.filter_map(|pod| placement::target_node(&pod).map(str::to_owned)).collect();
    nodes.sort();
    nodes
}

fn taint(house: &mut Playhouse, name: &str, key: &str, effect: &str) {
    house.change::<Node>("", name, |node| {
        let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
        taints.push(Taint { key: key.into(), effect: effect.into(), ..Taint::default() });
    });
}

#[test]
fn every_node_gets_one_pod() {
    let house = laws_hold(&cluster(DAEMON_SET), at(10), &[&daemon_sets]);
    assert_eq!(where_they_are(&house), ["n1", "n2", "n3"]);
    let status = house.expect::<DaemonSet>("default", "agent").status.clone().unwrap();
    assert_eq!((status.desired_number_scheduled, status.current_number_scheduled), (3, 3));
}

#[test]
fn taints_keep_pods_away_or_send_them_off() {
    let mut house = cluster(DAEMON_SET);
    taint(&mut house, "n1", "team", "NoSchedule");
    taint(&mut house, "n2", "node.kubernetes.io/unschedulable", "NoSchedule");
    settle(&mut house, at(10), &[&daemon_sets]);
    assert_eq!(where_they_are(&house), ["n2", "n3"], "a cordoned node is no obstacle");
    house.run_pods();
    taint(&mut house, "n2", "team", "NoSchedule");
    taint(&mut house, "n3", "team", "NoExecute");
    settle(&mut house, at(10), &[&daemon_sets]);
    assert_eq!(where_they_are(&house), ["n2"], "one may stay, the other must go");
}

#[test]
fn updates_take_one_node_at_a_time() {
    let mut house = cluster(DAEMON_SET);
    settle(&mut house, at(10), &[&daemon_sets]);
    house.run_pods();
    settle(&mut house, at(10), &[&daemon_sets]);
    house.change::<DaemonSet>("default", "agent", |set| {
        set.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some("agent:2".into());
    });
    for _ in 0..3 {
        settle(&mut house, at(10), &[&daemon_sets]);
        assert_eq!(where_they_are(&house).len(), 2);
        house.finish_terminations();
        settle(&mut house, at(10), &[&daemon_sets]);
        house.run_pods();
    }
    settle(&mut house, at(10), &[&daemon_sets]);
    let status = house.expect::<DaemonSet>("default", "agent").status.clone().unwrap();
    assert_eq!((status.updated_number_scheduled, status.number_available), (Some(3), Some(3)));
}

#[test]
fn a_surging_update_starts_the_new_pod_first() {
    let mut house =
        cluster(&DAEMON_SET.replace("{maxSurge: 0, maxUnavailable: 1}", "{maxSurge: 1, maxUnavailable: 0}"));
    settle(&mut house, at(10), &[&daemon_sets]);
    house.run_pods();
    settle(&mut house, at(10), &[&daemon_sets]);
    house.change::<DaemonSet>("default", "agent", |set| {
        set.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some("agent:2".into());
    });
    settle(&mut house, at(10), &[&daemon_sets]);
    assert_eq!(where_they_are(&house).len(), 4, "one more than nodes");
    for _ in 0..4 {
        house.run_pods();
        settle(&mut house, at(10), &[&daemon_sets]);
        assert!(where_they_are(&house).len() >= 3);
        house.finish_terminations();
    }
    let status = house.expect::<DaemonSet>("default", "agent").status.clone().unwrap();
    assert_eq!(status.updated_number_scheduled, Some(3));
}

#[test]
fn a_lost_view_of_nodes_deletes_nothing() {
    let mut house = cluster(DAEMON_SET);
    settle(&mut house, at(10), &[&daemon_sets]);
    house.run_pods();
    ["n1", "n2", "n3"].into_iter().for_each(|name| house.vanish::<Node>("", name));
    settle(&mut house, at(10), &[&daemon_sets]);
    assert_eq!(where_they_are(&house).len(), 3);
}
