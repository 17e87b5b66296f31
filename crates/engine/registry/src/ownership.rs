//! Who owns which field.

use jiff::Timestamp;
use object::Value;

use crate::{Registry, WriteOptions};

/// Records that the manager of `options` has created `object`.
pub(crate) fn record_create(_registry: &Registry, _object: &mut Value, _options: &WriteOptions, _now: Timestamp) {}

/// Records what the manager of `options` has changed.
#[expect(clippy::too_many_arguments, reason = "both versions, and who, where and when")]
pub(crate) fn record_update(
    _registry: &Registry,
    _object: &mut Value,
    _old: &Value,
    _subresource: &str,
    _options: &WriteOptions,
    _now: Timestamp,
) {
}
