//! The order of merged lists: what the patch says, then what the server had, with best effort for neighbours.

use object::{Map, Value};

use super::meta::Items;
use super::{PATCH, expected_map, no_merge_key};
use crate::PatchError;

/// How items of a list are told apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairing<'k> {
    pub(super) items: Items,
    pub(super) merge_key: &'k str,
}

impl Pairing<'_> {
    /// What an item is known by.
    fn identity<'v>(&self, item: &'v Value) -> Option<&'v Value> {
        match self.items {
            Items::Maps => item.get(self.merge_key),
            _ => Some(item),
        }
    }

    /// Where the first item like `item` stands.
    fn position(&self, list: &[Value], item: &Value) -> Option<usize> {
        let wanted = self.identity(item);
        list.iter().position(|other| self.identity(other) == wanted)
    }

    /// Splits `items` into those that are also in `by` and the others.
    pub(super) fn split(&self, items: Vec<Value>, by: &[Value]) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for item in items {
            if !self.merge_key.is_empty() {
                merge_key_of(&item, self.merge_key)?;
            }
            let found = match self.merge_key {
                "" => by.contains(&item),
                key => find(by, key, item.get(key).unwrap_or(&Value::Null))?.is_some(),
            };
            if found { inside.push(item) } else { outside.push(item) }
        }
        Ok((inside, outside))
    }

    /// Both lists as one: `from_patch` in the order of `patch_order`, `from_server` in that of `server_order`,
    /// interleaved as they stood on the server where that is known.
    pub(super) fn arranged(
        &self,
        (from_patch, patch_order): (Vec<Value>, &[Value]),
        (from_server, server_order): (Vec<Value>, &[Value]),
    ) -> Result<Vec<Value>, PatchError> {
        let from_patch = self.sorted(from_patch, patch_order)?;
        let from_server = self.sorted(from_server, server_order)?;
        let mut patches = from_patch.into_iter().peekable();
        let mut servers = from_server.into_iter().peekable();
        let mut out = Vec::with_capacity(patches.len() + servers.len());
        loop {
            let server_first = match (servers.peek(), patches.peek()) {
                (None, None) => return Ok(out),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(server), Some(patch)) => {
                    let server = self.position(server_order, server);
                    let patch = self.position(server_order, patch);
                    matches!((server, patch), (Some(server), Some(patch)) if server < patch)
                }
            };
            out.extend(if server_first { servers.next() } else { patches.next() });
        }
    }

    /// `list` in the order of `order`, items that are to be deleted last.
    pub(super) fn sorted(&self, list: Vec<Value>, order: &[Value]) -> Result<Vec<Value>, PatchError> {
        let (mut list, deleted) = if self.items == Items::Maps {
            for item in list.iter().chain(order) {
                merge_key_of(item, self.merge_key)?;
            }
            list.into_iter().partition(|item| !is_deletion(item))
        } else {
            (list, Vec::new())
        };
        // Items that the order does not know keep their place behind those that it does.
        list.sort_by_cached_key(|item| self.position(order, item).unwrap_or(usize::MAX));
        list.extend(deleted);
        Ok(list)
    }
}

/// Whether a list item says that its like is to be deleted.
pub(super) fn is_deletion(item: &Value) -> bool {
    item.str_at(&[PATCH]) == Some("delete")
}

/// A list item as a map with its merge key's value.
pub(super) fn merge_key_of<'v>(item: &'v Value, merge_key: &str) -> Result<(&'v Map, &'v Value), PatchError> {
    let map = item.as_map().ok_or_else(|| expected_map(item))?;
    let value = map.get(merge_key).ok_or_else(|| no_merge_key(map, merge_key))?;
    Ok((map, value))
}

/// Where the item stands whose `key` is `value`.
pub(super) fn find(list: &[Value], key: &str, value: &Value) -> Result<Option<usize>, PatchError> {
    for (at, item) in list.iter().enumerate() {
        let Value::Map(map) = item else {
            return Err(PatchError::Unexpected(format!("value for key {at} is not a map")));
        };
        if map.get(key) == Some(value) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
