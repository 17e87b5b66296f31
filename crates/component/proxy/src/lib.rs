//! The `proxy` crate.
