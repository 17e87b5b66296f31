//! Who is tried when, and what wakes whom.

use crate::cluster::Cluster;
use crate::notation::{node, pod};
use scheduling::Output;

fn attempts(cluster: &Cluster, name: &str) -> usize {
    let is_attempt = |output: &&Output| match output {
        Output::Bind { pod, .. } => pod.name == name,
        Output::Event { regarding, reason, .. } => regarding.name == name && *reason == "FailedScheduling",
        _ => false,
    };
    cluster.outputs.iter().filter(is_attempt).count()
}

#[test]
fn importance_before_age() {
    let mut cluster = Cluster::new();
    cluster.add("pod old cpu=1\npod new cpu=1\npod vip cpu=1 priority=5");
    cluster.add("node n1 cpu=1");
    cluster.pass(2);
    assert_eq!(cluster.node_of("vip"), Some("n1"));
    cluster.remove_pod("vip");
    cluster.pass(2);
    assert_eq!(cluster.node_of("old"), Some("n1"), "of equals the older goes first");
}

#[test]
fn gates_hold_until_the_last_is_gone() {
    let mut cluster = Cluster::of("node n1\npod p gate=a gate=b");
    assert_eq!(cluster.scheduler.pending().gated, 1);
    assert_eq!(attempts(&cluster, "p"), 0);
    cluster.update_pod("p", |pod| drop(pod.spec.get_or_insert_default().scheduling_gates.as_mut().map(Vec::pop)));
    assert_eq!(cluster.node_of("p"), None);
    cluster.update_pod("p", |pod| pod.spec.get_or_insert_default().scheduling_gates = None);
    assert_eq!(cluster.node_of("p"), Some("n1"));
}

/// A pod refused in `cluster` must sleep through `useless` and be placed after `useful`.
fn check_wakes(cluster: &str, refused: &str, useless: impl FnOnce(&mut Cluster), useful: impl FnOnce(&mut Cluster)) {
    let mut world = Cluster::of(cluster);
    world.add(&format!("pod {refused}"));
    assert_eq!(world.node_of("p"), None, "{refused} is refused at first");
    world.pass(20);
    let before = attempts(&world, "p");
    useless(&mut world);
    world.pass(20);
    assert_eq!(attempts(&world, "p"), before, "{refused} was woken in vain");
    useful(&mut world);
    assert!(world.node_of("p").is_some(), "{refused} was not woken: {:?}", world.message("p"));
}

#[test]
fn only_events_that_may_help_wake() {
    let relabel = |cluster: &mut Cluster| cluster.set_node(node("n1 cpu=1 x=y"));
    check_wakes("node n1 cpu=1", "p cpu=2", relabel, |cluster| cluster.set_node(node("n1 cpu=2 x=y")));
    check_wakes("node n1 taint=a:NoSchedule", "p", |cluster| cluster.set_node(node("n1 taint=a:NoSchedule x=y")), {
        |cluster| cluster.set_node(node("n1 x=y"))
    });
    check_wakes("node n1", "p select=disk=ssd", |cluster| cluster.add("node n2 disk=hdd"), {
        |cluster| cluster.add("node n3 disk=ssd")
    });
    check_wakes("node n1\npod a on=n1 port=80\npod b on=n1 port=90", "p port=80", |cluster| cluster.remove_pod("b"), {
        |cluster| cluster.remove_pod("a")
    });
    check_wakes("node n1 cordoned", "p", |cluster| cluster.set_node(node("n1 cordoned x=y")), {
        |cluster| cluster.set_node(node("n1"))
    });
    check_wakes("node n1 zone=a", "p with=app=db@zone", |cluster| cluster.add("pod web on=n1 app=web"), {
        |cluster| cluster.add("pod db on=n1 app=db")
    });
    let apart = "node n1 zone=a\npod db on=n1 app=db\npod web on=n1 app=web";
    check_wakes(apart, "p apart=app=db@zone", |cluster| cluster.remove_pod("web"), |cluster| cluster.remove_pod("db"));
}

