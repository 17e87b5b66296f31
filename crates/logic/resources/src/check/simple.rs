//! Leases, PriorityClasses and RuntimeClasses.

use kind::{Context, Problem};
use object::Value;

use super::spot::Problems;
use super::trail::Trail;
use super::{amounts, formats, frozen, over, podspec};

const PRIORITY_MAX: i64 = 1_000_000_000;
const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// What is wrong with a Lease.
pub(crate) fn lease(_context: &Context<'_>, lease: &Value) -> Vec<Problem> {
    over(lease, |lease, out| {
        let spec = lease.at("spec");
        spec.at("leaseDurationSeconds").positive(out);
        spec.at("leaseTransitions").nonnegative(out);
        let (strategy, preferred) = (spec.at("strategy"), spec.at("preferredHolder"));
        if preferred.is_set() && !strategy.is_set() {
            preferred.forbidden(out, "may only be specified if `strategy` is defined");
        }
    })
}

/// What is wrong with a PriorityClass.
pub(crate) fn priority_class(_context: &Context<'_>, class: &Value) -> Vec<Problem> {
    over(class, |class, out| {
        let (name, value) = (class.at("metadata.name"), class.at("value"));
        let number = value.int().unwrap_or(0);
        if name.text().starts_with("system-") {
            let known = SYSTEM_CLASSES.iter().any(|(known, value)| *known == name.text() && *value == number);
            if !known {
                let detail = "priority class names with 'system-' prefix are reserved for system use only. error: ";
                name.forbidden(out, format!("{detail}{} is not a known system priority class", name.text()));
            }
        } else if number > PRIORITY_MAX {
            let detail = format!("maximum allowed value of a user defined priority is {PRIORITY_MAX}");
            value.forbidden(out, detail);
        }
        let policy = class.at("preemptionPolicy");
        if policy.is_set() {
            policy.choice(out, &["PreemptLowerPriority", "Never"]);
        }
    })
}

/// What is wrong with a changed PriorityClass.
pub(crate) fn priority_class_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    let changed = new.int_at(&["value"]) != old.int_at(&["value"]);
    if changed {
        out.push(Problem::forbidden(object::Path::of("value"), "may not be changed in an update."));
    }
    frozen(new, old, &["preemptionPolicy"], &mut out);
    out
}

/// What is wrong with a RuntimeClass.
pub(crate) fn runtime_class(_context: &Context<'_>, class: &Value) -> Vec<Problem> {
    over(class, |class, out| {
        let handler = class.at("handler");
        if handler.is_empty() {
            handler.required(out, "");
        } else {
            handler.label(out);
        }
        for (name, amount) in class.at("overhead.podFixed").entries() {
            // Upstream takes the overhead for a list of limits.
            amounts::amount(name, &amount.moved(Trail::of("overhead.limits").key(name)), out);
        }
        formats::labels(&class.at("scheduling.nodeSelector"), out);
        podspec::tolerations(&class.at("scheduling.tolerations"), out);
    })
}

/// What is wrong with a changed RuntimeClass.
pub(crate) fn runtime_class_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    frozen(new, old, &["handler"], &mut out);
    out
}
