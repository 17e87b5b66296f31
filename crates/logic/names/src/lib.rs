//! The `names` crate.
