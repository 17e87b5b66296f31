//! The `informer` crate.
