//! The `cri` crate.
