//! Who has to go, and who need not.

use std::collections::BTreeMap;
use std::sync::Arc;

use scheduling::{Change, Input, Output};
use typed::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use typed::meta::{LabelSelector, ObjectMeta};

use crate::cluster::Cluster;
use crate::notation::pod;

fn victims(cluster: &Cluster) -> Vec<&str> {
    let name = |output: &'_ Output| matches!(output, Output::Evict { .. });
    let evictions = cluster.outputs.iter().filter(|output| name(output));
    evictions
        .filter_map(|output| if let Output::Evict { victim, .. } = output { Some(victim.name.as_str()) } else { None })
        .collect()
}

/// `pod` arrives; `expected` must be evicted, and the pod must end up on `node`.
fn check(cluster: &str, arriving: &str, expected: &[&str], node: &str) {
    let mut world = Cluster::of(cluster);
    world.add(&format!("pod {arriving}"));
    assert_eq!(victims(&world), expected, "{arriving} in\n{cluster}\n{:?}", world.outputs);
    world.pass(2);
    assert_eq!(world.node_of("p"), Some(node), "{arriving} in\n{cluster}\n{:?}", world.message("p"));
}

fn budget(app: &str, allowed: i32) -> Input {
    let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
    let selector = Some(LabelSelector { match_labels: Some(labels), match_expressions: None });
    let metadata =
        ObjectMeta { name: Some(app.to_owned()), namespace: Some("default".to_owned()), ..ObjectMeta::default() };
    let status = PodDisruptionBudgetStatus { disruptions_allowed: Some(allowed), ..Default::default() };
    let spec = PodDisruptionBudgetSpec { selector, ..PodDisruptionBudgetSpec::default() };
    Input::Budget(Change::Set(Arc::new(PodDisruptionBudget { metadata, spec: Some(spec), status: Some(status) })))
}

#[test]
fn as_few_and_as_unimportant_as_possible() {
    check("node n1 cpu=4\npod a on=n1 cpu=4", "p cpu=1 priority=1", &["a"], "n1");
    // Giving the more important ones their place back leaves the least important.
    let three =
        "node n1 cpu=3\npod a on=n1 cpu=1 priority=3\npod b on=n1 cpu=1 priority=1\npod c on=n1 cpu=1 priority=2";
    check(three, "p cpu=1 priority=9", &["b"], "n1");
    // Of equals the one that started last goes.
    let equals = "node n1 cpu=2\npod a on=n1 cpu=1 started=5\npod b on=n1 cpu=1 started=9";
    check(equals, "p cpu=1 priority=1", &["b"], "n1");
    // A small one may stay if a large one suffices.
    let sizes = "node n1 cpu=4\npod small on=n1 cpu=1 priority=2\npod large on=n1 cpu=3 priority=1";
    check(sizes, "p cpu=3 priority=9", &["large"], "n1");
}

#[test]
fn the_node_whose_victims_weigh_least() {
    let lower = "node n1 cpu=1\nnode n2 cpu=1\npod a on=n1 cpu=1 priority=5\npod b on=n2 cpu=1 priority=2";
    check(lower, "p cpu=1 priority=9", &["b"], "n2");
    let fewer = "node n1 cpu=2\nnode n2 cpu=2\npod a on=n1 cpu=1\npod a2 on=n1 cpu=1\npod b on=n2 cpu=2";
    check(fewer, "p cpu=2 priority=9", &["b"], "n2");
    let later = "node n1 cpu=1\nnode n2 cpu=1\npod a on=n1 cpu=1 started=1\npod b on=n2 cpu=1 started=7";
    check(later, "p cpu=1 priority=9", &["b"], "n2");
}

#[test]
fn budgets_are_spared_when_they_can_be() {
    let mut cluster = Cluster::of("node n1 cpu=1\nnode n2 cpu=1");
    cluster.feed(budget("web", 0));
    cluster.add("pod a on=n1 cpu=1 app=web\npod b on=n2 cpu=1 priority=5 app=other");
    cluster.add("pod p cpu=1 priority=9");
    assert_eq!(victims(&cluster), ["b"], "the budget weighs more than the priority");
    let mut cluster = Cluster::of("node n1 cpu=1");
    cluster.feed(budget("web", 0));
    cluster.add("pod a on=n1 cpu=1 app=web\npod p cpu=1 priority=9");
    assert_eq!(victims(&cluster), ["a"], "a budget does not stop preemption");
}

