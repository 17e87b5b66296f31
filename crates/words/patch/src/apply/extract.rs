//! From values to field sets: what an applied configuration claims, and what is there at all.

use object::Value;

use super::diff::is_hollow;
use super::element::Element;
use super::filter::ResetFields;
use super::set::FieldSet;
use super::text::Writer;
use super::topology::{Node, Topology};

impl<'s> Topology<'s> {
    /// The fields that a configuration claims (upstream's `ToFieldSet`).
    pub(super) fn claimed(self, node: Node<'s>, value: &Value) -> FieldSet {
        let mut set = FieldSet::new();
        match (node, value) {
            (Node::Struct(_) | Node::Map(_) | Node::Deduced, Value::Map(map)) => {
                for (key, value) in map.iter() {
                    let (below, declared) = self.member_or_deduced(node, key);
                    let hollow = value.is_null() || value.as_map().is_some_and(object::Map::is_empty);
                    let member = hollow || !declared || is_leaf(below, value);
                    set.push(Element::field(key), member, self.claimed(below, value));
                }
            }
            (Node::Keyed { .. } | Node::Set(_), Value::List(items)) => {
                let below = self.item(node);
                for group in self.sorted_items(node, items).chunk_by(same_element) {
                    // Items that nothing tells apart are one to their owner, with nothing below.
                    let children = match group {
                        [(_, only)] => self.claimed(below, only),
                        _ => FieldSet::new(),
                    };
                    set.push(group[0].0.clone(), true, children);
                }
            }
            _ => {}
        }
        set
    }

    /// Every field and item below `value`, each a member: what is new when `value` is new, and gone when it is gone.
    pub(super) fn everything(self, node: Node<'s>, value: &Value) -> FieldSet {
        let mut set = FieldSet::new();
        match (node, value) {
            (Node::Struct(_) | Node::Map(_) | Node::Deduced, Value::Map(map)) => {
                for (key, value) in map.iter() {
                    let (below, _) = self.member_or_deduced(node, key);
                    set.push(Element::field(key), true, self.everything(below, value));
                }
            }
            (Node::Keyed { .. } | Node::Set(_), Value::List(items)) => {
                let below = self.item(node);
                for group in self.sorted_items(node, items).chunk_by(same_element) {
                    // Items that nothing tells apart are one to their owner, with nothing below.
                    let children = match group {
                        [(_, only)] => self.everything(below, only),
                        _ => FieldSet::new(),
                    };
                    set.push(group[0].0.clone(), true, children);
                }
            }
            _ => {}
        }
        set
    }

    /// The items of a list in the order of what tells them apart; those that nothing tells apart stand side by side.
    pub(super) fn sorted_items<'v>(self, node: Node<'s>, items: &'v [Value]) -> Vec<(Element, &'v Value)> {
        let mut found = self.elements(node, items);
        if !found.is_sorted_by(|left, right| left.0 <= right.0) {
            found.sort_by(|left, right| left.0.cmp(&right.0));
        }
        found
    }
}

/// Whether nothing tells two items apart.
pub(super) fn same_element(left: &(Element, &Value), right: &(Element, &Value)) -> bool {
    left.0 == right.0
}

/// Whether a value is owned as one field here.
pub(super) fn is_leaf(node: Node<'_>, value: &Value) -> bool {
    match (node, value) {
        (Node::Scalar(_) | Node::Atomic(_), _) => true,
        (Node::Deduced, Value::Map(_) | Value::Null) => false,
        (Node::Deduced, _) => true,
        _ => false,
    }
}

/// Fields of `metadata` that belong to the server and are never owned, sorted.
pub(super) const SERVER_METADATA: [&str; 9] = [
    "clusterName",
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Writes what the creator of an object owns straight as text, without a set in between: this stands on the path of
/// every create.
pub(super) struct Creation<'s> {
    topology: Topology<'s>,
    writer: Writer,
}

