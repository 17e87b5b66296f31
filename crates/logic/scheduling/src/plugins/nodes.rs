//! Plugins that look at the node object alone: NodeUnschedulable, NodeName, NodeDeclaredFeatures.

use typed::api::core::v1::{Node, Taint};

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory, Overlay, Plugin, PreFilter, Reach, Verdict, Waking, Why};
use crate::ids::NodeIx;
use crate::shape::{Shape, tolerates};

/// Refuses nodes with `spec.unschedulable`.
#[derive(Debug)]
pub(crate) struct NodeUnschedulable;

fn tolerates_unschedulable(shape: &Shape) -> bool {
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    tolerates(&shape.tolerations, &taint)
}

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if tolerates_unschedulable(cycle.shape) { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, _: Overlay<'_>) -> Verdict {
        let refused = cycle.snapshot.nodes.row(node).unschedulable;
        refused.then_some((Code::Unresolvable, Why::Text("node(s) were unschedulable")))
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        let unschedulable = |node: &Node| node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        match event {
            Event::Node(aspects, diff) if aspects.added || aspects.taints => {
                diff.new.as_deref().is_some_and(|node| !unschedulable(node)) || tolerates_unschedulable(waking.shape)
            }
            Event::Target => true,
            _ => false,
        }
    }
}

/// Refuses all nodes but the one in `spec.nodeName`.
#[derive(Debug)]
pub(crate) struct NodeName;

fn wanted_name<'a>(cycle: &Cycle<'a>) -> Option<&'a str> {
    let name = cycle.subject.object.spec.as_ref()?.node_name.as_deref()?;
    (!name.is_empty()).then_some(name)
}

impl Plugin for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn reach(&self) -> Reach {
        Reach::Cluster
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if wanted_name(cycle).is_some() { PreFilter::Go } else { PreFilter::Skip }
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, _: Overlay<'_>) -> Verdict {
        let refused = wanted_name(cycle).is_some_and(|name| name != &**cycle.snapshot.nodes.name(node));
        refused.then_some((Code::Unresolvable, Why::Text("node(s) didn't match the requested node name")))
    }

    fn wakes(&self, _: &Waking<'_>, event: &Event) -> bool {
        matches!(event, Event::Node(aspects, _) if aspects.added)
    }
}

/// Refuses nodes that do not declare a feature the pod needs (KEP-5328).
#[derive(Debug)]
pub(crate) struct NodeDeclaredFeatures;

impl Plugin for NodeDeclaredFeatures {
    fn name(&self) -> &'static str {
        "NodeDeclaredFeatures"
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if cycle.shape.features.is_empty() { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, _: Overlay<'_>) -> Verdict {
        let declared = &cycle.snapshot.nodes.row(node).features;
        let lacks = cycle.shape.features.iter().any(|&feature| !declared.iter().any(|have| have == feature));
        lacks.then_some((Code::Unresolvable, Why::Text("node(s) didn't match Pod's required features")))
    }

    fn wakes(&self, _: &Waking<'_>, event: &Event) -> bool {
        match event {
            Event::Node(aspects, _) => aspects.added || aspects.features,
            event => matches!(event, Event::Target),
        }
    }
}
