//! The `podnet` crate.
