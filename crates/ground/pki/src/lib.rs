//! The `pki` crate.
