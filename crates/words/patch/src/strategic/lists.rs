//! Merging lists item by item.

use object::{Map, Text, Value};

use super::merge::{Mode, list_name, maps, without_directives};
use super::meta::{Items, Meta, items_of};
use super::order::{Pairing, find, merge_key_of};
use super::{ORDER_PREFIX, PATCH, bad_directive, expected_list, expected_map, no_merge_key};
use crate::PatchError;
use crate::go::Printed;

/// Lists whose patch comes with a `$setElementOrder`: merged and arranged here, so that the patch holds neither the
/// list nor the directive afterwards.
pub(super) fn merge_ordered(original: &mut Map, patch: &mut Map, meta: Meta<'_>, mode: Mode) -> Result<(), PatchError> {
    let directives: Vec<Text> = patch.keys().filter(|key| key.starts_with(ORDER_PREFIX)).map(Text::from).collect();
    for directive in directives {
        let order = patch.remove(&directive).unwrap_or_default();
        if mode == Mode::Client {
            match original.get(&directive) {
                Some(earlier) if *earlier != order => return Err(bad_order()),
                Some(_) => {}
                None => drop(original.insert(directive.clone(), order.clone())),
            }
        }
        let Value::List(order) = order else { return Err(expected_list(&order)) };
        let name = list_name(&directive, ORDER_PREFIX)?;
        let old = take_list(original, name)?;
        let new = take_list(patch, name)?;
        if let Some(arranged) = ordered(old, new, &order, meta.list(name)?, mode)? {
            original.insert(name, Value::List(arranged));
        }
    }
    Ok(())
}

fn ordered(
    old: Option<Vec<Value>>,
    new: Option<Vec<Value>>,
    order: &[Value],
    (inner, strategy): (Meta<'_>, super::meta::Strategy<'_>),
    mode: Mode,
) -> Result<Option<Vec<Value>>, PatchError> {
    let merge_key = strategy.merge_key;
    check_order(new.as_deref().unwrap_or_default(), order, merge_key)?;
    let server_order = old.clone().unwrap_or_default();
    let items = items_of(&[&server_order, new.as_deref().unwrap_or_default()]);
    let merged = match (old, new) {
        (None, None) => return Ok(None),
        (Some(old), None) => old,
        (None, Some(new)) => new.into_iter().filter_map(without_directives).collect(),
        (Some(old), Some(new)) if strategy.merges => self::merged(old, new, inner, merge_key, mode)?,
        (Some(_), Some(new)) => new,
    };
    let items = match items? {
        Items::None => {
            return Err(PatchError::Unexpected("no elements in any of the given slices".to_owned()));
        }
        items => items,
    };
    let pairing = Pairing { items, merge_key };
    let (from_patch, from_server) = pairing.split(merged, order)?;
    pairing.arranged((from_patch, order), (from_server, &server_order)).map(Some)
}

/// The items of a patch must stand in the order that its `$setElementOrder` gives, and all be in it.
fn check_order(patch: &[Value], order: &[Value], merge_key: &str) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    if !merge_key.is_empty()
        && let Some(stray) = patch.iter().find(|item| item.as_map().is_none())
    {
        return Err(expected_map(stray));
    }
    let wanted = patch.iter().filter(|item| item.get(PATCH).is_none());
    let mut ordered = order.iter();
    for item in wanted {
        let found = loop {
            let Some(next) = ordered.next() else { break false };
            let same = match merge_key {
                "" => item == next,
                key => merge_key_of(item, key)?.1 == merge_key_of(next, key)?.1,
            };
            if same {
                break true;
            }
        };
        if !found {
            return Err(PatchError::Unexpected(format!(
                "The order in patch list:\n{}\n doesn't match {ORDER_PREFIX} list:\n{}\n",
                Printed(&Value::List(patch.to_vec())),
                Printed(&Value::List(order.to_vec()))
            )));
        }
    }
    Ok(())
}

/// Merges the list `patch` into the list `original`.
pub(super) fn merged(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    inner: Meta<'_>,
    merge_key: &str,
    mode: Mode,
) -> Result<Vec<Value>, PatchError> {
    match items_of(&[&original, &patch])? {
        Items::None => Ok(original),
        items @ Items::Scalars => {
            let server_order = original.clone();
            let mut both = original;
            for item in &patch {
                if !both.contains(item) {
                    both.push(item.clone());
                }
            }
            dedup(&mut both);
            let pairing = Pairing { items, merge_key };
            let (from_patch, from_server) = pairing.split(both, &patch)?;
            pairing.arranged((from_patch, &patch), (from_server, &server_order))
        }
        items @ Items::Maps => {
            if merge_key.is_empty() {
                return Err(PatchError::Unexpected(format!(
                    "cannot merge lists without merge key for {}",
                    inner.kind()
                )));
            }
            let patch = carry_out_directives(&mut original, patch, merge_key)?;
            let server_order = original.clone();
            for item in &patch {
                let (_, wanted) = merge_key_of(item, merge_key)?;
                match find(&original, merge_key, wanted)? {
                    Some(at) => {
                        if let (Value::Map(old), Value::Map(new)) = (std::mem::take(&mut original[at]), item.clone()) {
                            original[at] = Value::Map(maps(old, new, inner, mode)?);
                        }
                    }
                    None => original.push(item.clone()),
                }
            }
            let pairing = Pairing { items, merge_key };
            let (from_patch, from_server) = pairing.split(original, &patch)?;
            pairing.arranged((from_patch, &patch), (from_server, &server_order))
        }
    }
}

/// Items with `$patch`: deletes and replaces at once, and leaves the items that are to be merged.
fn carry_out_directives(
    original: &mut Vec<Value>,
    patch: Vec<Value>,
    merge_key: &str,
) -> Result<Vec<Value>, PatchError> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut replaces = false;
    for item in patch {
        let Value::Map(map) = &item else { continue };
        match map.get(PATCH).map(|directive| (directive, directive.as_str())) {
            None => plain.push(item),
            Some((_, Some("delete"))) => {
                let doomed = map.get(merge_key).ok_or_else(|| no_merge_key(map, merge_key))?;
                while let Some(at) = find(original, merge_key, doomed)? {
                    original.remove(at);
                }
            }
            Some((_, Some("replace"))) => replaces = true,
            Some((_, Some("merge"))) => {
                return Err(PatchError::Unexpected("merging lists cannot yet be specified in the patch".to_owned()));
            }
            Some((directive, _)) => return Err(bad_directive(directive, map)),
        }
    }
    if replaces {
        *original = std::mem::take(&mut plain);
    }
    Ok(plain)
}

/// The scalars of `original` that are not in `doomed`.
pub(super) fn without(
    original: Vec<Value>,
    doomed: Vec<Value>,
    inner: Meta<'_>,
    merge_key: &str,
) -> Result<Vec<Value>, PatchError> {
    match items_of(&[&original, &doomed])? {
        Items::Maps => merged(original, doomed, inner, merge_key, Mode::Server),
        _ => Ok(original.into_iter().filter(|item| !doomed.contains(item)).collect()),
    }
}

fn dedup(items: &mut Vec<Value>) {
    let mut kept: Vec<Value> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    *items = kept;
}

fn take_list(map: &mut Map, name: &str) -> Result<Option<Vec<Value>>, PatchError> {
    match map.remove(name) {
        None => Ok(None),
        Some(Value::List(items)) => Ok(Some(items)),
        Some(other) => Err(expected_list(&other)),
    }
}

fn bad_order() -> PatchError {
    PatchError::Malformed("invalid patch format of setElementOrder list".to_owned())
}
