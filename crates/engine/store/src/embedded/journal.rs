//! What the committer demands of the disk.
//!
//! The border behind which one way of storing can replace another.

use std::sync::Arc;

use crate::LeaseId;
use crate::mvcc::{Commit, Lease};

/// The name of the layout on disk, written into the file and shown in the status.
pub(super) const FORMAT: &str = "ferrokube-store-2";
/// The layout before: the same file, without a log beside it.
pub(super) const FORMAT_BEFORE: &str = "ferrokube-store-1";

/// What becomes durable with one sync.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In the order of their revisions, continuing those of the groups before.
    pub(super) commits: Vec<Arc<Commit>>,
    pub(super) leases_granted: Vec<Lease>,
    pub(super) leases_ended: Vec<LeaseId>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.leases_granted.is_empty() && self.leases_ended.is_empty()
    }
}

/// Why the disk failed; never tried again.
pub(super) type DiskError = Box<dyn std::error::Error + Send + Sync>;

/// A durable record of groups.
pub(super) trait Journal: std::fmt::Debug + Send {
    /// Makes all of `group` durable, or, after a crash, none of it.
    ///
    /// # Errors
    /// After an error the state on disk is unknown, and the journal must not be used again.
    fn append(&mut self, group: &Group) -> Result<(), DiskError>;

    /// The size of what is stored.
    fn size_bytes(&self) -> u64;
}
