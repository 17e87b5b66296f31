//! The `authz` crate.
