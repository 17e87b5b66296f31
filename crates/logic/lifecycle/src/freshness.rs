//! How long kubelets may trust ConfigMaps and Secrets they have fetched: the larger the cluster, the longer. Written as the
//! node annotation `node.alpha.kubernetes.io/ttl`, in seconds.

use std::collections::BTreeMap;

use plan::{Action, Key, MetaPatch, Plan, View, meta};
use typed::api::core::v1::Node;

const ANNOTATION: &str = "node.alpha.kubernetes.io/ttl";

/// (fewest nodes, most nodes, seconds). Neighbours overlap, so that a cluster at a boundary does not change its mind.
const STEPS: [(usize, usize, u32); 6] =
    [(0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10_000, 300), (9000, usize::MAX, 600)];

/// Plans one node.
#[must_use]
pub fn plan(key: &Key, nodes: &dyn View<Node>, count: usize) -> Plan {
    let mut plan = Plan::default();
    let Some(node) = nodes.get("", &key.name) else { return plan };
    let known = meta::annotation(&node.metadata, ANNOTATION).and_then(|text| text.parse::<u32>().ok());
    let stays =
        STEPS.iter().any(|(fewest, most, seconds)| Some(*seconds) == known && (*fewest..=*most).contains(&count));
    let Some((_, _, seconds)) = STEPS.iter().find(|(_, most, _)| count <= *most).filter(|_| !stays) else {
        return plan;
    };
    let annotations = BTreeMap::from([(ANNOTATION.to_owned(), Some(seconds.to_string()))]);
    plan.then_do(Action::patch(node.as_ref(), MetaPatch { annotations, ..MetaPatch::default() }));
    plan
}

#[cfg(test)]
mod tests;
