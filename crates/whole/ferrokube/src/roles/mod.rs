//! What this executable is inside pods.

pub(crate) mod dns;
pub(crate) mod pause;
pub(crate) mod web;
