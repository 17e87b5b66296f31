//! Protobuf messages to canonical trees.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use object::schema::{Field, Schema, Shape, TypeId};
use object::{MapBuilder, RawJson, Text, Value, timestamp};

use super::wire::{Payload, Reader};
use crate::{DEPTH_MAX, DecodeError, Decoded, Root, json, zero};

/// Reads a message of the type `root`.
pub fn decode(message: &[u8], root: Root<'_>) -> Result<Decoded, DecodeError> {
    let decoder = Decoder { schema: root.schema };
    let value = decoder.structure(message, root.id, DEPTH_MAX)?;
    Ok(Decoded { value, strict_problems: Vec::new() })
}

struct Decoder<'s> {
    schema: &'s Schema,
}

/// The members of a struct as they come: lists and maps grow, anything else is replaced. There is one entry per field,
/// however often a message names it, so that time and memory stay in proportion to the message.
#[derive(Default)]
struct Members<'s> {
    found: Vec<(&'s Field, Gathered)>,
}

enum Gathered {
    One(Value),
    List(Vec<Value>),
    Map(MapBuilder),
}

impl<'s> Decoder<'s> {
    fn structure(&self, message: &[u8], id: TypeId, depth_left: usize) -> Result<Value, DecodeError> {
        let mut members = Members::default();
        self.gather(message, id, &mut members, depth_left)?;
        let mut builder = MapBuilder::with_capacity(members.found.len());
        for (field, gathered) in members.found {
            let value = match gathered {
                Gathered::One(value) => value,
                Gathered::List(items) => Value::List(items),
                Gathered::Map(entries) => Value::Map(entries.finish().0),
            };
            if !zero::is_omitted(field, &value) {
                builder.push(field.name.clone(), value);
            }
        }
        let mut map = builder.finish().0;
        zero::complete(self.schema, id, &mut map);
        Ok(Value::Map(map))
    }

    fn gather(
        &self,
        message: &[u8],
        id: TypeId,
        members: &mut Members<'s>,
        depth_left: usize,
    ) -> Result<(), DecodeError> {
        let depth_left = depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let mut reader = Reader::new(message);
        while let Some((number, payload)) = reader.field()? {
            let Some(field) = self.schema.field_numbered(id, number) else { continue };
            match &field.shape {
                Shape::Struct(inner) if field.name.is_empty() => {
                    self.gather(payload.bytes()?, *inner, members, depth_left)?;
                }
                Shape::List(inner) => {
                    let item = self.one(payload, inner, depth_left)?;
                    members.list(field).push(item);
                }
                Shape::Map(inner) => {
                    let (key, value) = self.entry(payload.bytes()?, inner, depth_left)?;
                    members.map(field).push(key, value);
                }
                shape => {
                    let value = self.one(payload, shape, depth_left)?;
                    members.one(field, value);
                }
            }
        }
        Ok(())
    }

    fn entry(&self, message: &[u8], shape: &Shape, depth_left: usize) -> Result<(Text, Value), DecodeError> {
        let (mut key, mut value) = (Text::default(), zero::of_shape(self.schema, shape));
        let mut reader = Reader::new(message);
        while let Some((number, payload)) = reader.field()? {
            match number {
                1 => key = payload.text()?.into(),
                2 => value = self.one(payload, shape, depth_left)?,
                _ => {}
            }
        }
        Ok((key, value))
    }

    fn one(&self, payload: Payload<'_>, shape: &Shape, depth_left: usize) -> Result<Value, DecodeError> {
        Ok(match shape {
            Shape::String | Shape::Duration => Value::from(payload.text()?),
            Shape::Bool => Value::Bool(payload.varint()? != 0),
            Shape::Int32 => Value::Int(truncated(payload.integer()?)),
            Shape::Int64 => Value::Int(payload.integer()?),
            Shape::Double => finite(payload.double()?)?,
            Shape::Bytes => Value::from(STANDARD.encode(payload.bytes()?)),
            Shape::Time => time(payload.bytes()?, timestamp::seconds)?,
            Shape::MicroTime => time(payload.bytes()?, timestamp::micros)?,
            Shape::Quantity => quantity(payload.bytes()?)?,
            Shape::IntOrString => int_or_string(payload.bytes()?)?,
            Shape::Fields => fields(payload.bytes()?)?,
            Shape::RawObject | Shape::Json | Shape::Any => embedded_json(payload.bytes()?)?,
            Shape::StringList => string_list(payload.bytes()?)?,
            Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id) => {
                self.schema_or(payload.bytes()?, shape, *id, depth_left)?
            }
            Shape::Struct(id) => self.structure(payload.bytes()?, *id, depth_left)?,
            // The table holds no lists of lists; whoever sends one sends something else.
            Shape::List(_) | Shape::Map(_) => Value::Null,
        })
    }

    fn schema_or(&self, message: &[u8], shape: &Shape, id: TypeId, depth_left: usize) -> Result<Value, DecodeError> {
        let boolean = matches!(shape, Shape::SchemaOrBool(_));
        let mut value = if boolean { Value::Bool(false) } else { Value::Null };
        let mut items = Vec::new();
        let mut reader = Reader::new(message);
        while let Some((number, payload)) = reader.field()? {
            match (number, boolean) {
                (1, true) if !matches!(value, Value::Map(_)) => value = Value::Bool(payload.varint()? != 0),
                (2, true) | (1, false) => value = self.structure(payload.bytes()?, id, depth_left)?,
                (2, false) if matches!(shape, Shape::SchemaOrArray(_)) => {
                    items.push(self.structure(payload.bytes()?, id, depth_left)?);
                }
                (2, false) => items.push(Value::from(payload.text()?)),
                _ => {}
            }
        }
        Ok(if items.is_empty() { value } else { Value::List(items) })
    }
}

