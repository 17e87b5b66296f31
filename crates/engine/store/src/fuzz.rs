//! Entries for the decoders that are hidden.

pub use crate::embedded::fuzz::row;
pub use crate::etcd::fuzz::answer;
