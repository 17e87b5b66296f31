//! JSON merge patch, RFC 7386: maps are merged, `null` takes a member away, everything else is replaced.

use object::{Map, Value};

use crate::PatchError;

/// Applies `patch` to `target`.
///
/// As in upstream, a list may stand where the object should (decoding the result refuses it), and any other patch that
/// is not an object is malformed. New members lose the `null`s inside them, also inside lists.
pub fn apply(target: Value, patch: Value) -> Result<Value, PatchError> {
    match patch {
        Value::Map(_) => Ok(merged(target, patch)),
        Value::List(_) => Ok(without_nulls(patch)),
        _ => Err(PatchError::Malformed("Invalid JSON Patch".to_owned())),
    }
}

/// The merge patch that turns `from` into `to`; an empty map when they are equal.
pub fn create(from: &Map, to: &Map) -> Map {
    let changed = to.iter().filter_map(|(key, new)| match (from.get(key), new) {
        (Some(old), _) if old == new => None,
        (Some(Value::Map(old)), Value::Map(new)) => Some((key.into(), Value::Map(create(old, new)))),
        _ => Some((key.into(), new.clone())),
    });
    let gone = from.keys().filter(|key| !to.contains(key)).map(|key| (key.into(), Value::Null));
    changed.chain(gone).collect()
}

fn merged(target: Value, patch: Value) -> Value {
    match (target, patch) {
        (Value::Map(mut target), Value::Map(patch)) => {
            for (key, change) in patch {
                if change.is_null() {
                    target.remove(&key);
                    continue;
                }
                match target.get_mut(&key) {
                    Some(member) if !member.is_null() => *member = merged(std::mem::take(member), change),
                    _ => drop(target.insert(key, without_nulls(change))),
                }
            }
            Value::Map(target)
        }
        (_, patch) => without_nulls(patch),
    }
}

/// Members that are `null` mean "absent" also in what is new.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Map(mut map) => {
            map.retain(|_, member| {
                if !member.is_null() {
                    *member = without_nulls(std::mem::take(member));
                }
                !member.is_null()
            });
            Value::Map(map)
        }
        Value::List(items) => Value::List(items.into_iter().map(without_nulls).collect()),
        leaf => leaf,
    }
}

#[cfg(test)]
mod tests;
