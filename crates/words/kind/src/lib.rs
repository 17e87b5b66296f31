//! The `kind` crate.
