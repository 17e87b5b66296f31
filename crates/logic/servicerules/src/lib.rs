//! The `servicerules` crate.
