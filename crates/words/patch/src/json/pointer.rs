//! JSON pointers (RFC 6901): the container a pointer leads to, and the member or index within it.

use object::{Map, Value};

/// Where a pointer leads: a member of a map or a slot of a list.
pub(super) struct Place<'d> {
    container: Container<'d>,
    key: String,
}

enum Container<'d> {
    Map(&'d mut Map),
    List(&'d mut Vec<Value>),
}

impl<'d> Place<'d> {
    /// Follows `pointer` to its last step, which need not exist.
    pub(super) fn find(document: &'d mut Value, pointer: &str) -> Option<Place<'d>> {
        let mut steps = pointer.split('/').skip(1).peekable();
        let mut node = document;
        loop {
            let key = unescape(steps.next()?);
            expand(node);
            if steps.peek().is_none() {
                let container = match node {
                    Value::Map(map) => Container::Map(map),
                    Value::List(items) => Container::List(items),
                    _ => return None,
                };
                return Some(Place { container, key });
            }
            node = match node {
                Value::Map(map) => map.get_mut(&key)?,
                Value::List(items) => {
                    let at = existing(&key, items.len()).ok()?;
                    &mut items[at]
                }
                _ => return None,
            };
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// What stands here; nothing when a map lacks the member, an error when a list lacks the slot.
    pub(super) fn get(&mut self) -> Result<Option<&Value>, String> {
        match &self.container {
            Container::Map(map) => Ok(map.get(&self.key)),
            Container::List(items) => Ok(Some(&items[existing(&self.key, items.len())?])),
        }
    }

    /// Sets a member, or overwrites a slot.
    pub(super) fn set(self, value: Value) -> Result<(), String> {
        match self.container {
            Container::Map(map) => drop(map.insert(self.key, value)),
            Container::List(items) => {
                let at = existing(&self.key, items.len())?;
                items[at] = value;
            }
        }
        Ok(())
    }

    /// Sets a member, or pushes the slots from here on one further; `-` is the end.
    pub(super) fn add(self, value: Value) -> Result<(), String> {
        match self.container {
            Container::Map(map) => drop(map.insert(self.key, value)),
            Container::List(items) if self.key == "-" => items.push(value),
            Container::List(items) => {
                let parsed =
                    index(&self.key).map_err(|e| format!("value was not a proper array index: '{}': {e}", self.key))?;
                items.insert(in_range(parsed, items.len() + 1)?, value);
            }
        }
        Ok(())
    }

    /// Takes the member or slot away.
    pub(super) fn remove(self) -> Result<(), String> {
        match self.container {
            Container::Map(map) => match map.remove(&self.key) {
                Some(_) => Ok(()),
                None => Err(format!("Unable to remove nonexistent key: {}: missing value", self.key)),
            },
            Container::List(items) => {
                items.remove(existing(&self.key, items.len())?);
                Ok(())
            }
        }
    }
}

/// Whether two values are the same JSON, whether or not one of them holds unread text.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Raw(left), Value::Raw(right)) if left == right => true,
        (Value::Raw(raw), other) | (other, Value::Raw(raw)) => match codec::json::parse(raw.bytes()) {
            Ok(read) => same(&read, other),
            Err(_) => false,
        },
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len()
                && left.iter().zip(right.iter()).all(|((lk, lv), (rk, rv))| lk == rk && same(lv, rv))
        }
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        _ => left == right,
    }
}

/// Unread text that a pointer leads into becomes a tree.
fn expand(node: &mut Value) {
    if let Value::Raw(raw) = node
        && let Ok(read) = codec::json::parse(raw.bytes())
    {
        *node = read;
    }
}

fn existing(key: &str, len: usize) -> Result<usize, String> {
    in_range(index(key)?, len)
}

/// An index among `len` slots, counted from the end when negative.
fn in_range(index: i64, len: usize) -> Result<usize, String> {
    let signed = i64::try_from(len).unwrap_or(i64::MAX);
    let from_start = if index < 0 { index + signed } else { index };
    match usize::try_from(from_start) {
        Ok(at) if at < len => Ok(at),
        _ => Err(format!("Unable to access invalid index: {index}: invalid index referenced")),
    }
}

/// A decimal number as Go's `strconv.Atoi` reads it.
fn index(key: &str) -> Result<i64, String> {
    key.parse::<i64>().map_err(|e| {
        let problem = match e.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {key:?}: {problem}")
    })
}

fn unescape(step: &str) -> String {
    let mut out = String::with_capacity(step.len());
    let mut rest = step;
    while let Some(at) = rest.find('~') {
        out.push_str(&rest[..at]);
        let (text, len) = match rest.as_bytes().get(at + 1) {
            Some(b'1') => ("/", 2),
            Some(b'0') => ("~", 2),
            _ => ("~", 1),
        };
        out.push_str(text);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}
