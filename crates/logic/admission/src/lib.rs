//! The `admission` crate.
