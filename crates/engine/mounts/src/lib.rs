//! The `mounts` crate.
