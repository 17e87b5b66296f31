//! Silent nodes.

use plan::{Key, Plan, View, meta};
use rehearsal::{Playhouse, at, settle};
use typed::api::core::v1::{Node, Pod};

use super::{Config, Heartbeats, World, ZoneState, plan, zones};

fn node(name: &str, zone: &str, ready: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Node
metadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: {zone}}}}}
status: {{conditions: [{{type: Ready, status: '{ready}', lastHeartbeatTime: '2026-01-01T00:00:00Z'}}]}}
"
    )
}

fn cluster(nodes: &[(&str, &str, &str)]) -> (Playhouse, Heartbeats) {
    let (mut house, mut heartbeats) = (Playhouse::at(at(0)), Heartbeats::default());
    for (name, zone, ready) in nodes {
        house.add_yaml(&node(name, zone, ready));
        heartbeats.observe(&house.expect::<Node>("", name), None, at(0));
    }
    (house, heartbeats)
}

fn plans(house: &Playhouse, heartbeats: &Heartbeats, now: jiff::Timestamp) -> Vec<Plan> {
    let world = World { nodes: house, pods: house, heartbeats, config: &Config::default() };
    let nodes: &dyn View<Node> = house;
    nodes.all().iter().map(|node| plan(&Key::cluster(meta::name(&node.metadata)), &world, now)).collect()
}

fn taints(house: &Playhouse, name: &str) -> Vec<String> {
    let node = house.expect::<Node>("", name);
    let taints = node.spec.clone().and_then(|spec| spec.taints).unwrap_or_default();
    taints
        .iter()
        .map(|taint| format!("{}:{}", taint.key.trim_start_matches("node.kubernetes.io/"), taint.effect))
        .collect()
}

#[test]
fn a_silent_node_becomes_unknown_and_tainted_and_its_pods_unready() {
    let (mut house, mut heartbeats) = cluster(&[("n1", "z1", "True"), ("n2", "z1", "True")]);
    house.add_yaml("{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a}, spec: {nodeName: n1, containers: []}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}");
    assert_eq!(plans(&house, &heartbeats, at(50))[0].requeue_at, Some(at(51)));
    house.change::<Node>("", "n2", |node| {
        node.status.as_mut().unwrap().conditions.as_mut().unwrap()[0].last_heartbeat_time = Some(meta::time(at(40)));
    });
    heartbeats.observe(&house.expect::<Node>("", "n2"), None, at(40));
    settle(&mut house, at(51), &[&|house, now| plans(house, &heartbeats, now)]);
    assert_eq!(taints(&house, "n1"), ["unreachable:NoSchedule", "unreachable:NoExecute"]);
    assert_eq!(taints(&house, "n2"), Vec::<String>::new());
    let node = house.expect::<Node>("", "n1");
    let ready = &node.status.as_ref().unwrap().conditions.as_ref().unwrap()[0];
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_deref(), ready.message.as_deref()),
        ("Unknown", Some("NodeStatusUnknown"), Some("Kubelet stopped posting node status."))
    );
    let pod = house.expect::<Pod>("a", "p");
    assert_eq!(pod.status.as_ref().unwrap().conditions.as_ref().unwrap()[0].status, "False");
    assert_eq!(
        house.said,
        ["Normal NodeNotReady Node n1 status is now: NodeNotReady", "Warning NodeNotReady Node is not ready"]
    );
}

#[test]
fn a_node_that_speaks_again_loses_its_taints() {
    let (mut house, mut heartbeats) = cluster(&[("n1", "z1", "True"), ("n2", "z1", "True")]);
    settle(&mut house, at(100), &[&|house, now| plans(house, &heartbeats, now)]);
    house.change::<Node>("", "n1", |node| {
        let ready = &mut node.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
        ready.status = "True".into();
        ready.last_heartbeat_time = Some(meta::time(at(101)));
    });
    heartbeats.observe(&house.expect::<Node>("", "n1"), None, at(101));
    settle(&mut house, at(102), &[&|house, now| plans(house, &heartbeats, now)]);
    assert_eq!(taints(&house, "n1"), Vec::<String>::new());
}

#[test]
fn a_zone_is_evicted_from_one_node_at_a_time() {
    let (mut house, heartbeats) =
        cluster(&[("a1", "z1", "False"), ("a2", "z1", "False"), ("a3", "z1", "True"), ("a4", "z1", "True")]);
    let evicted = |house: &Playhouse| {
        let nodes: &dyn View<Node> = house;
        nodes
            .all()
            .iter()
            .filter(|node| taints(house, meta::name(&node.metadata)).contains(&"not-ready:NoExecute".to_owned()))
            .count()
    };
    settle(&mut house, at(1), &[&|house, now| plans(house, &heartbeats, now)]);
    assert_eq!(evicted(&house), 1);
    assert_eq!(plans(&house, &heartbeats, at(1)).iter().filter_map(|plan| plan.requeue_at).min(), Some(at(11)));
    settle(&mut house, at(11), &[&|house, now| plans(house, &heartbeats, now)]);
    assert_eq!(evicted(&house), 2);
}

#[test]
fn if_all_are_silent_it_is_us_who_are_cut_off() {
    let (mut house, heartbeats) = cluster(&[("n1", "z1", "True"), ("n2", "z2", "True")]);
    settle(&mut house, at(100), &[&|house, now| plans(house, &heartbeats, now)]);
    assert_eq!(taints(&house, "n1"), ["unreachable:NoSchedule"], "no new pods, but nobody is sent off");
}

#[test]
fn zones_are_judged_by_their_nodes() {
    let (house, _) = cluster(&[
        ("a1", "z1", "True"),
        ("a2", "z1", "False"),
        ("b1", "z2", "False"),
        ("b2", "z2", "False"),
        ("b3", "z2", "False"),
        ("b4", "z2", "True"),
        ("c1", "z3", "False"),
    ]);
    let nodes: &dyn View<Node> = &house;
    let states: Vec<ZoneState> =
        zones(&nodes.all(), &Config::default()).into_values().map(|(state, _)| state).collect();
    assert_eq!(states, [ZoneState::Normal, ZoneState::PartialDisruption, ZoneState::FullDisruption]);
}
