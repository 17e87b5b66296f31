//! The `lifecycle` crate.