#[test]
fn a_refused_pod_is_tried_again_after_five_minutes_at_the_latest() {
    let mut cluster = Cluster::of("node n1 cpu=1\npod p cpu=2");
    assert_eq!(attempts(&cluster, "p"), 1);
    cluster.pass(299);
    assert_eq!(attempts(&cluster, "p"), 1);
    cluster.pass(2);
    assert_eq!(attempts(&cluster, "p"), 2);
}

#[test]
fn an_idle_scheduler_asks_for_nothing() {
    let cluster = Cluster::of("node n1\npod p");
    assert_eq!(cluster.scheduler.next_deadline(cluster.now), None);
}

#[test]
fn failed_bindings_back_off_and_double() {
    let mut cluster = Cluster::of("node n1 cpu=1");
    cluster.refuse_bindings = true;
    cluster.add("pod p cpu=1");
    let failures = |cluster: &Cluster| cluster.notes("FailedScheduling").len();
    assert_eq!(failures(&cluster), 1);
    for (seconds, expected) in [(1, 2), (1, 2), (1, 3), (3, 3), (1, 4)] {
        cluster.pass(seconds);
        assert_eq!(failures(&cluster), expected);
    }
    assert_eq!(cluster.message("p"), Some("running Bind plugin \"DefaultBinder\": etcd is away"));
    // The place was given back each time.
    cluster.refuse_bindings = false;
    cluster.add("pod q cpu=1");
    assert_eq!(cluster.node_of("q"), Some("n1"));
}

#[test]
fn a_pod_deleted_while_it_is_bound_frees_its_place() {
    let mut cluster = Cluster::of("node n1 cpu=1");
    let outputs = cluster
        .scheduler
        .step(scheduling::Input::Pod(scheduling::Change::Set(std::sync::Arc::new(pod("p cpu=1")))), cluster.now);
    assert!(matches!(outputs[..], [Output::Bind { .. }]), "{outputs:?}");
    cluster.feed(scheduling::Input::Pod(scheduling::Change::Gone(std::sync::Arc::new(pod("p cpu=1")))));
    cluster.add("pod q cpu=1");
    assert_eq!(cluster.node_of("q"), Some("n1"));
}

#[test]
fn finished_pods_use_nothing() {
    let mut cluster = Cluster::of("node n1 cpu=1\npod a on=n1 cpu=1\npod p cpu=1");
    assert_eq!(cluster.node_of("p"), None);
    cluster.update_pod("a", |pod| pod.status.get_or_insert_default().phase = Some("Succeeded".to_owned()));
    cluster.pass(2);
    assert_eq!(cluster.node_of("p"), Some("n1"));
}

#[test]
fn pods_on_a_node_that_is_not_known_yet_are_counted_when_it_appears() {
    let mut cluster = Cluster::of("pod a on=n1 cpu=1 app=web\nnode n1 cpu=1 zone=a");
    cluster.add("pod p cpu=1");
    assert_eq!(cluster.node_of("p"), None);
    cluster.add("node n2 zone=b\npod q apart=app=web@zone");
    assert_eq!(cluster.node_of("q"), Some("n2"));
}

#[test]
fn a_node_that_moves_takes_its_pods_along() {
    let mut cluster =
        Cluster::of("node n1 zone=a\nnode n2 zone=b\npod a on=n1 app=web\npod w app=x apart=app=web@zone");
    assert_eq!(cluster.node_of("w"), Some("n2"));
    cluster.set_node(node("n1 zone=b"));
    cluster.add("node n3 zone=a\npod p apart=app=web@zone");
    assert_eq!(cluster.node_of("p"), Some("n3"));
    cluster.remove_node("n3");
    cluster.add("pod q apart=app=web@zone");
    assert_eq!(cluster.node_of("q"), None);
}
