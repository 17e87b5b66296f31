//! How values compare, order and print where ownership is concerned: numbers by amount, whatever their spelling.

use std::cmp::Ordering;
use std::fmt;

use object::{Map, Value};

/// Whether two values are the same to an owner: `1` and `1.0` are, `null` and absence are not.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(int), Value::Float(float)) | (Value::Float(float), Value::Int(int)) => as_float(*int) == *float,
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len()
                && left.iter().zip(right.iter()).all(|((lk, lv), (rk, rv))| lk == rk && equal(lv, rv))
        }
        _ => left == right,
    }
}

/// A total order: numbers, text, truth values, lists, maps, null.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Int(left), Value::Float(right)) => as_float(*left).total_cmp(right),
        (Value::Float(left), Value::Int(right)) => left.total_cmp(&as_float(*right)),
        (Value::Float(left), Value::Float(right)) => left.total_cmp(right),
        (Value::String(left), Value::String(right)) => left.as_str().cmp(right.as_str()),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::List(left), Value::List(right)) => {
            let mut differing = left.iter().zip(right).map(|(left, right)| compare(left, right));
            differing.find(|order| order.is_ne()).unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Value::Map(left), Value::Map(right)) => compare_maps(left, right),
        (Value::Raw(left), Value::Raw(right)) => left.bytes().cmp(right.bytes()),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn compare_maps(left: &Map, right: &Map) -> Ordering {
    let mut differing =
        left.iter().zip(right.iter()).map(|((lk, lv), (rk, rv))| lk.cmp(rk).then_with(|| compare(lv, rv)));
    differing.find(|order| order.is_ne()).unwrap_or_else(|| left.len().cmp(&right.len()))
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Int(_) | Value::Float(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::List(_) => 3,
        Value::Map(_) => 4,
        Value::Raw(_) => 5,
        Value::Null => 6,
    }
}

#[expect(clippy::cast_precision_loss, reason = "as in upstream, a number that meets a float is compared as one")]
fn as_float(number: i64) -> f64 {
    number as f64
}

/// A value inside a path.
pub(super) struct Shown<'v>(pub(super) &'v Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(flag) => write!(f, "{flag}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Float(number) => write!(f, "{number}"),
            Value::String(text) => write!(f, "{:?}", text.as_str()),
            Value::Raw(raw) => f.write_str(&String::from_utf8_lossy(raw.bytes())),
            Value::List(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if at > 0 { "," } else { "" }, Shown(item))?;
                }
                f.write_str("]")
            }
            Value::Map(map) => map.iter().try_for_each(|(key, value)| write!(f, "{key}={}", Shown(value))),
        }
    }
}
