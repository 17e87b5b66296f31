//! Entries for the decoders that are hidden.

pub use crate::embedded::fuzz::{record, row};
pub use crate::etcd::fuzz::answer;
