//! What holds in every cluster: an independent check of all placements, and laws of the state machine.

use proptest::prelude::*;
use typed::api::core::v1::{Node, Pod, PodAffinityTerm};

use crate::cluster::Cluster;
use crate::notation::{HOST, ZONE};

/// Milli-CPU asked for, read with no help from the scheduler: tests write `cpu=<number>m`.
fn milli_cpu(pod: &Pod) -> i64 {
    let spec = pod.spec.as_ref().expect("a spec");
    let requests = spec.containers[0].resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let text = requests.and_then(|requests| requests.get("cpu")).map_or("0m", |amount| amount.0.as_str());
    text.trim_end_matches('m').parse().expect("cpu=<number>m")
}

fn label<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn app(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get("app").map(String::as_str)
}

fn wanted_app(term: &PodAffinityTerm) -> &str {
    let labels = term.label_selector.as_ref().and_then(|selector| selector.match_labels.as_ref());
    labels.and_then(|labels| labels.get("app")).expect("tests select by app")
}

fn forbidden(pod: &Pod) -> impl Iterator<Item = &PodAffinityTerm> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let apart = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    apart.and_then(|apart| apart.required_during_scheduling_ignored_during_execution.as_ref()).into_iter().flatten()
}

/// Tests know one host port only.
fn takes_port(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.containers.iter().any(|container| container.ports.is_some()))
}

/// Everything that must hold of placed pods, checked pod against pod.
fn violations(cluster: &Cluster) -> Vec<String> {
    let mut found = Vec::new();
    let placed: Vec<(&Pod, &Node)> = cluster
        .pods
        .values()
        .filter_map(|pod| {
            let node = pod.spec.as_ref()?.node_name.as_ref()?;
            Some((&**pod, &**cluster.nodes.get(node)?))
        })
        .collect();
    for (name, node) in &cluster.nodes {
        let here = placed.iter().filter(|(_, on)| on.metadata.name.as_deref() == Some(name));
        let used: i64 = here.clone().map(|(pod, _)| milli_cpu(pod)).sum();
        let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref()).expect("allocatable");
        let limit: i64 = allocatable["cpu"].0.trim_end_matches('m').parse().expect("cpu=<number>m");
        if used > limit {
            found.push(format!("{name} has {limit}m and gives {used}m"));
        }
    }
    for (pod, node) in &placed {
        for term in forbidden(pod) {
            for (other, beside) in &placed {
                let same = label(node, &term.topology_key).is_some()
                    && label(node, &term.topology_key) == label(beside, &term.topology_key);
                if pod.metadata.name != other.metadata.name && same && app(other) == Some(wanted_app(term)) {
                    found.push(format!("{:?} stands beside {:?}", pod.metadata.name, other.metadata.name));
                }
            }
        }
        let spec = node.spec.as_ref().expect("a spec");
        let keeps_away = |taint: &typed::api::core::v1::Taint| taint.effect != "PreferNoSchedule";
        if spec.unschedulable == Some(true) || spec.taints.iter().flatten().any(keeps_away) {
            found.push(format!("{:?} is on a node that keeps pods away", pod.metadata.name));
        }
        let same_node = |(other, on): &&(&Pod, &Node)| {
            pod.metadata.name < other.metadata.name && on.metadata.name == node.metadata.name
        };
        if takes_port(pod) && placed.iter().filter(same_node).any(|(other, _)| takes_port(other)) {
            found.push(format!("{:?} shares its port", pod.metadata.name));
        }
        let selector = pod.spec.as_ref().and_then(|spec| spec.node_selector.as_ref());
        for (key, value) in selector.into_iter().flatten() {
            if label(node, key) != Some(value) {
                found.push(format!("{:?} is on a node without {key}={value}", pod.metadata.name));
            }
        }
    }
    found
}

#[derive(Clone, Debug)]
enum Act {
    Pod(String),
    Node(String),
    RemovePod(usize),
    RemoveNode(usize),
    Pass(i64),
    Refusing(bool),
}

