//! The `podplan` crate.
