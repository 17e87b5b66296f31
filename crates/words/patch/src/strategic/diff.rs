//! Making patches from objects, as clients do.

use object::{Map, Text, Value};

use super::meta::{Items, Meta, items_of};
use super::order::{Pairing, merge_key_of};
use super::{DELETE_PREFIX, ORDER_PREFIX, PATCH, RETAIN_KEYS, merge};
use crate::PatchError;
use crate::go::Printed;

/// Why no patch is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The patch would change what must not change.
    #[error("precondition failed for: {0}")]
    Precondition(String),
    /// The object was changed by others where the patch would change it.
    #[error("patch:\n{patch}\nconflicts with changes made from original to current:\n{changes}\n")]
    Conflict {
        /// The patch as YAML.
        patch: String,
        /// What others changed, as YAML.
        changes: String,
    },
    /// The objects do not lend themselves to a patch.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

/// What a patch must leave alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition<'k> {
    /// A field of the object, such as `kind`.
    Unchanged(&'k str),
    /// A field of the metadata, such as `name`.
    MetadataUnchanged(&'k str),
}

impl Precondition<'_> {
    fn holds(self, patch: &Map) -> bool {
        match self {
            Precondition::Unchanged(key) => !patch.contains(key),
            Precondition::MetadataUnchanged(key) => {
                !patch.get("metadata").and_then(Value::as_map).is_some_and(|metadata| metadata.contains(key))
            }
        }
    }
}

/// The patch that turns `original` into `modified`; empty when they are equal.
pub fn create_two_way(original: &Map, modified: &Map, root: codec::Root<'_>) -> Result<Map, PatchError> {
    Differ { takes: Takes::All, sets_order: true }.maps(original, modified, Meta::of(root), false)
}

/// The patch that takes `current` to `modified`, and that deletes only what was in `original`, the configuration that
/// was applied before. Unless `overwrite`, changes that others made to the same fields refuse it.
pub fn create_three_way(
    [original, modified, current]: [&Map; 3],
    root: codec::Root<'_>,
    overwrite: bool,
    preconditions: &[Precondition<'_>],
) -> Result<Map, CreateError> {
    let meta = Meta::of(root);
    let delta = Differ { takes: Takes::Changes, sets_order: true }.maps(current, modified, meta, false)?;
    let deletions = Differ { takes: Takes::Deletions, sets_order: true }.maps(original, modified, meta, false)?;
    let patch = merge::maps(deletions, delta, meta, merge::Mode::Client)?;
    if !preconditions.iter().all(|precondition| precondition.holds(&patch)) {
        return Err(CreateError::Precondition(Printed(&Value::Map(patch)).to_string()));
    }
    if !overwrite {
        let changes = Differ { takes: Takes::All, sets_order: false }.maps(original, current, meta, false)?;
        if maps_conflict(&patch, &changes, meta)? {
            let yaml = |map: Map| codec::yaml::encode(&Value::Map(map)).unwrap_or_else(|e| e.to_string());
            return Err(CreateError::Conflict { patch: yaml(patch), changes: yaml(changes) });
        }
    }
    Ok(patch)
}

/// Which differences a patch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    All,
    /// What is new or has another value.
    Changes,
    Deletions,
}

#[derive(Debug, Clone, Copy)]
struct Differ {
    takes: Takes,
    /// Whether `$setElementOrder` is written.
    sets_order: bool,
}

impl Differ {
    fn changes(self) -> bool {
        self.takes != Takes::Deletions
    }

    fn deletions(self) -> bool {
        self.takes != Takes::Changes
    }

