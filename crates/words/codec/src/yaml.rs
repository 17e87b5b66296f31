//! YAML as Go's `sigs.k8s.io/yaml` reads it: turned into JSON first, then read like JSON.

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use object::{MapBuilder, Text, Value};

use crate::{DEPTH_MAX, DecodeError, Decoded, Root, json};

/// Reads an object of the type `root` from one YAML document.
pub fn decode(text: &[u8], root: Root<'_>) -> Result<Decoded, DecodeError> {
    json::decode(&to_json(text)?, root)
}

/// The JSON text of one YAML document. JSON passes through unchanged, since it is YAML already.
pub fn to_json(text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let starts = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if starts == Some(&b'{') && json::check(text).is_ok() {
        return Ok(text.to_vec());
    }
    let value = parse(text)?;
    let mut out = Vec::with_capacity(text.len());
    json::write(&value, &mut out);
    Ok(out)
}

/// Reads one YAML document without a schema.
pub fn parse(text: &[u8]) -> Result<Value, DecodeError> {
    let text = std::str::from_utf8(text).map_err(|_not_utf8| syntax("yaml: invalid leading UTF-8 octet"))?;
    let mut found = Value::Null;
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        found = Node { depth_left: DEPTH_MAX }.deserialize(deserializer)?;
        Ok(())
    })
    .map_err(|problem| syntax(&format!("error converting YAML to JSON: yaml: {problem}")))?;
    Ok(found)
}

/// The YAML text of an object, keys sorted, as `sigs.k8s.io/yaml` writes it.
pub fn encode(value: &Value) -> Result<String, DecodeError> {
    // Long lines stay lines: folded ones are no longer found by those who read line by line.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(&Written(value), options).map_err(|problem| syntax(&problem.to_string()))
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { legacy_octal_numbers: true }
}

fn syntax(problem: &str) -> DecodeError {
    DecodeError::Syntax(problem.to_owned())
}

/// Reads any node; numbers keep Go's habits (whole floats are integers to whoever wants one).
#[derive(Clone, Copy)]
struct Node {
    depth_left: usize,
}

impl Node {
    fn inner<E: de::Error>(self) -> Result<Node, E> {
        let depth_left = self.depth_left.checked_sub(1).ok_or_else(|| E::custom("exceeded max depth"))?;
        Ok(Node { depth_left })
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        match value {
            // As in JSON: `-0` would be written, which is an integer, and integers have no such zero.
            0.0 => Ok(Value::Int(0)),
            value if value.is_finite() => Ok(Value::Float(value)),
            _ => Err(E::custom("JSON has no infinite numbers")),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let node = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(node)? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let node = self.inner()?;
        let mut members = MapBuilder::default();
        while let Some(key) = entries.next_key_seed(node)? {
            let value = entries.next_value_seed(node)?;
            members.push(key_text::<A::Error>(&key)?, value);
        }
        Ok(Value::Map(members.finish().0))
    }
}

/// JSON keys are text; scalars of other types are written as upstream writes them.
fn key_text<E: de::Error>(key: &Value) -> Result<Text, E> {
    match key {
        Value::String(text) => Ok(text.clone()),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
            let mut text = Vec::new();
            json::write(key, &mut text);
            Ok(String::from_utf8_lossy(&text).as_ref().into())
        }
        other => Err(E::custom(format!("a map key may not be of type {}", other.type_name()))),
    }
}

/// A tree as serde wants to write it.
struct Written<'a>(&'a Value);

impl serde::Serialize for Written<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Raw(raw) => match json::parse(raw.bytes()) {
                Ok(value) => Written(&value).serialize(serializer),
                Err(problem) => Err(serde::ser::Error::custom(problem)),
            },
            Value::List(items) => serializer.collect_seq(items.iter().map(Written)),
            Value::Map(map) => serializer.collect_map(map.iter().map(|(key, value)| (key, Written(value)))),
        }
    }
}
