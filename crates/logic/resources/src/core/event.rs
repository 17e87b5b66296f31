//! Events, in both of their forms.
//!
//! The form of the core group is stored; `events.k8s.io` names the same fields differently.

use object::{Text, Value};

use crate::promises::Promises;
use crate::tree::{blank, owned, text};

/// Names of fields: in `events.k8s.io/v1`, in the core group.
const RENAMED: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
];

/// Fields that selectors may ask for, in the core group's order.
const SELECTABLE: [&str; 11] = [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// The same in `events.k8s.io/v1`.
const SELECTABLE_RENAMED: [&str; 10] = [
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "regarding.apiVersion",
    "regarding.resourceVersion",
    "regarding.fieldPath",
    "reason",
    "reportingController",
    "type",
];

/// An event of the core group.
pub(crate) const CORE: Promises = Promises {
    name: object::names::path_segment,
    check_create: crate::check::event::create,
    check_update: crate::check::event::update,
    selectable: &SELECTABLE,
    select,
    columns: crate::print::event::COLUMNS,
    cells: crate::print::event::cells,
    ..Promises::DATA.created_on_update()
};

/// An event of `events.k8s.io`.
pub(crate) const EVENTS: Promises = Promises {
    name: object::names::dns_subdomain,
    check_create: crate::check::event::create_new_form,
    check_update: crate::check::event::update_new_form,
    selectable: &SELECTABLE_RENAMED,
    stored_name,
    stored: |event| rename(event, "v1", |(new, old)| (new, old)),
    served: |event| rename(event, "events.k8s.io/v1", |(new, old)| (old, new)),
    cells: |event| crate::print::event::cells(&to_core(event.clone())),
    ..CORE
};

/// An event of `events.k8s.io` in the core group's form.
pub(crate) fn to_core(event: Value) -> Value {
    (EVENTS.stored)(event)
}

fn rename(
    mut event: Value,
    api_version: &str,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Value {
    for (from, to) in RENAMED.into_iter().map(direction) {
        if let Some(value) = event.remove(&[from]) {
            event.set(&[to], value);
        }
    }
    if !blank(event.get("apiVersion")) {
        event.set(&["apiVersion"], api_version);
    }
    event
}

fn select(event: &Value) -> Vec<(&'static str, Text)> {
    let value = |name: &str| match name.split_once('.') {
        Some((object, field)) => owned(event, &[object, field]),
        None if name == "source" => match text(event, &["source", "component"]) {
            "" => owned(event, &["reportingComponent"]),
            component => component.into(),
        },
        None => owned(event, &[name]),
    };
    SELECTABLE.iter().map(|name| (*name, value(name))).collect()
}

/// `source` alone has no counterpart in the newer form.
fn stored_name(selectable: &str) -> Option<&'static str> {
    let stored = SELECTABLE.iter().filter(|name| **name != "source");
    SELECTABLE_RENAMED.iter().zip(stored).find(|(new, _)| **new == selectable).map(|(_, old)| *old)
}
