//! One step of a field path: a field, the keys of a list item, the value of a set item, or an index.

use std::cmp::Ordering;
use std::fmt;

use object::{Text, Value};

use super::order;

/// One step of a path within a [`FieldSet`](super::FieldSet).
#[derive(Debug, Clone)]
pub enum Element {
    /// A field of a struct or a key of a map.
    Field(Text),
    /// The item of a list that has these keys, which are sorted by name.
    Key(Box<[(Text, Value)]>),
    /// The item of a set.
    Value(Box<Value>),
    /// A place in a list.
    Index(i64),
}

impl Element {
    /// A field or map key.
    pub fn field(name: &str) -> Element {
        Element::Field(name.into())
    }

    /// The item with the keys `keys`, given in any order.
    pub fn keys<K: Into<Text>, V: Into<Value>>(keys: impl IntoIterator<Item = (K, V)>) -> Element {
        let mut keys: Vec<(Text, Value)> = keys.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        keys.sort_by(|left, right| left.0.cmp(&right.0));
        Element::Key(keys.into())
    }

    /// Whether this is one of the fields `names`.
    pub(super) fn is_field_of(&self, names: &[&str]) -> bool {
        matches!(self, Element::Field(name) if names.contains(&name.as_str()))
    }

    /// Upstream's order: fields, keys, values, indices; each by content.
    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        }
    }
}

impl Ord for Element {
    fn cmp(&self, other: &Element) -> Ordering {
        match (self, other) {
            (Element::Field(left), Element::Field(right)) => left.as_str().cmp(right.as_str()),
            (Element::Key(left), Element::Key(right)) => compare_keys(left, right),
            (Element::Value(left), Element::Value(right)) => order::compare(left, right),
            (Element::Index(left), Element::Index(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Element) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Element) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element {}

fn compare_keys(left: &[(Text, Value)], right: &[(Text, Value)]) -> Ordering {
    let pairs = left.iter().zip(right);
    let differing = pairs
        .map(|((ln, lv), (rn, rv))| ln.as_str().cmp(rn.as_str()).then_with(|| order::compare(lv, rv)))
        .find(|order| *order != Ordering::Equal);
    differing.unwrap_or_else(|| left.len().cmp(&right.len()))
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(keys) => {
                f.write_str("[")?;
                for (at, (name, value)) in keys.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={}", order::Shown(value))?;
                }
                f.write_str("]")
            }
            Element::Value(value) => write!(f, "[={}]", order::Shown(value)),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path, written as upstream does: `.spec.containers[name="web"].image`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub Vec<Element>);

impl FieldPath {
    /// The path through the struct fields `fields`, such as `spec.replicas`.
    pub fn of(fields: &str) -> FieldPath {
        FieldPath(fields.split('.').filter(|name| !name.is_empty()).map(Element::field).collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| write!(f, "{element}"))
    }
}
