//! The `stdx` crate.
