//! The numbers of the store that have a meaning of their own.

use std::fmt;
use std::num::NonZeroI64;

/// The position of a transaction in the store's history. Zero stands before every transaction.
///
/// What Kubernetes shows as `resourceVersion` is this number in decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// No transaction: in a comparison, "the key is absent".
    pub const ZERO: Revision = Revision(0);

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a lease, chosen by the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub NonZeroI64);

impl LeaseId {
    /// The lease of this number; zero means "no lease" in etcd's messages.
    pub fn new(number: i64) -> Option<LeaseId> {
        NonZeroI64::new(number).map(LeaseId)
    }

    /// The number as it stands in etcd's messages.
    pub fn get(self) -> i64 {
        self.0.get()
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
