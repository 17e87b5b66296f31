//! The `kubelet` crate.
