//! The `serving` crate.
