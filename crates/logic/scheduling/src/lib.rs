//! The `scheduling` crate.
