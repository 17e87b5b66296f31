//! Trees to protobuf messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object::schema::{Field, Shape, TypeId};
use object::{Map, Value, timestamp};

use super::wire::Writer;
use crate::{Root, json};

/// The message of `value`, without an envelope.
pub fn encode(value: &Value, root: Root<'_>) -> Vec<u8> {
    let mut out = Writer::with_capacity(512);
    write(value, root, &mut out);
    out.finish()
}

pub(super) fn write(value: &Value, root: Root<'_>, out: &mut Writer) {
    let empty = Map::new();
    let map = value.as_map().unwrap_or(&empty);
    write_struct(map, root, root.id, out);
}

fn write_struct(map: &Map, root: Root<'_>, id: TypeId, out: &mut Writer) {
    for field in root.schema.numbered(id).rev() {
        match &field.shape {
            Shape::Struct(inner) if field.name.is_empty() => {
                out.message(field.number, |out| write_struct(map, root, *inner, out));
            }
            _ => write_field(map.get(&field.name).unwrap_or(&Value::Null), field, root, out),
        }
    }
}

fn write_field(value: &Value, field: &Field, root: Root<'_>, out: &mut Writer) {
    match (&field.shape, value) {
        (_, Value::Null) if field.pointer => {}
        (Shape::List(inner), Value::List(items)) => {
            for item in items.iter().rev() {
                write_one(item, field.number, inner, root, out);
            }
        }
        (Shape::Map(inner), Value::Map(map)) => {
            for (key, value) in map.iter().rev() {
                out.message(field.number, |out| {
                    write_one(value, 2, inner, root, out);
                    out.bytes_field(1, key.as_bytes());
                });
            }
        }
        (Shape::List(_) | Shape::Map(_), _) => {}
        (shape, value) => write_one(value, field.number, shape, root, out),
    }
}

/// One value; `null` is the shape's zero value here, which Go writes for everything but nil bytes.
fn write_one(value: &Value, number: u32, shape: &Shape, root: Root<'_>, out: &mut Writer) {
    match shape {
        Shape::String | Shape::Duration => out.bytes_field(number, value.as_str().unwrap_or_default().as_bytes()),
        Shape::Bool => out.varint_field(number, u64::from(value.as_bool().unwrap_or(false))),
        Shape::Int32 | Shape::Int64 => out.varint_field(number, value.as_int().unwrap_or(0).cast_unsigned()),
        Shape::Double => out.double_field(number, double(value)),
        Shape::Bytes => {
            if let Some(bytes) = value.as_str().and_then(|text| STANDARD.decode(text).ok()) {
                out.bytes_field(number, &bytes);
            }
        }
        Shape::Time | Shape::MicroTime => out.message(number, |out| write_time(value, shape, out)),
        Shape::Quantity => {
            let text = value.as_str().unwrap_or("0");
            out.message(number, |out| out.bytes_field(1, text.as_bytes()));
        }
        Shape::IntOrString => out.message(number, |out| {
            let text = value.as_str();
            out.bytes_field(3, text.unwrap_or_default().as_bytes());
            out.varint_field(2, value.as_int().unwrap_or(0).cast_unsigned());
            out.varint_field(1, u64::from(text.is_some()));
        }),
        Shape::Fields | Shape::RawObject | Shape::Json | Shape::Any => {
            out.message(number, |out| write_json(value, out))
        }
        Shape::StringList => out.message(number, |out| {
            for item in value.as_list().unwrap_or_default().iter().rev() {
                out.bytes_field(1, item.as_str().unwrap_or_default().as_bytes());
            }
        }),
        Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id) => {
            out.message(number, |out| write_schema_or(value, shape, *id, root, out));
        }
        Shape::Struct(id) => out.message(number, |out| match value {
            Value::Map(map) => write_struct(map, root, *id, out),
            _ => write_struct(&Map::new(), root, *id, out),
        }),
        // Lists of lists and maps of maps have no protobuf form, and the table holds none.
        Shape::List(_) | Shape::Map(_) => {}
    }
}

fn write_time(value: &Value, shape: &Shape, out: &mut Writer) {
    let Some(time) = value.as_str().and_then(timestamp::parse) else { return };
    let nanos = if *shape == Shape::MicroTime { time.subsec_nanosecond() / 1000 * 1000 } else { 0 };
    out.varint_field(2, i64::from(nanos).cast_unsigned());
    out.varint_field(1, time.as_second().cast_unsigned());
}

fn write_json(value: &Value, out: &mut Writer) {
    match value {
        Value::Null => {}
        Value::Raw(raw) => out.bytes_field(1, raw.bytes()),
        _ => {
            let mut text = Vec::new();
            json::write(value, &mut text);
            out.bytes_field(1, &text);
        }
    }
}

/// The three unions of `JSONSchemaProps`, whose messages name each alternative.
fn write_schema_or(value: &Value, shape: &Shape, id: TypeId, root: Root<'_>, out: &mut Writer) {
    let (schema_number, list_number) = if matches!(shape, Shape::SchemaOrBool(_)) { (2, 0) } else { (1, 2) };
    for item in value.as_list().unwrap_or_default().iter().rev() {
        let item_shape = if matches!(shape, Shape::SchemaOrArray(_)) { Shape::Struct(id) } else { Shape::String };
        write_one(item, list_number, &item_shape, root, out);
    }
    if let Value::Map(map) = value {
        out.message(schema_number, |out| write_struct(map, root, id, out));
    }
    if matches!(shape, Shape::SchemaOrBool(_)) {
        // A schema allows what it describes.
        let allows = value.as_bool().unwrap_or(matches!(value, Value::Map(_)));
        out.varint_field(1, u64::from(allows));
    }
}

fn double(value: &Value) -> f64 {
    match value {
        Value::Float(number) => *number,
        // Integers in a floating-point field come from patches; beyond 2^53 they lose digits, as in Go.
        Value::Int(number) => *number as f64,
        _ => 0.0,
    }
}