impl<'s> Creation<'s> {
    /// The text of the fields of `new` that an object of its type does not have by itself, such as `{}`.
    pub(super) fn text(topology: Topology<'s>, root: Node<'s>, zero: &Value, new: &Value, reset: &FieldSet) -> Vec<u8> {
        let mut creation = Creation { topology, writer: Writer::new() };
        let (Value::Map(zero), Value::Map(new)) = (zero, new) else { return creation.writer.finish() };
        for (key, value) in new.iter().filter(|(key, _)| !matches!(*key, "apiVersion" | "kind")) {
            let excluded = reset.field(key);
            if excluded.is_some_and(|entry| entry.member) {
                continue;
            }
            let below_excluded = excluded.map(|entry| &entry.children);
            let (below, _) = topology.member_or_deduced(root, key);
            if key == "metadata" {
                let mark = creation.writer.begin_field(key, false);
                creation.metadata(below, value, below_excluded);
                creation.writer.end(mark);
            } else {
                creation.member(below, key, (zero.get(key), value), below_excluded);
            }
        }
        creation.writer.finish()
    }

    /// Metadata that the client has a say in: none of it is there by itself.
    fn metadata(&mut self, node: Node<'s>, metadata: &Value, reset: Option<&FieldSet>) {
        let Value::Map(map) = metadata else { return };
        for (key, value) in map.iter().filter(|(key, _)| SERVER_METADATA.binary_search(key).is_err()) {
            let excluded = reset.and_then(|reset| reset.field(key));
            if !excluded.is_some_and(|entry| entry.member) {
                let (below, _) = self.topology.member_or_deduced(node, key);
                self.member(below, key, (None, value), excluded.map(|entry| &entry.children));
            }
        }
    }

    fn member(&mut self, node: Node<'s>, key: &str, values: (Option<&Value>, &Value), reset: Option<&FieldSet>) {
        let (zero, new) = values;
        let reset = reset.filter(|reset| !reset.is_empty());
        if let (None, Some(reset)) = (zero, reset) {
            // Rare enough to go through a set.
            let mark = self.writer.begin_field(key, true);
            self.writer.set(&self.topology.everything(node, new).without(reset));
            self.writer.end(mark);
            return;
        }
        let Some(zero) = zero else {
            let mark = self.writer.begin_field(key, true);
            self.everything(node, new);
            self.writer.end(mark);
            return;
        };
        if is_leaf(node, new) || is_leaf(node, zero) || (is_hollow(zero) && is_hollow(new)) {
            if !super::order::equal(zero, new) {
                let mark = self.writer.begin_field(key, true);
                self.writer.end(mark);
            }
            return;
        }
        let mark = self.writer.begin_field(key, false);
        match (new, reset) {
            (Value::Map(new), _) => {
                for (key, value) in new.iter() {
                    let excluded = reset.and_then(|reset| reset.field(key));
                    if !excluded.is_some_and(|entry| entry.member) {
                        let (below, _) = self.topology.member_or_deduced(node, key);
                        self.member(below, key, (zero.get(key), value), excluded.map(|entry| &entry.children));
                    }
                }
            }
            (_, None) => self.everything(node, new),
            (_, Some(reset)) => self.writer.set(&self.topology.everything(node, new).without(reset)),
        }
        self.writer.end(mark);
    }

    /// Every field and item below `value`, as [`Topology::everything`].
    fn everything(&mut self, node: Node<'s>, value: &Value) {
        match (node, value) {
            (Node::Struct(_) | Node::Map(_) | Node::Deduced, Value::Map(map)) => {
                for (key, value) in map.iter() {
                    let (below, _) = self.topology.member_or_deduced(node, key);
                    let mark = self.writer.begin_field(key, true);
                    self.everything(below, value);
                    self.writer.end(mark);
                }
            }
            (Node::Keyed { .. } | Node::Set(_), Value::List(items)) => {
                let below = self.topology.item(node);
                for group in self.topology.sorted_items(node, items).chunk_by(same_element) {
                    let mark = self.writer.begin(&group[0].0, true);
                    if let [(_, only)] = group {
                        self.everything(below, only);
                    }
                    self.writer.end(mark);
                }
            }
            _ => {}
        }
    }
}

impl ResetFields {
    /// The excluded paths, when that is all there is to it.
    pub(super) fn plainly_excluded(&self, api_version: &str) -> Option<&FieldSet> {
        const NONE: &FieldSet = &FieldSet::new();
        match self.of(api_version) {
            None => Some(NONE),
            Some(super::filter::Filter::Except(set)) => Some(set),
            Some(super::filter::Filter::Only(_)) => None,
        }
    }
}
