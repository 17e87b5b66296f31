//! The kinds of the group `policy`.

use crate::promises::Promises;

/// A PodDisruptionBudget.
pub(crate) const DISRUPTION_BUDGET: Promises = Promises {
    name: object::names::path_segment,
    check_create: crate::check::policy::disruption_budget,
    check_update: crate::check::policy::disruption_budget_update,
    columns: crate::print::policy::DISRUPTION_BUDGET,
    cells: crate::print::policy::disruption_budget,
    ..Promises::WORKLOAD.versioned_updates()
};
