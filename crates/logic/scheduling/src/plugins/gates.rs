//! Plugins about the pod alone: SchedulingGates, DynamicResources (not built), and names without code of their own.

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory, Plugin, PreFilter, Waking};
use crate::shape::Subject;

/// Keeps pods with scheduling gates out of the queue (KEP-3521).
#[derive(Debug)]
pub(crate) struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn gate(&self, subject: &Subject) -> Option<String> {
        let gates = subject.object.spec.as_ref()?.scheduling_gates.as_ref()?;
        let names: Vec<&str> = gates.iter().map(|gate| gate.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("waiting for scheduling gates: [{}]", names.join(" ")))
    }

    fn wakes(&self, _: &Waking<'_>, event: &Event) -> bool {
        matches!(event, Event::Target)
    }
}

/// Dynamic resource allocation (KEP-4381) is not built: a pod that claims devices is refused everywhere, and says why.
#[derive(Debug)]
pub(crate) struct DynamicResources;

impl Plugin for DynamicResources {
    fn name(&self) -> &'static str {
        "DynamicResources"
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if cycle.shape.claims_devices {
            let why = "pod uses resource claims, and dynamic resource allocation is not built in this scheduler";
            return PreFilter::Refuse(Code::Unresolvable, why.to_owned());
        }
        PreFilter::Skip
    }

    fn wakes(&self, _: &Waking<'_>, event: &Event) -> bool {
        matches!(event, Event::Target)
    }
}

/// A plugin whose work stands elsewhere: the queue's order, preemption, or the binding itself.
#[derive(Debug)]
pub(crate) struct Elsewhere(pub(crate) &'static str);

impl Plugin for Elsewhere {
    fn name(&self) -> &'static str {
        self.0
    }

    fn wakes(&self, _: &Waking<'_>, _: &Event) -> bool {
        false
    }
}
