//! NodeAffinity: `spec.nodeSelector`, required and preferred node affinity, and what the profile adds to all pods.

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory, Overlay, Plugin, PreFilter, Verdict, Waking, Why, scale};
use crate::ids::NodeIx;
use crate::snapshot::Snapshot;
use crate::snapshot::columns::NodeTerm;

/// Affinity of the profile's `addedAffinity`, compiled once.
#[derive(Debug, Default)]
pub(crate) struct NodeAffinity {
    pub(crate) required: Option<Vec<NodeTerm>>,
    pub(crate) preferred: Vec<(NodeTerm, i64)>,
}

impl NodeAffinity {
    fn enforced(&self, snapshot: &Snapshot, node: NodeIx) -> bool {
        let name = snapshot.nodes.name(node);
        let matches = |term: &NodeTerm| term.matches(&snapshot.columns, node, name);
        self.required.as_ref().is_none_or(|terms| terms.iter().any(matches))
    }
}

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if let Some(names) = &cycle.shape.named_nodes {
            return PreFilter::Only(names.iter().filter_map(|name| cycle.snapshot.nodes.find(name)).collect());
        }
        let silent = cycle.shape.admits_any_node() && self.required.is_none();
        if silent { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, _: Overlay<'_>) -> Verdict {
        if !self.enforced(cycle.snapshot, node) {
            return Some((Code::Unresolvable, Why::Text("node(s) didn't match scheduler-enforced node affinity")));
        }
        let admitted = cycle.shape.admits_node(cycle.snapshot, node);
        (!admitted).then_some((Code::Unresolvable, Why::Text("node(s) didn't match Pod's node affinity/selector")))
    }

    fn pre_score(&self, cycle: &Cycle<'_>, _: &mut Memory, _: &[NodeIx]) -> bool {
        !cycle.shape.node_preferences.is_empty() || !self.preferred.is_empty()
    }

    fn score(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx) -> i64 {
        let name = cycle.snapshot.nodes.name(node);
        let terms = self.preferred.iter().chain(&cycle.shape.node_preferences);
        let matching = terms.filter(|(term, _)| term.matches(&cycle.snapshot.columns, node, name));
        matching.map(|(_, weight)| weight).sum()
    }

    fn normalize(&self, _: &Memory, scores: &mut [i64]) {
        scale(scores, false);
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        match event {
            // The event is told after the snapshot took the node in, so its columns are the new ones.
            Event::Node(aspects, diff) if aspects.added || aspects.labels => {
                let name = diff.new.as_ref().and_then(|node| node.metadata.name.as_deref());
                let node = name.and_then(|name| waking.snapshot.nodes.find(name));
                node.is_some_and(|node| {
                    self.enforced(waking.snapshot, node) && waking.shape.admits_node(waking.snapshot, node)
                })
            }
            Event::Target => true,
            _ => false,
        }
    }
}
