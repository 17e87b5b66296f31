//! Trees to JSON text, byte for byte as Go writes it.

use std::io::Write as _;

use object::schema::{Schema, Shape, TypeId};
use object::{Map, Value};

use crate::Root;

/// The JSON text of an object, fields in the order of its type. Upstream ends response bodies with a newline; this
/// does not add it.
pub fn encode(value: &Value, root: Root<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    encode_shape(value, root.schema, &Shape::Struct(root.id), &mut out);
    out
}

/// Appends the JSON text of a value of the given shape.
pub fn encode_shape(value: &Value, schema: &Schema, shape: &Shape, out: &mut Vec<u8>) {
    match (value, shape) {
        (
            Value::Map(map),
            Shape::Struct(id) | Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id),
        ) => {
            encode_struct(map, schema, *id, out);
        }
        (Value::Map(map), Shape::Map(inner)) => members(map.iter(), out, |value, out| {
            encode_shape(value, schema, inner, out);
        }),
        (Value::List(items), Shape::List(inner)) => elements(items, out, |item, out| {
            encode_shape(item, schema, inner, out);
        }),
        (Value::List(items), Shape::SchemaOrArray(id)) => elements(items, out, |item, out| {
            encode_shape(item, schema, &Shape::Struct(*id), out);
        }),
        _ => write(value, out),
    }
}

/// Appends the JSON text of a value of no particular type, keys sorted.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => append(out, format_args!("{number}")),
        Value::Float(number) => write_float(*number, out),
        Value::String(text) => write_string(text, out),
        Value::Raw(raw) => out.extend_from_slice(raw.bytes()),
        Value::List(items) => elements(items, out, write),
        Value::Map(map) => members(map.iter(), out, write),
    }
}

/// Appends `text` as a JSON string with Go's escapes, which are safe inside HTML.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let separator = byte == 0xe2 && matches!(bytes.get(at + 1..at + 3), Some([0x80, 0xa8 | 0xa9]));
        if byte >= 0x20 && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&') && !separator {
            at += 1;
            continue;
        }
        out.extend_from_slice(&bytes[start..at]);
        if separator {
            append(out, format_args!("\\u202{:x}", bytes[at + 2] & 0xf));
            at += 3;
        } else {
            write_escape(byte, out);
            at += 1;
        }
        start = at;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// Compact JSON text set out over lines, two spaces a level, as `?pretty=true` answers.
pub fn pretty(compact: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let newline = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', depth * 2));
    };
    for (at, byte) in compact.iter().copied().enumerate() {
        if in_string {
            out.push(byte);
            in_string = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                if !matches!(compact.get(at + 1), Some(b'}' | b']')) {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            b'}' | b']' => {
                if !matches!(compact.get(at.wrapping_sub(1)), Some(b'{' | b'[')) {
                    depth = depth.saturating_sub(1);
                    newline(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                newline(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => {
                in_string = byte == b'"';
                out.push(byte);
            }
        }
    }
    out
}

fn encode_struct(map: &Map, schema: &Schema, id: TypeId, out: &mut Vec<u8>) {
    // Members in the order of the type; names that the type does not know (there are none in canonical trees) last.
    let mut ordered: Vec<(usize, &str, &Value, Option<&Shape>)> = map
        .iter()
        .map(|(name, value)| match schema.member(id, name) {
            Some((position, field)) => (position, name, value, Some(&field.shape)),
            None => (usize::MAX, name, value, None),
        })
        .collect();
    ordered.sort_by_key(|(position, ..)| *position);
    out.push(b'{');
    for (at, (_, name, value, shape)) in ordered.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        match shape {
            Some(shape) => encode_shape(value, schema, shape, out),
            None => write(value, out),
        }
    }
    out.push(b'}');
}

fn members<'a>(
    map: impl Iterator<Item = (&'a str, &'a Value)>,
    out: &mut Vec<u8>,
    mut each: impl FnMut(&Value, &mut Vec<u8>),
) {
    out.push(b'{');
    for (at, (name, value)) in map.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        each(value, out);
    }
    out.push(b'}');
}

fn elements(items: &[Value], out: &mut Vec<u8>, mut each: impl FnMut(&Value, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(b']');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        other => append(out, format_args!("\\u{other:04x}")),
    }
}

/// Go's shortest form: plain digits between 1e-6 and 1e21, an exponent beyond.
fn write_float(number: f64, out: &mut Vec<u8>) {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        append(out, format_args!("{mantissa}e{sign}{exponent}"));
    } else {
        append(out, format_args!("{number}"));
    }
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory cannot fail");
}
