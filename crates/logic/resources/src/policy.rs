//! The kinds of the group `policy`.

use crate::promises::Promises;

/// A PodDisruptionBudget.
pub(crate) const DISRUPTION_BUDGET: Promises = Promises { ..Promises::WORKLOAD.versioned_updates() };
