//! The `endpoints` crate.
