//! The `gate` crate.
