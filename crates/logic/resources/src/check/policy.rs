//! PodDisruptionBudgets.

use kind::{Context, Problem};
use object::Value;

use super::{formats, over};

/// What is wrong with a budget.
pub(crate) fn disruption_budget(_context: &Context<'_>, budget: &Value) -> Vec<Problem> {
    over(budget, |budget, out| {
        let spec = budget.at("spec");
        let (least, most) = (spec.at("minAvailable"), spec.at("maxUnavailable"));
        if least.is_set() && most.is_set() {
            spec.invalid(out, "minAvailable and maxUnavailable cannot be both set");
        }
        for bound in [least, most] {
            if bound.is_set() {
                formats::count_or_percent(&bound, out);
                formats::at_most_all(&bound, out);
            }
        }
        spec.at("unhealthyPodEvictionPolicy").option(out, &["AlwaysAllow", "IfHealthyBudget"]);
        formats::label_selector(&spec.at("selector"), out);
    })
}

/// What is wrong with a changed budget.
pub(crate) fn disruption_budget_update(context: &Context<'_>, new: &Value, _old: &Value) -> Vec<Problem> {
    if context.subresource != "status" {
        return disruption_budget(context, new);
    }
    over(new, |budget, out| {
        for field in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
            budget.at("status").at(field).nonnegative(out);
        }
    })
}