fn a_pod() -> impl Strategy<Value = String> {
    let app = prop::sample::select(vec!["", "app=a", "app=b"]);
    let rule = prop::sample::select(vec![
        "",
        "",
        "apart=app=a@zone",
        "apart=app=b@host",
        "with=app=a@zone",
        "with~50=app=b@host",
        "apart~10=app=a@zone",
        "select=topology.kubernetes.io/zone=z1",
        "spread=1@zone:app=a",
        "spread~=1@host:app=b",
        "port=80",
    ]);
    (0..30_usize, 0..9_i64, 0..4_i32, app, rule).prop_map(|(name, cpu, priority, app, rule)| {
        format!("p{name} cpu={}m priority={priority} {app} {rule}", cpu * 100)
    })
}

fn a_node() -> impl Strategy<Value = String> {
    let zone = prop::sample::select(vec!["zone=z1", "zone=z2", "zone=z3", ""]);
    let extra = prop::sample::select(vec!["", "", "cordoned", "taint=x:NoSchedule", "taint=x:PreferNoSchedule"]);
    (0..6_usize, 5..20_i64, zone, extra)
        .prop_map(|(name, cpu, zone, extra)| format!("n{name} cpu={}m {zone} {extra}", cpu * 100))
}

fn an_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => a_pod().prop_map(Act::Pod),
        2 => a_node().prop_map(Act::Node),
        2 => (0..30_usize).prop_map(Act::RemovePod),
        1 => (0..6_usize).prop_map(Act::RemoveNode),
        1 => (0..15_i64).prop_map(Act::Pass),
        1 => any::<bool>().prop_map(Act::Refusing),
    ]
}