    fn maps(self, old: &Map, new: &Map, meta: Meta<'_>, retains_keys: bool) -> Result<Map, PatchError> {
        let mut patch = Map::new();
        for (key, value) in new.iter() {
            let Some(before) = old.get(key) else {
                if self.changes() {
                    patch.insert(key, value.clone());
                }
                continue;
            };
            if key == PATCH {
                if before.as_str().and(value.as_str()).is_none() {
                    return Err(PatchError::Unexpected(format!("invalid value for special key: {PATCH}")));
                }
                if before != value {
                    patch.insert(PATCH, value.clone());
                }
                continue;
            }
            match (before, value) {
                (Value::Map(before), Value::Map(after)) => self.member_map(key, (before, after), meta, &mut patch)?,
                (Value::List(before), Value::List(after)) => {
                    self.member_list(key, (before, after), meta, &mut patch)?
                }
                _ if self.changes() && before != value => drop(patch.insert(key, value.clone())),
                _ => {}
            }
        }
        let gone: Vec<&str> = old.keys().filter(|key| !new.contains(key)).collect();
        if self.deletions() {
            for key in &gone {
                patch.insert(*key, Value::Null);
            }
        }
        if retains_keys {
            let kept: Vec<Value> =
                new.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| Value::from(key)).collect();
            let clears = gone.iter().any(|key| old.get(key).is_some_and(|value| !value.is_null()));
            if !kept.is_empty() && (!patch.is_empty() || clears) {
                patch.insert(RETAIN_KEYS, Value::List(kept));
            }
        }
        Ok(patch)
    }

    fn member_map(
        self,
        key: &str,
        (old, new): (&Map, &Map),
        meta: Meta<'_>,
        patch: &mut Map,
    ) -> Result<(), PatchError> {
        // Fields that no type knows matter only when they differ.
        let (inner, strategy) = match meta.field(key) {
            Ok(found) => found,
            Err(_) if old == new => return Ok(()),
            Err(unknown) => return Err(unknown),
        };
        if strategy.replaces {
            if self.changes() && old != new {
                patch.insert(key, Value::Map(new.clone()));
            }
            return Ok(());
        }
        let below = self.maps(old, new, inner, strategy.retains_keys)?;
        if !below.is_empty() {
            patch.insert(key, Value::Map(below));
        }
        Ok(())
    }

    fn member_list(
        self,
        key: &str,
        (old, new): (&[Value], &[Value]),
        meta: Meta<'_>,
        patch: &mut Map,
    ) -> Result<(), PatchError> {
        let (inner, strategy) = match meta.list(key) {
            Ok(found) => found,
            Err(_) if old == new => return Ok(()),
            Err(unknown) => return Err(unknown),
        };
        if !strategy.merges {
            if self.changes() && old != new {
                patch.insert(key, Value::List(new.to_vec()));
            }
            return Ok(());
        }
        let ListPatch { added, deleted, order } = self.lists(old, new, (inner, strategy))?;
        if !added.is_empty() {
            patch.insert(key, Value::List(added));
        }
        if !deleted.is_empty() {
            patch.insert(format!("{DELETE_PREFIX}/{key}"), Value::List(deleted));
        }
        if !order.is_empty() {
            patch.insert(format!("{ORDER_PREFIX}/{key}"), Value::List(order));
        }
        Ok(())
    }

    fn lists(
        self,
        old: &[Value],
        new: &[Value],
        (inner, strategy): (Meta<'_>, super::meta::Strategy<'_>),
    ) -> Result<ListPatch, PatchError> {
        let mut patch = ListPatch::default();
        if old.is_empty() {
            if self.changes() {
                patch.added = new.to_vec();
            }
            return Ok(patch);
        }
        let items = items_of(&[old, new])?;
        let pairing = Pairing { items, merge_key: strategy.merge_key };
        if items == Items::Maps {
            let (added, deleted) = self.items(old, new, (inner, strategy))?;
            patch.added = pairing.sorted(added, new)?;
            patch.added.extend(deleted);
            let same_order = old.len() == new.len() && self.same_keys(old, new, strategy.merge_key)?;
            let differs = (self.changes() && (!patch.added.is_empty() || !same_order))
                || (self.deletions() && !patch.added.is_empty());
            if self.sets_order && differs {
                for item in new {
                    let (_, value) = merge_key_of(item, strategy.merge_key)?;
                    patch.order.push(Value::from_pairs([(strategy.merge_key, value.clone())]));
                }
            }
            return Ok(patch);
        }
        if self.changes() {
            let added = new.iter().filter(|item| !old.contains(item)).cloned().collect();
            patch.added = pairing.sorted(added, new)?;
        }
        if self.deletions() {
            for item in old.iter().filter(|item| !new.contains(item)) {
                if !patch.deleted.contains(item) {
                    patch.deleted.push(item.clone());
                }
            }
            patch.deleted.sort_by_cached_key(|item| Printed(item).to_string());
        }
        if self.sets_order && (!patch.deleted.is_empty() || (self.changes() && old != new)) {
            patch.order = new.to_vec();
        }
        Ok(patch)
    }

    /// Items to add or change, and items to delete.
    fn items(
        self,
        old: &[Value],
        new: &[Value],
        (inner, strategy): (Meta<'_>, super::meta::Strategy<'_>),
    ) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
        let merge_key = strategy.merge_key;
        let (old, new) = (by_key(old, merge_key)?, by_key(new, merge_key)?);
        let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
        let (mut changed, mut deleted) = (Vec::new(), Vec::new());
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return Ok((changed, deleted)),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(old), Some(new)) => old.name.cmp(&new.name),
            };
            let before = if order.is_le() { olds.next() } else { None };
            let after = if order.is_ge() { news.next() } else { None };
            match (before, after) {
                (Some(before), Some(after)) => {
                    let mut below = self.maps(before.map, after.map, inner, strategy.retains_keys)?;
                    if !below.is_empty() {
                        below.insert(merge_key, after.key.clone());
                        changed.push(Value::Map(below));
                    }
                }
                (None, Some(after)) if self.changes() => changed.push(Value::Map(after.map.clone())),
                (Some(before), None) if self.deletions() => {
                    let marks = [(Text::from(merge_key), before.key.clone()), (PATCH.into(), Value::from("delete"))];
                    deleted.push(Value::from_pairs(marks));
                }
                _ => {}
            }
        }
    }

    fn same_keys(self, old: &[Value], new: &[Value], merge_key: &str) -> Result<bool, PatchError> {
        for (old, new) in old.iter().zip(new) {
            if merge_key_of(old, merge_key)?.1 != merge_key_of(new, merge_key)?.1 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The three lists that a patch of a list is made of.
#[derive(Debug, Default)]
struct ListPatch {
    added: Vec<Value>,
    deleted: Vec<Value>,
    order: Vec<Value>,
}

/// A list item by its merge key.
struct Keyed<'v> {
    name: String,
    key: &'v Value,
    map: &'v Map,
}

fn by_key<'v>(items: &'v [Value], merge_key: &str) -> Result<Vec<Keyed<'v>>, PatchError> {
    let keyed = items.iter().map(|item| {
        let (map, key) = merge_key_of(item, merge_key)?;
        Ok(Keyed { name: Printed(key).to_string(), key, map })
    });
    let mut keyed = keyed.collect::<Result<Vec<Keyed<'v>>, PatchError>>()?;
    keyed.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(keyed)
}

