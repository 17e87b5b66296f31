//! The `netlink` crate.
