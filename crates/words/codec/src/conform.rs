//! Trees to canonical trees, without going through text.
//!
//! A patch leaves a tree that is no longer canonical. Conforming it gives what writing it as JSON and reading that
//! again by its type would give, at a fraction of the cost: what is canonical already is moved, not copied.

use bytes::Bytes;
use object::schema::{Field, Schema, Shape, TypeId};
use object::{Map, MapBuilder, Path, RawJson, Step, Text, Value};

use crate::{DEPTH_MAX, DecodeError, Decoded, Root, is_room, json, scalar, zero};

/// The canonical tree of `value` as an object of the type `root`.
pub fn conform(value: Value, root: Root<'_>) -> Result<Decoded, DecodeError> {
    conformed(value, root, false)
}

/// Like [`conform`], as the object reads when it comes back from protobuf, which knows no list or map without members.
pub fn conform_as_stored(value: Value, root: Root<'_>) -> Result<Decoded, DecodeError> {
    conformed(value, root, true)
}

fn conformed(value: Value, root: Root<'_>, drops_empty: bool) -> Result<Decoded, DecodeError> {
    let shape = Shape::Struct(root.id);
    let mut conformer = Conformer {
        schema: root.schema,
        path: Path::root(),
        root: &shape,
        depth_left: DEPTH_MAX,
        drops_empty,
        strict_problems: Vec::new(),
    };
    let value = conformer.value(&shape, value)?;
    Ok(Decoded { value, strict_problems: conformer.strict_problems })
}

/// The canonical tree of an object of the type `root` in which nothing is set.
pub fn empty(root: Root<'_>) -> Value {
    zero::of_shape(root.schema, &Shape::Struct(root.id))
}

struct Conformer<'s> {
    schema: &'s Schema,
    path: Path,
    /// What the whole tree is read as, for the words of type errors.
    root: &'s Shape,
    depth_left: usize,
    /// Lists and maps without members become absent.
    drops_empty: bool,
    strict_problems: Vec<String>,
}