impl<'s> Members<'s> {
    fn one(&mut self, field: &'s Field, value: Value) {
        let at = self.slot(field, || Gathered::One(Value::Null));
        self.found[at].1 = Gathered::One(value);
    }

    fn list(&mut self, field: &'s Field) -> &mut Vec<Value> {
        let at = self.slot(field, || Gathered::List(Vec::new()));
        match &mut self.found[at].1 {
            Gathered::List(items) => items,
            _ => unreachable!("a field has one shape"),
        }
    }

    fn map(&mut self, field: &'s Field) -> &mut MapBuilder {
        let at = self.slot(field, || Gathered::Map(MapBuilder::default()));
        match &mut self.found[at].1 {
            Gathered::Map(entries) => entries,
            _ => unreachable!("a field has one shape"),
        }
    }

    /// Items of one field nearly always come in a row, so the search from the back ends at once.
    fn slot(&mut self, field: &'s Field, make: impl FnOnce() -> Gathered) -> usize {
        let found = self.found.iter().rposition(|(candidate, _)| std::ptr::eq(*candidate, field));
        found.unwrap_or_else(|| {
            self.found.push((field, make()));
            self.found.len() - 1
        })
    }
}

/// Go keeps the low 32 bits of an over-long varint.
fn truncated(number: i64) -> i64 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    i64::from(i32::from_le_bytes([a, b, c, d]))
}

/// JSON, in which the same object will be asked for, has no other numbers.
fn finite(number: f64) -> Result<Value, DecodeError> {
    let finite = number.is_finite().then_some(Value::Float(number));
    finite.ok_or_else(|| DecodeError::Type(format!("json: unsupported value: {number}")))
}

fn time(message: &[u8], canonical: fn(Timestamp) -> Text) -> Result<Value, DecodeError> {
    let (mut seconds, mut nanos) = (None, 0);
    let mut reader = Reader::new(message);
    while let Some((number, payload)) = reader.field()? {
        match number {
            1 => seconds = Some(payload.integer()?),
            2 => nanos = payload.integer()?,
            _ => {}
        }
    }
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    let nanos = i32::try_from(nanos).map_err(|_out_of_range| out_of_range())?;
    let time = Timestamp::new(seconds, nanos).ok().filter(timestamp::has_words).ok_or_else(out_of_range)?;
    Ok(Value::String(canonical(time)))
}

fn out_of_range() -> DecodeError {
    DecodeError::Type("timestamp out of range".to_owned())
}

fn quantity(message: &[u8]) -> Result<Value, DecodeError> {
    let mut text = "";
    let mut reader = Reader::new(message);
    while let Some((number, payload)) = reader.field()? {
        if number == 1 {
            text = payload.text()?;
        }
    }
    if text.is_empty() {
        return Ok(Value::from("0"));
    }
    match object::Quantity::parse(text) {
        Ok(quantity) => Ok(Value::String(quantity.text())),
        Err(problem) => Err(DecodeError::Type(problem.to_string())),
    }
}

fn int_or_string(message: &[u8]) -> Result<Value, DecodeError> {
    let (mut kind, mut number_value, mut text) = (0, 0, "");
    let mut reader = Reader::new(message);
    while let Some((number, payload)) = reader.field()? {
        match number {
            1 => kind = payload.integer()?,
            2 => number_value = payload.integer()?,
            3 => text = payload.text()?,
            _ => {}
        }
    }
    Ok(if kind == 1 { Value::from(text) } else { Value::Int(truncated(number_value)) })
}

fn raw_bytes(message: &[u8]) -> Result<&[u8], DecodeError> {
    let mut raw: &[u8] = &[];
    let mut reader = Reader::new(message);
    while let Some((number, payload)) = reader.field()? {
        if number == 1 {
            raw = payload.bytes()?;
        }
    }
    Ok(raw)
}

fn fields(message: &[u8]) -> Result<Value, DecodeError> {
    let raw = raw_bytes(message)?;
    if raw.is_empty() {
        return Ok(Value::Null);
    }
    json::check(raw)?;
    Ok(Value::Raw(RawJson::from_checked(Bytes::copy_from_slice(raw))))
}

fn embedded_json(message: &[u8]) -> Result<Value, DecodeError> {
    match raw_bytes(message)? {
        [] => Ok(Value::Null),
        raw => json::parse(raw),
    }
}

fn string_list(message: &[u8]) -> Result<Value, DecodeError> {
    let mut items = Vec::new();
    let mut reader = Reader::new(message);
    while let Some((number, payload)) = reader.field()? {
        if number == 1 {
            items.push(Value::from(payload.text()?));
        }
    }
    // Go's list without items is nil, whether or not its message is there.
    Ok(if items.is_empty() { Value::Null } else { Value::List(items) })
}
