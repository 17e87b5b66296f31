//! Objects in other versions of their API, for owners that wrote in those.

use std::borrow::Cow;
use std::fmt;

use codec::Root;
use object::Value;

use super::Write;

/// The versions in which a kind is served besides the one of the request.
pub trait Versions: fmt::Debug + Sync {
    /// The type of the kind in `api_version`; `None` when it is not served in that version.
    fn root(&self, api_version: &str) -> Option<Root<'_>>;

    /// `object`, which is in version `from`, in version `to`; `None` when that cannot be had.
    fn convert(&self, object: &Value, from: &str, to: &str) -> Option<Value>;
}

/// The kind is served in the version of the request only.
#[derive(Debug, Clone, Copy)]
pub struct OneVersion;

impl Versions for OneVersion {
    fn root(&self, _: &str) -> Option<Root<'_>> {
        None
    }

    fn convert(&self, _: &Value, _: &str, _: &str) -> Option<Value> {
        None
    }
}

/// The type of the written kind in `api_version`.
pub(super) fn root_in<'a>(write: &Write<'a>, api_version: &str) -> Option<Root<'a>> {
    if api_version == write.api_version { Some(write.root) } else { write.versions.root(api_version) }
}

/// `object` in version `to`.
pub(super) fn converted<'v>(write: &Write<'_>, object: Cow<'v, Value>, from: &str, to: &str) -> Option<Cow<'v, Value>> {
    if from == to { Some(object) } else { write.versions.convert(&object, from, to).map(Cow::Owned) }
}
