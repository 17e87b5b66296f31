//! The `controller-manager` crate.
