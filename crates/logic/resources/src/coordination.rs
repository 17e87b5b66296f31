//! The kinds of the group `coordination.k8s.io`.

use crate::promises::Promises;

/// A Lease.
pub(crate) const LEASE: Promises = Promises { ..Promises::DATA.created_on_update().versioned_updates() };
