//! What one write changed, as field sets (upstream's `Compare`).

use object::{Map, Value};

use super::element::Element;
use super::extract::{is_leaf, same_element};
use super::order::equal;
use super::set::FieldSet;
use super::topology::{Node, Topology};

/// The fields that differ between two objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Diff {
    /// Fields that are new or have another value.
    pub(super) changed: FieldSet,
    /// Fields that are gone.
    pub(super) removed: FieldSet,
}

impl Diff {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    fn push(&mut self, element: impl Fn() -> Element, part: Part) {
        if part.is_changed || !part.below.changed.is_empty() {
            self.changed.push(element(), part.is_changed, part.below.changed);
        }
        if part.is_removed || !part.below.removed.is_empty() {
            self.removed.push(element(), part.is_removed, part.below.removed);
        }
    }
}

/// What happened to one element and below it.
#[derive(Debug, Default)]
struct Part {
    is_changed: bool,
    is_removed: bool,
    below: Diff,
}

impl Part {
    fn added(below: FieldSet) -> Part {
        Part { is_changed: true, is_removed: false, below: Diff { changed: below, removed: FieldSet::new() } }
    }

    fn removed(below: FieldSet) -> Part {
        Part { is_changed: false, is_removed: true, below: Diff { changed: FieldSet::new(), removed: below } }
    }
}

impl<'s> Topology<'s> {
    /// Compares two objects; `metadata.managedFields` is passed over.
    pub(super) fn diff(self, root: Node<'s>, old: &Value, new: &Value) -> Diff {
        match (old, new) {
            (Value::Map(old), Value::Map(new)) => {
                self.diff_maps(root, old, new, |topology, node, key, old, new| match (key, old, new) {
                    ("metadata", Some(Value::Map(old)), Some(Value::Map(new))) => Part {
                        below: topology.diff_maps(node, old, new, |topology, node, key, old, new| {
                            if key == "managedFields" { Part::default() } else { topology.part(node, old, new) }
                        }),
                        ..Part::default()
                    },
                    _ => topology.part(node, old, new),
                })
            }
            _ => Diff::default(),
        }
    }

    fn part(self, node: Node<'s>, old: Option<&Value>, new: Option<&Value>) -> Part {
        match (old, new) {
            (Some(old), Some(new)) => self.compared(node, old, new),
            (None, Some(new)) => Part::added(self.everything(node, new)),
            (Some(old), None) => Part::removed(self.everything(node, old)),
            (None, None) => Part::default(),
        }
    }

    fn compared(self, node: Node<'s>, old: &Value, new: &Value) -> Part {
        let leaf = || Part { is_changed: !equal(old, new), ..Part::default() };
        match (node, old, new) {
            (Node::Scalar(_) | Node::Atomic(_), ..) => leaf(),
            _ if is_hollow(old) && is_hollow(new) => leaf(),
            (Node::Struct(_) | Node::Map(_) | Node::Deduced, Value::Map(old), Value::Map(new)) => {
                let below = self.diff_maps(node, old, new, |topology, node, _, old, new| topology.part(node, old, new));
                Part { below, ..Part::default() }
            }
            (Node::Keyed { .. } | Node::Set(_), Value::List(old), Value::List(new)) => {
                Part { below: self.diff_lists(node, old, new), ..Part::default() }
            }
            // `null` stands for an empty struct, map or list.
            (_, Value::Null, full) if !is_leaf(node, full) => {
                Part { below: Diff { changed: self.everything(node, full), ..Diff::default() }, ..Part::default() }
            }
            (_, full, Value::Null) if !is_leaf(node, full) => {
                Part { below: Diff { removed: self.everything(node, full), ..Diff::default() }, ..Part::default() }
            }
            // What is not of one form any more: the one form goes, the other comes.
            (Node::Deduced, ..) => Part {
                is_changed: !equal(old, new),
                is_removed: false,
                below: Diff { changed: self.everything(node, new), removed: self.everything(node, old) },
            },
            _ => leaf(),
        }
    }

    fn diff_maps(
        self,
        node: Node<'s>,
        old: &Map,
        new: &Map,
        part: impl Fn(Self, Node<'s>, &str, Option<&Value>, Option<&Value>) -> Part,
    ) -> Diff {
        let mut diff = Diff::default();
        let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return diff,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((old, _)), Some((new, _))) => (*old).cmp(*new),
            };
            let old = if order.is_le() { olds.next() } else { None };
            let new = if order.is_ge() { news.next() } else { None };
            let Some((key, _)) = old.or(new) else { return diff };
            let (old, new) = (old.map(|(_, value)| value), new.map(|(_, value)| value));
            let (below, _) = self.member_or_deduced(node, key);
            diff.push(|| Element::field(key), part(self, below, key, old, new));
        }
    }

    fn diff_lists(self, node: Node<'s>, old: &[Value], new: &[Value]) -> Diff {
        // The common case first: the same items in the same places, most of them untouched.
        let aligned = old.len() == new.len() && old.iter().zip(new).all(|(old, new)| self.same_item(node, old, new));
        if aligned && old.iter().zip(new).all(|(old, new)| equal(old, new)) {
            return Diff::default();
        }
        let (olds, news) = (self.sorted_items(node, old), self.sorted_items(node, new));
        let mut olds = olds.chunk_by(same_element).peekable();
        let mut news = news.chunk_by(same_element).peekable();
        let mut diff = Diff::default();
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return diff,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(old), Some(new)) => old[0].0.cmp(&new[0].0),
            };
            let old = if order.is_le() { olds.next() } else { None };
            let new = if order.is_ge() { news.next() } else { None };
            let Some([(element, _), ..]) = old.or(new) else { return diff };
            let part = self.group_part(node, old.unwrap_or_default(), new.unwrap_or_default());
            diff.push(|| element.clone(), part);
        }
    }

    /// Items that nothing tells apart are compared as one value, and owned as one.
    fn group_part(self, node: Node<'s>, old: &[(Element, &Value)], new: &[(Element, &Value)]) -> Part {
        let below = self.item(node);
        match (old, new) {
            ([] | [_], [] | [_]) => self.part(below, first(old), first(new)),
            ([_, _, ..], [_, _, ..]) => {
                let same = old.len() == new.len() && old.iter().zip(new).all(|((_, old), (_, new))| equal(old, new));
                Part { is_changed: !same, ..Part::default() }
            }
            ([_, _, ..], _) => {
                let mut part = self.part(below, None, first(new));
                part.is_removed = true;
                part
            }
            _ => {
                let mut part = self.part(below, first(old), None);
                part.is_changed = true;
                part
            }
        }
    }
}

fn first<'v>(items: &[(Element, &'v Value)]) -> Option<&'v Value> {
    items.first().map(|(_, item)| *item)
}

/// Whether a value is empty: nothing in it can be owned apart from itself.
pub(super) fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Map(map) => map.is_empty(),
        Value::List(items) => items.is_empty(),
        _ => false,
    }
}
