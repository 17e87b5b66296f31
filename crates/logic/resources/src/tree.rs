//! Small moves on trees that defaulting and preparation are made of.

use object::{Quantity, Text, Value};

/// Whether a value says nothing: absent, null or empty text.
pub(crate) fn blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

/// Whether a value is absent or null.
pub(crate) fn unset(value: Option<&Value>) -> bool {
    matches!(value, None | Some(Value::Null))
}

/// Sets `key` where it is absent or empty text.
pub(crate) fn default_text(value: &mut Value, key: &str, text: &str) {
    if blank(value.get(key)) {
        put(value, key, text);
    }
}

/// Sets `key` where it is absent.
pub(crate) fn default_to(value: &mut Value, key: &str, default: impl Into<Value>) {
    if unset(value.get(key)) {
        put(value, key, default);
    }
}

/// Sets `key` where it is absent or zero.
pub(crate) fn default_nonzero(value: &mut Value, key: &str, default: i64) {
    if matches!(value.get(key), None | Some(Value::Null | Value::Int(0))) {
        put(value, key, default);
    }
}

/// Sets a member of a struct.
pub(crate) fn put(value: &mut Value, key: &str, new: impl Into<Value>) {
    if let Some(map) = value.as_map_mut() {
        *map.entry(key) = new.into();
    }
}

/// Works on the member `key` when it is a struct.
pub(crate) fn within(value: &mut Value, key: &str, work: impl FnOnce(&mut Value)) {
    if let Some(member @ Value::Map(_)) = value.get_mut(key) {
        work(member);
    }
}

/// Works on the struct at `keys`, when it is there.
pub(crate) fn at(value: &mut Value, keys: &[&str], work: impl FnOnce(&mut Value)) {
    if let Some(member @ Value::Map(_)) = value.at_mut(keys) {
        work(member);
    }
}

/// Works on every item of the list `key`.
pub(crate) fn each(value: &mut Value, key: &str, work: impl FnMut(&mut Value)) {
    if let Some(Value::List(items)) = value.get_mut(key) {
        items.iter_mut().for_each(work);
    }
}

/// Makes the member `key` a struct when it is absent.
pub(crate) fn ensure(value: &mut Value, key: &str) {
    default_to(value, key, Value::map());
}

/// Takes the member at `keys` from `old`.
pub(crate) fn carry(new: &mut Value, old: &Value, keys: &[&str]) {
    match old.at(keys) {
        Some(value) => new.set(keys, value.clone()),
        None => drop(new.remove(keys)),
    }
}

/// Metadata that a subresource may not change.
pub(crate) fn carry_metadata(new: &mut Value, old: &Value) {
    for key in ["labels", "annotations", "finalizers", "ownerReferences", "deletionTimestamp", "generation"] {
        carry(new, old, &["metadata", key]);
    }
}

/// Whether the same member stands at `keys`.
pub(crate) fn same(new: &Value, old: &Value, keys: &[&str]) -> bool {
    let (new, old) = (new.at(keys), old.at(keys));
    new == old || (empty(new) && empty(old))
}

/// Whether there is nothing at all here: absent, null, or an empty text, list or struct.
pub(crate) fn empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::List(items)) => items.is_empty(),
        Some(Value::Map(map)) => map.is_empty(),
        Some(_) => false,
    }
}

/// The text at `keys`; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, keys: &[&str]) -> &'a str {
    value.str_at(keys).unwrap_or_default()
}

/// The text at `keys` as an owned one.
pub(crate) fn owned(value: &Value, keys: &[&str]) -> Text {
    text(value, keys).into()
}

/// The boolean at `keys`, `false` when there is none.
pub(crate) fn flag(value: &Value, keys: &[&str]) -> bool {
    value.at(keys).and_then(Value::as_bool).unwrap_or(false)
}

/// The quantity that a value is written as.
pub(crate) fn quantity(value: &Value) -> Option<Quantity> {
    Quantity::parse(value.as_str()?).ok()
}

/// Quantities finer than a thousandth are rounded up to one.
pub(crate) fn round_quantities(value: &mut Value, key: &str) {
    let Some(map) = value.get_mut(key).and_then(Value::as_map_mut) else { return };
    for (_, amount) in map.iter_mut() {
        let fine = amount.as_str().is_some_and(|text| text.ends_with(['n', 'u']) || text.contains("e-"));
        if fine && let Some(parsed) = quantity(amount) {
            *amount = Value::from(Quantity::milli(parsed.milli_value()).text());
        }
    }
}

/// The words of a list of texts.
pub(crate) fn texts<'a>(value: &'a Value, keys: &[&str]) -> impl Iterator<Item = &'a str> {
    value.list_at(keys).iter().filter_map(Value::as_str)
}
