//! Laying a patch over a document, or over an earlier patch.

use object::{Map, Text, Value};

use super::meta::Meta;
use super::{DELETE_PREFIX, ORDER_PREFIX, PATCH, RETAIN_KEYS, bad_directive, lists};
use crate::PatchError;
use crate::go::Printed;

/// What a patch is laid over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// A live object: directives are carried out and leave no trace.
    Server,
    /// Another patch: directives and `null`s are kept for whoever applies the result.
    Client,
}

/// Merges `patch` into `original`.
pub(super) fn maps(mut original: Map, mut patch: Map, meta: Meta<'_>, mode: Mode) -> Result<Map, PatchError> {
    if let Some(directive) = patch.remove(PATCH) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Map::new()),
            _ => {
                patch.insert(PATCH, directive.clone());
                Err(bad_directive(&directive, &patch))
            }
        };
    }
    retain_keys(&mut original, &mut patch, mode)?;
    lists::merge_ordered(&mut original, &mut patch, meta, mode)?;
    for (key, change) in patch {
        if key.starts_with(DELETE_PREFIX) {
            if mode == Mode::Client {
                original.insert(key, change);
            } else {
                delete_from_list(&mut original, &key, change, meta)?;
            }
            continue;
        }
        if change.is_null() {
            original.remove(&key);
            if mode == Mode::Client {
                original.insert(key, Value::Null);
            }
            continue;
        }
        let merged = match (original.remove(&key), change) {
            (Some(Value::Map(old)), Value::Map(new)) => {
                let (inner, strategy) = meta.field(&key)?;
                Some(Value::Map(if strategy.replaces { new } else { maps(old, new, inner, mode)? }))
            }
            (Some(Value::List(old)), Value::List(new)) => {
                let (inner, strategy) = meta.list(&key)?;
                Some(Value::List(if strategy.merges {
                    lists::merged(old, new, inner, strategy.merge_key, mode)?
                } else {
                    new
                }))
            }
            (_, change) => fresh(change, mode),
        };
        if let Some(merged) = merged {
            original.insert(key, merged);
        }
    }
    Ok(original)
}

/// A value that nothing stands in the way of: without directives, and on the server without `null`s.
fn fresh(mut change: Value, mode: Mode) -> Option<Value> {
    if mode == Mode::Server {
        discard_nulls(&mut change);
    }
    without_directives(change)
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Map(map) => map.retain(|_, member| {
            discard_nulls(member);
            !member.is_null()
        }),
        Value::List(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// `value` without what carries a `$patch` directive; `None` when it does itself.
pub(super) fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Map(map) if map.contains(PATCH) => None,
        Value::Map(map) => Some(Value::Map(
            map.into_iter().filter_map(|(key, member)| Some((key, without_directives(member)?))).collect(),
        )),
        Value::List(items) => Some(Value::List(items.into_iter().filter_map(without_directives).collect())),
        leaf => Some(leaf),
    }
}

/// `$deleteFromPrimitiveList/<list>`: takes items out of a list of scalars.
fn delete_from_list(original: &mut Map, key: &str, doomed: Value, meta: Meta<'_>) -> Result<(), PatchError> {
    let name = list_name(key, DELETE_PREFIX)?.to_owned();
    if doomed.is_null() {
        original.remove(&name);
        return Ok(());
    }
    let (Some(Value::List(items)), Value::List(doomed)) = (original.get_mut(&name), doomed) else { return Ok(()) };
    let (inner, strategy) = meta.list(&name)?;
    let old = std::mem::take(items);
    *items = lists::without(old, doomed, inner, strategy.merge_key)?;
    Ok(())
}

/// The list that a parallel directive such as `$setElementOrder/containers` is about.
pub(super) fn list_name<'k>(key: &'k str, prefix: &str) -> Result<&'k str, PatchError> {
    match key.split_once('/') {
        Some((before, name)) if before == prefix => Ok(name),
        _ => Err(PatchError::Malformed(
            match prefix {
                DELETE_PREFIX => "invalid patch format of primitive list",
                _ => "invalid patch format of setElementOrder list",
            }
            .to_owned(),
        )),
    }
}

/// `$retainKeys`: on the server, members that it does not name go; between patches it is passed on.
fn retain_keys(original: &mut Map, patch: &mut Map, mode: Mode) -> Result<(), PatchError> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    if mode == Mode::Client {
        match original.get(RETAIN_KEYS) {
            Some(earlier) if *earlier != directive => {
                return Err(PatchError::Unexpected(format!(
                    "{} and {} are not deep equal: this may happen when calculating the 3-way diff patch",
                    Printed(earlier),
                    Printed(&directive)
                )));
            }
            Some(_) => {}
            None => drop(original.insert(RETAIN_KEYS, directive)),
        }
        return Ok(());
    }
    let malformed = || PatchError::Malformed("invalid patch format of retainKeys".to_owned());
    let Value::List(names) = directive else { return Err(malformed()) };
    let kept: Vec<Text> = names.into_iter().filter_map(|name| name.as_str().map(Text::from)).collect();
    let is_kept = |key: &str| kept.iter().any(|name| name == key);
    let strays = patch.iter().any(|(key, change)| {
        let is_directive = key.starts_with(DELETE_PREFIX) || key.starts_with(ORDER_PREFIX);
        !change.is_null() && !is_directive && !is_kept(key)
    });
    if strays {
        return Err(malformed());
    }
    original.retain(|key, _| is_kept(key));
    Ok(())
}