fn perform(cluster: &mut Cluster, act: &Act) {
    match act {
        // A pod's specification does not change under its name.
        Act::Pod(text) => {
            let name = text.split_whitespace().next().expect("a name").to_owned();
            if !cluster.pods.contains_key(&name) {
                cluster.add(&format!("pod {text}"));
            }
        }
        // Nodes neither shrink nor move while pods are on them; that would break rules without the scheduler's doing.
        Act::Node(text) => {
            let name = text.split_whitespace().next().expect("a name").to_owned();
            if !cluster.nodes.contains_key(&name) {
                cluster.add(&format!("node {text}"));
            }
        }
        Act::RemovePod(index) => cluster.remove_pod(&format!("p{index}")),
        Act::RemoveNode(index) => {
            let name = format!("n{index}");
            if cluster.nodes.contains_key(&name) {
                let on_it = |pod: &&String| cluster.node_of(pod) == Some(&name);
                let gone: Vec<String> = cluster.pods.keys().filter(on_it).cloned().collect();
                cluster.remove_node(&name);
                gone.iter().for_each(|pod| cluster.remove_pod(pod));
            }
        }
        Act::Pass(seconds) => cluster.pass(*seconds),
        Act::Refusing(refusing) => cluster.refuse_bindings = *refusing,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_rule_is_ever_broken(acts in prop::collection::vec(an_act(), 1..80)) {
        let mut cluster = Cluster::new();
        for act in &acts {
            perform(&mut cluster, act);
            prop_assert_eq!(violations(&cluster), Vec::<String>::new(), "after {:?}", act);
        }
    }

    /// What hints wake is enough: a scheduler that learns the final state afresh can place no pod that the old one left
    /// waiting, unless preemption or a tie decided differently.
    #[test]
    fn nothing_that_fits_is_left_waiting(acts in prop::collection::vec(an_act(), 1..60)) {
        let mut cluster = Cluster::new();
        acts.iter().for_each(|act| perform(&mut cluster, act));
        cluster.refuse_bindings = false;
        cluster.pass(60);
        let waiting: Vec<String> =
            cluster.pods.keys().filter(|name| cluster.node_of(name).is_none()).cloned().collect();
        for name in &waiting {
            let mut fresh = Cluster::new();
            cluster.nodes.values().for_each(|node| fresh.set_node(Node::clone(node)));
            for (other, pod) in &cluster.pods {
                if cluster.node_of(other).is_some() {
                    fresh.set_pod(Pod::clone(pod));
                }
            }
            let mut alone = Pod::clone(&cluster.pods[name]);
            alone.status = None;
            alone.spec.get_or_insert_default().preemption_policy = Some("Never".to_owned());
            fresh.set_pod(alone);
            prop_assert_eq!(fresh.node_of(name), None, "{} fits but waits with {:?}", name, (cluster.message(name), &cluster.outputs));
        }
    }

    /// What is remembered from decision to decision is what would be computed anew.
    #[test]
    fn memory_and_a_fresh_look_agree(acts in prop::collection::vec(an_act(), 1..60), asked in prop::collection::vec(a_pod(), 1..6)) {
        let mut cluster = Cluster::new();
        for act in &acts {
            perform(&mut cluster, act);
            for text in &asked {
                let explained = cluster.scheduler.explain(&std::sync::Arc::new(crate::notation::pod(&format!("q{}", &text[1..]))));
                prop_assert!(explained.is_some());
            }
        }
        let mut fresh = Cluster::new();
        cluster.nodes.values().for_each(|node| fresh.set_node(Node::clone(node)));
        let placed = cluster.pods.values().filter(|pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()));
        placed.for_each(|pod| fresh.set_pod(Pod::clone(pod)));
        // Nominated pods that wait still hold their room in the old scheduler.
        let waiting = cluster.pods.values().any(|pod| pod.status.as_ref().is_some_and(|status| status.nominated_node_name.is_some()));
        if waiting {
            return Ok(());
        }
        for text in &asked {
            let pod = std::sync::Arc::new(crate::notation::pod(&format!("q{}", &text[1..])));
            prop_assert_eq!(cluster.scheduler.explain(&pod), fresh.scheduler.explain(&pod));
        }
    }

    /// Telling again what is known changes nothing.
    #[test]
    fn old_news_have_no_consequences(acts in prop::collection::vec(an_act(), 1..60)) {
        let mut cluster = Cluster::new();
        acts.iter().for_each(|act| perform(&mut cluster, act));
        cluster.refuse_bindings = false;
        cluster.pass(60);
        let told = cluster.outputs.len();
        let nodes: Vec<Node> = cluster.nodes.values().map(|node| Node::clone(node)).collect();
        let pods: Vec<Pod> = cluster.pods.values().map(|pod| Pod::clone(pod)).collect();
        nodes.into_iter().for_each(|node| cluster.set_node(node));
        pods.into_iter().for_each(|pod| cluster.set_pod(pod));
        prop_assert_eq!(&cluster.outputs[told..], &[]);
    }

    /// The counters come back to where they were: a cluster in which pods came and went decides like one in which they
    /// never were.
    #[test]
    fn what_came_and_went_leaves_no_trace(stay in prop::collection::vec(a_pod(), 0..8), pass in prop::collection::vec(a_pod(), 0..8), last in a_pod()) {
        let nodes = "node n1 cpu=2000m zone=z1\nnode n2 cpu=3000m zone=z2\nnode n3 cpu=4000m zone=z3";
        let mut plain = Cluster::of(nodes);
        let mut busy = Cluster::of(nodes);
        for (index, text) in stay.iter().enumerate() {
            let line = format!("pod stay{index} {} on=n{}", rest(text), index % 3 + 1);
            plain.add(&line);
            busy.add(&line);
        }
        for (index, text) in pass.iter().enumerate() {
            busy.add(&format!("pod pass{index} {} on=n{}", rest(text), index % 3 + 1));
        }
        (0..pass.len()).for_each(|index| busy.remove_pod(&format!("pass{index}")));
        for cluster in [&mut plain, &mut busy] {
            cluster.add(&format!("pod last {} never", rest(&last)));
        }
        prop_assert_eq!(plain.message("last"), busy.message("last"));
        prop_assert_eq!(plain.node_of("last").is_some(), busy.node_of("last").is_some());
    }
}

fn rest(text: &str) -> &str {
    text.split_once(' ').map_or("", |(_, rest)| rest)
}

#[test]
fn the_labels_the_check_relies_on_are_the_usual_ones() {
    assert_eq!((HOST, ZONE), ("kubernetes.io/hostname", "topology.kubernetes.io/zone"));
}