impl Conformer<'_> {
    fn value(&mut self, shape: &Shape, value: Value) -> Result<Value, DecodeError> {
        match (shape, value) {
            (Shape::Any | Shape::Json | Shape::RawObject, value) => self.any(value),
            (_, Value::Null) => Ok(zero::of_shape(self.schema, shape)),
            (Shape::Fields, value) => self.raw(value),
            (_, Value::Raw(raw)) => {
                let read = json::parse(raw.bytes())?;
                self.value(shape, read)
            }
            (Shape::List(_) | Shape::StringList, Value::List(items)) if self.drops_empty && items.is_empty() => {
                Ok(Value::Null)
            }
            (Shape::Map(_), Value::Map(map)) if self.drops_empty && map.is_empty() => Ok(Value::Null),
            (Shape::Struct(id), Value::Map(map)) => self.nested(|conformer| conformer.object(*id, map)),
            (Shape::List(item), Value::List(items)) => self.nested(|conformer| conformer.list(item, items)),
            (Shape::StringList, Value::List(items)) => self.nested(|conformer| conformer.list(&Shape::String, items)),
            (Shape::Map(inner), Value::Map(map)) => self.nested(|conformer| conformer.map(inner, map)),
            (Shape::SchemaOrArray(id), value @ Value::List(_)) => {
                self.value(&Shape::List(Box::new(Shape::Struct(*id))), value)
            }
            (Shape::SchemaOrBool(_), value @ Value::Bool(_)) => Ok(value),
            (Shape::SchemaOrStrings(_), value @ Value::List(_)) => {
                self.value(&Shape::List(Box::new(Shape::String)), value)
            }
            (Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id), value) => {
                self.value(&Shape::Struct(*id), value)
            }
            (_, value) => self.scalar(shape, value),
        }
    }

    fn scalar(&self, shape: &Shape, value: Value) -> Result<Value, DecodeError> {
        match (shape, value) {
            (Shape::String | Shape::Duration | Shape::IntOrString, value @ Value::String(_))
            | (Shape::Bool, value @ Value::Bool(_))
            | (Shape::Int64, value @ Value::Int(_)) => Ok(value),
            (Shape::Int32 | Shape::Int64, value @ (Value::Int(_) | Value::Float(_))) => self.integer(shape, &value),
            (Shape::IntOrString, value @ (Value::Int(_) | Value::Float(_))) => self.integer(&Shape::Int32, &value),
            (Shape::Double, value @ (Value::Int(_) | Value::Float(_))) => {
                let literal = literal(&value);
                scalar::float(&literal).ok_or_else(|| self.mismatch(&format!("number {literal}"), shape))
            }
            (Shape::Bytes, Value::String(text)) => scalar::bytes(&text),
            (Shape::Time | Shape::MicroTime, Value::String(text)) => scalar::time(&text, shape),
            (Shape::Quantity, Value::String(text)) => scalar::quantity(text.trim()),
            (Shape::Quantity, value @ (Value::Int(_) | Value::Float(_))) => scalar::quantity(&literal(&value)),
            (_, value) => Err(self.mismatch(value.type_name(), shape)),
        }
    }

    fn integer(&self, shape: &Shape, value: &Value) -> Result<Value, DecodeError> {
        let literal = literal(value);
        scalar::integer(&literal, shape).ok_or_else(|| self.mismatch(&format!("number {literal}"), shape))
    }

    fn object(&mut self, id: TypeId, map: Map) -> Result<Value, DecodeError> {
        let mut members = MapBuilder::with_capacity(map.len());
        for (key, value) in map {
            match self.schema.field(id, &key) {
                Some(field) => {
                    self.path.push(Step::Field(key));
                    let value = self.field(field, value)?;
                    self.path.pop();
                    if !zero::is_omitted(field, &value) {
                        members.push(field.name.clone(), value);
                    }
                }
                None => self.unknown(key),
            }
        }
        let (mut map, _) = members.finish();
        zero::complete(self.schema, id, &mut map);
        Ok(Value::Map(map))
    }

    /// A field's value; `null` in a pointer is absence.
    fn field(&mut self, field: &Field, value: Value) -> Result<Value, DecodeError> {
        if field.pointer && value.is_null() { Ok(Value::Null) } else { self.value(&field.shape, value) }
    }

    fn list(&mut self, item: &Shape, mut items: Vec<Value>) -> Result<Value, DecodeError> {
        for (at, slot) in items.iter_mut().enumerate() {
            self.path.push(Step::Index(at));
            *slot = self.value(item, std::mem::take(slot))?;
            self.path.pop();
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, inner: &Shape, mut map: Map) -> Result<Value, DecodeError> {
        for (key, slot) in map.iter_mut() {
            // Labels and the like: nothing to do, and no path to keep for an error that cannot come.
            if matches!((inner, &*slot), (Shape::String | Shape::Any, Value::String(_))) {
                continue;
            }
            self.path.push(Step::Field(key.into()));
            *slot = self.value(inner, std::mem::take(slot))?;
            self.path.pop();
        }
        Ok(Value::Map(map))
    }

    /// A value of no type: only its numbers have a canonical form.
    fn any(&mut self, value: Value) -> Result<Value, DecodeError> {
        match value {
            Value::Map(map) => self.nested(|conformer| conformer.map(&Shape::Any, map)),
            Value::List(items) => self.nested(|conformer| conformer.list(&Shape::Any, items)),
            Value::Raw(raw) => {
                let read = json::parse(raw.bytes())?;
                self.any(read)
            }
            Value::Float(_) => {
                let literal = literal(&value);
                Ok(literal.parse().map(Value::Int).unwrap_or(value))
            }
            leaf => Ok(leaf),
        }
    }

    fn raw(&mut self, value: Value) -> Result<Value, DecodeError> {
        if let Value::Raw(_) = value {
            return Ok(value);
        }
        let value = self.any(value)?;
        let mut text = Vec::new();
        json::write(&value, &mut text);
        Ok(Value::Raw(RawJson::from_checked(Bytes::from(text))))
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, DecodeError>) -> Result<Value, DecodeError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn unknown(&mut self, key: Text) {
        if is_room(&self.strict_problems) {
            self.path.push(Step::Field(key));
            self.strict_problems.push(format!("unknown field \"{}\"", self.path));
            self.path.pop();
        }
    }

    fn mismatch(&self, found: &str, shape: &Shape) -> DecodeError {
        scalar::mismatch(self.schema, self.root, &self.path, found, shape)
    }
}

/// A number as JSON would have it.
fn literal(value: &Value) -> String {
    let mut text = Vec::new();
    json::write(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
