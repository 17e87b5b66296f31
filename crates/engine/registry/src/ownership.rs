//! Who owns which field.

use jiff::Timestamp;
use object::{Text, Value};
use patch::apply::{OneVersion, ResetFields, Write};

use crate::{Registry, WriteOptions};

/// The circumstances of a write, as far as ownership is concerned.
#[derive(Debug)]
pub struct OwnedWrite<'a> {
    root: codec::Root<'a>,
    manager: &'a str,
    api_version: Text,
    subresource: &'a str,
    now: Timestamp,
    reset: ResetFields,
}

impl OwnedWrite<'_> {
    /// Calls `f` with the form that `patch` wants.
    pub fn with<R>(&self, f: impl FnOnce(&Write<'_>) -> R) -> R {
        f(&Write {
            root: self.root,
            manager: self.manager,
            api_version: &self.api_version,
            subresource: self.subresource,
            now: self.now,
            reset: &self.reset,
            versions: &OneVersion,
        })
    }
}

impl Registry {
    /// A write of this kind by `manager` through `subresource`.
    pub fn ownership_write<'a>(&'a self, manager: &'a str, subresource: &'a str, now: Timestamp) -> OwnedWrite<'a> {
        let api_version = self.strategy.resource().api_version();
        let fields: Vec<String> = self.strategy.reset_fields(subresource).iter().map(ToString::to_string).collect();
        let mut reset = ResetFields::none();
        if !fields.is_empty() {
            reset = reset.except(&api_version, fields.iter().map(String::as_str));
        }
        OwnedWrite { root: self.root(), manager, api_version, subresource, now, reset }
    }
}

/// Records that the manager of `options` has created `object`.
pub(crate) fn record_create(registry: &Registry, object: &mut Value, options: &WriteOptions, now: Timestamp) {
    let write = registry.ownership_write(&options.field_manager, "", now);
    write.with(|write| patch::apply::create(write, object));
}

/// Records what the manager of `options` has changed.
pub(crate) fn record_update(
    registry: &Registry,
    (object, old): (&mut Value, &Value),
    subresource: &str,
    options: &WriteOptions,
    now: Timestamp,
) {
    let write = registry.ownership_write(&options.field_manager, subresource, now);
    write.with(|write| patch::apply::update(write, old, object));
}
