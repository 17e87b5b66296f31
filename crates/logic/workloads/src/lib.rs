//! The `workloads` crate.
