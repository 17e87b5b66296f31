//! The `object` crate.
