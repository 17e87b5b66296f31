//! NodePorts: two pods cannot take one host port.

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory, Overlay, Plugin, PreFilter, Verdict, Waking, Why};
use crate::ids::NodeIx;
use crate::snapshot::nodes::HostPort;

#[derive(Debug)]
pub(crate) struct NodePorts;

fn conflict(wanted: &[HostPort], taken: &[HostPort]) -> bool {
    wanted.iter().any(|port| taken.iter().any(|other| port.conflicts(other)))
}

impl Plugin for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if cycle.shape.ports.is_empty() { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, overlay: Overlay<'_>) -> Verdict {
        let wanted = &cycle.shape.ports;
        let row = cycle.snapshot.nodes.row(node);
        let taken = if overlay.removed.is_empty() {
            conflict(wanted, &row.ports)
        } else {
            let mut staying = row.pods.iter().filter(|pod| !overlay.removed.contains(pod));
            staying.any(|&pod| conflict(wanted, &cycle.snapshot.pod(pod).subject.shape.ports))
        };
        let refused = taken || overlay.added.iter().any(|other| conflict(wanted, &other.shape.ports));
        let why = Why::Text("node(s) didn't have free ports for the requested pod ports");
        refused.then_some((Code::Unschedulable, why))
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        match event {
            Event::Placed(aspects, subject) if aspects.deleted => conflict(&waking.shape.ports, &subject.shape.ports),
            Event::Node(aspects, _) => aspects.added,
            _ => false,
        }
    }
}
