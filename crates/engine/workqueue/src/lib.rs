//! The `workqueue` crate.
