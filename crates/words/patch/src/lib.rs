//! The `patch` crate.
