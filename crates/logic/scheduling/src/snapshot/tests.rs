//! The counters, held against counting pod by pod.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use typed::api::core::v1::{Affinity, Container, Node, Pod, PodAffinityTerm, PodAntiAffinity, PodSpec};
use typed::meta::{LabelSelector, ObjectMeta};

use super::*;
use crate::resources::{PODS, Usage};
use crate::shape::Shapes;

const ZONE: &str = "zone";

fn node(index: usize, zone: usize) -> Arc<Node> {
    let labels = (zone > 0).then(|| BTreeMap::from([(ZONE.to_owned(), format!("z{zone}"))]));
    let name = Some(format!("n{index}"));
    Arc::new(Node { metadata: ObjectMeta { name, labels, ..ObjectMeta::default() }, ..Node::default() })
}

/// A pod of app `a0`, `a1` or `a2` that does not want the next app in its zone.
fn pod(app: usize) -> Arc<Pod> {
    let labels = |app: usize| BTreeMap::from([("app".to_owned(), format!("a{}", app % 3))]);
    let term = PodAffinityTerm {
        topology_key: ZONE.to_owned(),
        label_selector: Some(LabelSelector { match_labels: Some(labels(app + 1)), match_expressions: None }),
        ..PodAffinityTerm::default()
    };
    let apart = PodAntiAffinity {
        required_during_scheduling_ignored_during_execution: Some(vec![term]),
        ..PodAntiAffinity::default()
    };
    let affinity = Affinity { pod_anti_affinity: Some(apart), ..Affinity::default() };
    let containers = vec![Container::default()];
    let spec = PodSpec { containers, affinity: Some(affinity), ..PodSpec::default() };
    let metadata = ObjectMeta { labels: Some(labels(app)), ..ObjectMeta::default() };
    Arc::new(Pod { metadata, spec: Some(spec), status: None })
}

fn place(snapshot: &mut Snapshot, shapes: &mut Shapes, (app, on): (usize, usize)) -> PodIx {
    let object = pod(app);
    let shape = shapes.of(&object, snapshot);
    let usage = Usage::held(&object, &mut snapshot.nodes);
    let subject = Subject { object, uid: "uid".into(), priority: 0, shape, usage };
    snapshot.place(Arc::new(subject), &format!("n{on}"))
}

/// Every counter equals what walking all pods gives.
fn check(snapshot: &Snapshot, pods: &[PodIx]) -> Result<(), TestCaseError> {
    let zone = |pod: PodIx| {
        let row = snapshot.nodes.row(snapshot.pod(pod).node);
        row.object.as_ref().and_then(|node| node.metadata.labels.as_ref()?.get(ZONE).cloned())
    };
    for &pod in pods {
        let placed = snapshot.pod(pod);
        for &(pair, _) in placed.subject.shape.owned() {
            let counters = snapshot.relations.pair(pair);
            let domain = snapshot.columns.domain(counters.column, placed.node);
            let beside = |other: &&PodIx| zone(**other).is_some() && zone(**other) == zone(pod);
            let matches = |other: &&PodIx| snapshot.relations.matches(counters.matcher, snapshot.label_set(**other));
            let owns = |other: &&PodIx| snapshot.pod(**other).subject.shape.owned().iter().any(|(own, _)| *own == pair);
            let matched = pods.iter().filter(beside).filter(matches).count();
            let owners = pods.iter().filter(beside).filter(owns).count();
            prop_assert_eq!(counters.matched.at(domain), i64::try_from(matched).expect("few pods"));
            prop_assert_eq!(counters.anti.at(domain), i64::try_from(owners).expect("few pods"));
            let here = pods.iter().filter(|other| snapshot.pod(**other).node == placed.node);
            let per_node = snapshot.relations.per_node(counters.matcher)[placed.node.0];
            prop_assert_eq!(per_node as usize, here.clone().filter(matches).count());
            let counted = snapshot.nodes.requested[PODS.0][placed.node.0];
            prop_assert_eq!(counted, i64::try_from(here.count()).expect("few pods"));
        }
    }
    Ok(())
}

#[derive(Clone, Debug)]
enum Act {
    Place(usize, usize),
    Remove(usize),
    Label(usize, usize),
    Drop(usize),
    Sweep,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..3_usize, 0..4_usize).prop_map(|(app, node)| Act::Place(app, node)),
        2 => any::<usize>().prop_map(Act::Remove),
        3 => (0..4_usize, 0..3_usize).prop_map(|(node, zone)| Act::Label(node, zone)),
        1 => (0..4_usize).prop_map(Act::Drop),
        1 => Just(Act::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counters_are_what_walking_all_pods_gives(acts in prop::collection::vec(act(), 1..60)) {
        let (mut snapshot, mut shapes, mut pods) = (Snapshot::default(), Shapes::default(), Vec::new());
        for act in acts {
            match act {
                Act::Place(app, node) => pods.push(place(&mut snapshot, &mut shapes, (app, node))),
                Act::Remove(index) if !pods.is_empty() => {
                    let pod = pods.swap_remove(index % pods.len());
                    snapshot.remove(pod);
                }
                Act::Remove(_) => {}
                Act::Label(index, zone) => drop(snapshot.set_node(node(index, zone))),
                Act::Drop(index) => snapshot.drop_node(&format!("n{index}")),
                Act::Sweep => shapes.sweep(&mut snapshot),
            }
            check(&snapshot, &pods)?;
        }
        pods.drain(..).for_each(|pod| snapshot.remove(pod));
        shapes.sweep(&mut snapshot);
        prop_assert!(snapshot.relations.is_empty(), "matchers or label sets were left behind");
    }
}
