//! The kinds of the core group.

pub(crate) mod data;
pub(crate) mod event;
pub(crate) mod namespace;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod podlevel;
pub(crate) mod podsubresource;
pub(crate) mod quota;
pub(crate) mod records;
pub(crate) mod service;
pub(crate) mod volume;
