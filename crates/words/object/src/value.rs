//! The tree.

use bytes::Bytes;

use crate::{Map, Text};

/// One node of an object's tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value {
    /// JSON `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that fits a signed 64-bit integer.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text; quantities, times and base64 bytes are text in their canonical form.
    String(Text),
    /// JSON that nobody needs to look into, such as the field sets of `managedFields`.
    Raw(RawJson),
    /// An ordered list.
    List(Vec<Value>),
    /// A struct or a map; sorted by key.
    Map(Map),
}

/// Compact, valid JSON text, shared and never parsed on the way through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson(Bytes);

impl RawJson {
    /// Wraps text that the caller has checked to be compact, valid JSON.
    pub fn from_checked(text: Bytes) -> RawJson {
        RawJson(text)
    }

    /// The JSON text.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Value {
    /// An empty struct or map.
    pub fn map() -> Value {
        Value::Map(Map::new())
    }

    /// A map from key-value pairs; a later pair with the same key wins.
    pub fn from_pairs<K: Into<Text>, V: Into<Value>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
        Value::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// What JSON calls this: `object`, `array`, `string`, `number`, `bool`, `null`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Float(_) => "number",
            Value::String(_) => "string",
            Value::List(_) => "array",
            Value::Map(_) | Value::Raw(_) => "object",
        }
    }

    /// The member `key`, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// The member `key`, for changing.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.as_map_mut()?.get_mut(key)
    }

    /// The node reached by following `keys` through maps.
    pub fn at(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The node reached by following `keys` through maps, for changing.
    pub fn at_mut(&mut self, keys: &[&str]) -> Option<&mut Value> {
        keys.iter().try_fold(self, |value, key| value.get_mut(key))
    }

    /// The text at `keys`.
    pub fn str_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys)?.as_str()
    }

    /// The integer at `keys`.
    pub fn int_at(&self, keys: &[&str]) -> Option<i64> {
        self.at(keys)?.as_int()
    }

    /// The list at `keys`; empty when there is none.
    pub fn list_at(&self, keys: &[&str]) -> &[Value] {
        self.at(keys).and_then(Value::as_list).unwrap_or_default()
    }

    /// Puts `value` at `keys`, making the maps on the way; what stood in the way of a map is replaced by one.
    pub fn set(&mut self, keys: &[&str], value: impl Into<Value>) {
        match keys {
            [] => *self = value.into(),
            [key, rest @ ..] => {
                if !matches!(self, Value::Map(_)) {
                    *self = Value::map();
                }
                if let Value::Map(map) = self {
                    map.entry(key).set(rest, value);
                }
            }
        }
    }

    /// Takes away the member at `keys`, if it is there.
    pub fn remove(&mut self, keys: &[&str]) -> Option<Value> {
        let (last, path) = keys.split_last()?;
        self.at_mut(path)?.as_map_mut()?.remove(last)
    }

    /// The boolean here.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer here.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The text here.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The list here.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The list here, for changing.
    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The map here.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The map here, for changing.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Value {
        Value::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(map)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
