//! The `streaming` crate.
