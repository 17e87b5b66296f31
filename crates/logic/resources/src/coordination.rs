//! The kinds of the group `coordination.k8s.io`.

use crate::promises::Promises;

/// A Lease.
pub(crate) const LEASE: Promises = Promises {
    check_create: crate::check::simple::lease,
    check_update: |context, new, _| crate::check::simple::lease(context, new),
    columns: crate::print::policy::LEASE,
    cells: crate::print::policy::lease,
    ..Promises::DATA.created_on_update().versioned_updates()
};