#[test]
fn affinity_and_ports_can_be_freed_as_well() {
    check("node n1\npod a on=n1 port=80", "p port=80 priority=1", &["a"], "n1");
    check("node n1 zone=a\npod a on=n1 app=web", "p apart=app=web@zone priority=1", &["a"], "n1");
    check("node n1 zone=a\npod a on=n1 apart=app=web@zone", "p app=web priority=1", &["a"], "n1");
    let spread = "node n1 zone=a\nnode n2 zone=b cordoned\npod a on=n1 app=web";
    check(spread, "p app=web priority=1 spread=1@zone:app=web", &["a"], "n1");
}

#[test]
fn who_never_preempts() {
    let mut cluster = Cluster::of("node n1 cpu=1\npod a on=n1 cpu=1\npod p cpu=1 priority=9 never");
    assert_eq!(victims(&cluster), Vec::<&str>::new());
    let message = cluster.message("p").expect("a message");
    assert!(message.ends_with("preemption: not eligible due to preemptionPolicy=Never."), "{message}");
    cluster.remove_pod("a");
    cluster.pass(2);
    assert_eq!(cluster.node_of("p"), Some("n1"));
}

#[test]
fn the_story_is_told() {
    let mut cluster = Cluster::of("node n1 cpu=1\npod a on=n1 cpu=1");
    cluster.add("pod p cpu=1 priority=9");
    assert_eq!(cluster.notes("Preempted"), ["Preempted by pod uid-default-p on node n1"]);
    assert_eq!(cluster.notes("FailedScheduling"), ["0/1 nodes are available: 1 Insufficient cpu."]);
    assert!(cluster.outputs.iter().any(|output| matches!(
        output,
        Output::Evict { message, .. } if message == "default-scheduler: preempting to accommodate a higher priority pod"
    )));
    assert_eq!(cluster.nominated("p"), Some("n1"));
}

#[test]
fn room_that_was_made_is_kept_for_the_pod_it_was_made_for() {
    let mut cluster = Cluster::of("node n1 cpu=1");
    // The victim takes its time.
    cluster.set_pod(pod("a on=n1 cpu=1 terminating"));
    cluster.set_pod(pod("p cpu=1 priority=9 nominated=n1"));
    cluster.remove_pod("a");
    // Less important pods must not slip in.
    cluster.add("pod q cpu=1 priority=1");
    assert_eq!(cluster.node_of("q"), None);
    cluster.pass(2);
    assert_eq!(cluster.node_of("p"), Some("n1"));
    assert_eq!(cluster.node_of("q"), None);
}

#[test]
fn less_important_nominations_give_way() {
    let mut cluster = Cluster::of("node n1 cpu=1\npod a on=n1 cpu=1 terminating");
    cluster.set_pod(pod("low cpu=1 priority=1 nominated=n1"));
    cluster.add("pod b on=n1 priority=0 cpu=0\npod p cpu=1 priority=9");
    assert!(cluster.outputs.iter().any(|output| matches!(output, Output::Unnominate { pod } if pod.name == "low")));
}

#[test]
fn no_second_round_while_victims_leave() {
    let mut cluster = Cluster::of("node n1 cpu=1");
    let mut leaving = pod("a on=n1 cpu=1 terminating");
    leaving.status.get_or_insert_default().conditions = Some(vec![typed::api::core::v1::PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("PreemptionByScheduler".to_owned()),
        ..Default::default()
    }]);
    cluster.set_pod(leaving);
    cluster.set_pod(pod("p cpu=1 priority=9 nominated=n1"));
    let message = cluster.message("p").expect("a message");
    assert!(message.ends_with("preemption: not eligible due to a terminating pod on the nominated node."), "{message}");
    assert_eq!(victims(&cluster), Vec::<&str>::new());
}
