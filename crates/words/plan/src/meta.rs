//! Short answers about `ObjectMeta`: the fields are all optional on the wire, a planner mostly wants the plain value.

use typed::meta::{ObjectMeta, Time};

/// The name, or the empty string of an object not yet named by the server.
#[must_use]
pub fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

/// The namespace; empty for cluster-scoped objects.
#[must_use]
pub fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or_default()
}

/// The uid; empty before the server has stored the object.
#[must_use]
pub fn uid(meta: &ObjectMeta) -> &str {
    meta.uid.as_deref().unwrap_or_default()
}

/// The value of a label.
#[must_use]
pub fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

/// The value of an annotation.
#[must_use]
pub fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Sets a label; true if that changed anything.
pub fn set_label(meta: &mut ObjectMeta, key: &str, value: &str) -> bool {
    if label(meta, key) == Some(value) {
        return false;
    }
    meta.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    true
}

/// Sets an annotation; true if that changed anything.
pub fn set_annotation(meta: &mut ObjectMeta, key: &str, value: &str) -> bool {
    if annotation(meta, key) == Some(value) {
        return false;
    }
    meta.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    true
}

/// Whether deletion has been asked for.
#[must_use]
pub fn is_deleting(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some()
}

/// Whether a finalizer stands on the object.
#[must_use]
pub fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.as_ref().is_some_and(|all| all.iter().any(|f| f == finalizer))
}

/// All finalizers except one.
#[must_use]
pub fn finalizers_without(meta: &ObjectMeta, finalizer: &str) -> Vec<String> {
    meta.finalizers.iter().flatten().filter(|f| *f != finalizer).cloned().collect()
}

/// The creation time; the epoch for an object that has none, so that it sorts oldest.
#[must_use]
pub fn created(meta: &ObjectMeta) -> jiff::Timestamp {
    meta.creation_timestamp.as_ref().map_or(jiff::Timestamp::UNIX_EPOCH, |t| t.0)
}

/// The instant as the API writes it: whole seconds.
#[must_use]
pub fn time(at: jiff::Timestamp) -> Time {
    Time(jiff::Timestamp::from_second(at.as_second()).unwrap_or(at))
}
