//! The `observe` crate.