/// Whether two patches set any field to different values.
fn maps_conflict(left: &Map, right: &Map, meta: Meta<'_>) -> Result<bool, PatchError> {
    for (key, left) in left.iter().filter(|(key, _)| !matches!(*key, PATCH | RETAIN_KEYS)) {
        let Some(right) = right.get(key) else { continue };
        let conflict = match (left, right) {
            (Value::Map(left), Value::Map(right)) => {
                let (inner, strategy) = meta.field(key)?;
                left.get(PATCH) != right.get(PATCH) || (!strategy.replaces && maps_conflict(left, right, inner)?)
            }
            (Value::List(left), Value::List(right)) if !key.starts_with('$') => {
                let (inner, strategy) = meta.list(key)?;
                lists_conflict(left, right, (inner, strategy))?
            }
            _ => left != right,
        };
        if conflict {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lists_conflict(
    left: &[Value],
    right: &[Value],
    (inner, strategy): (Meta<'_>, super::meta::Strategy<'_>),
) -> Result<bool, PatchError> {
    let items = items_of(&[left, right])?;
    if !strategy.merges {
        return Ok(left != right);
    }
    if items != Items::Maps {
        return Ok(false);
    }
    let rights = by_key(right, strategy.merge_key)?;
    for left in by_key(left, strategy.merge_key)? {
        for right in rights.iter().filter(|right| right.name == left.name) {
            if left.map.get(PATCH) != right.map.get(PATCH) || maps_conflict(left.map, right.map, inner)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
