//! TaintToleration: refuses untolerated `NoSchedule` and `NoExecute` taints, avoids `PreferNoSchedule` ones.

use typed::api::core::v1::{Node, Taint};

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory, Overlay, Plugin, PreFilter, Verdict, Waking, Why, scale};
use crate::ids::NodeIx;
use crate::shape::{Shape, Toleration, tolerates};
use crate::snapshot::Snapshot;

#[derive(Debug)]
pub(crate) struct TaintToleration;

/// Whether the pod puts up with all taints that keep pods away.
pub(crate) fn tolerates_node(shape: &Shape, snapshot: &Snapshot, node: NodeIx) -> bool {
    tolerates_all(shape, &snapshot.nodes.row(node).taints)
}

fn tolerates_all(shape: &Shape, taints: &[Taint]) -> bool {
    let mut binding = taints.iter().filter(|taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute");
    binding.all(|taint| tolerates(&shape.tolerations, taint))
}

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn pre_filter(&self, _: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        PreFilter::Go
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, _: Overlay<'_>) -> Verdict {
        let tolerated = tolerates_node(cycle.shape, cycle.snapshot, node);
        (!tolerated).then_some((Code::Unresolvable, Why::Text("node(s) had untolerated taint(s)")))
    }

    fn pre_score(&self, _: &Cycle<'_>, _: &mut Memory, _: &[NodeIx]) -> bool {
        true
    }

    fn score(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx) -> i64 {
        let taints = &cycle.snapshot.nodes.row(node).taints;
        if taints.is_empty() {
            return 0;
        }
        let applies =
            |toleration: &&Toleration| matches!(toleration.effect.as_deref(), None | Some("" | "PreferNoSchedule"));
        let tolerations: Vec<Toleration> = cycle.shape.tolerations.iter().filter(applies).cloned().collect();
        let disliked = |taint: &&Taint| taint.effect == "PreferNoSchedule" && !tolerates(&tolerations, taint);
        i64::try_from(taints.iter().filter(disliked).count()).unwrap_or(i64::MAX)
    }

    fn normalize(&self, _: &Memory, scores: &mut [i64]) {
        scale(scores, true);
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        let passes = |node: &Node| {
            let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref());
            tolerates_all(waking.shape, taints.unwrap_or_default())
        };
        match event {
            Event::Node(aspects, diff) if aspects.added || aspects.taints => {
                diff.new.as_deref().is_some_and(passes) && !diff.old.as_deref().is_some_and(passes)
            }
            Event::Target => true,
            _ => false,
        }
    }
}
