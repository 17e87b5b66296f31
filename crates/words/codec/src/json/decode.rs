//! JSON text to canonical trees, driven by the schema.

use bytes::Bytes;
use object::schema::{Field, Schema, Shape, TypeId};
use object::{MapBuilder, Path, RawJson, Step, Value};

use super::reader::{Kind, Reader};
use crate::{DEPTH_MAX, DecodeError, Decoded, Root, is_room, scalar, zero};

/// Reads an object of the type `root`.
pub fn decode(text: &[u8], root: Root<'_>) -> Result<Decoded, DecodeError> {
    decode_shape(text, root.schema, &Shape::Struct(root.id))
}

/// Reads a value of any shape.
pub fn decode_shape<'s>(text: &[u8], schema: &'s Schema, shape: &'s Shape) -> Result<Decoded, DecodeError> {
    let mut decoder = Decoder {
        reader: Reader::new(text),
        schema,
        path: Path::root(),
        root: shape,
        depth_left: DEPTH_MAX,
        strict_problems: Vec::new(),
    };
    let value = decoder.value(shape)?;
    decoder.reader.end()?;
    Ok(Decoded { value, strict_problems: decoder.strict_problems })
}

/// Reads any JSON value without a schema: integers that fit 64 bits stay integers, all else are floats.
pub fn parse(text: &[u8]) -> Result<Value, DecodeError> {
    Ok(decode_shape(text, Schema::builtin(), &Shape::Any)?.value)
}

/// Checks that `text` is one JSON value, without building it.
pub fn check(text: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader::new(text);
    reader.skip(DEPTH_MAX)?;
    reader.end()
}

struct Decoder<'a, 's> {
    reader: Reader<'a>,
    schema: &'s Schema,
    path: Path,
    /// What the whole text is read as, for the words of type errors.
    root: &'s Shape,
    depth_left: usize,
    strict_problems: Vec<String>,
}

impl Decoder<'_, '_> {
    fn value(&mut self, shape: &Shape) -> Result<Value, DecodeError> {
        let kind = self.reader.kind()?;
        if kind == Kind::Null {
            self.reader.null()?;
            return Ok(match shape {
                Shape::Any | Shape::Json | Shape::RawObject => Value::Null,
                _ => zero::of_shape(self.schema, shape),
            });
        }
        match shape {
            Shape::Struct(id) if kind == Kind::Object => self.nested(|decoder| decoder.object(*id)),
            Shape::List(item) if kind == Kind::Array => self.nested(|decoder| decoder.list(item)),
            Shape::StringList if kind == Kind::Array => self.nested(|decoder| decoder.list(&Shape::String)),
            Shape::Map(value) if kind == Kind::Object => self.nested(|decoder| decoder.map(value)),
            Shape::Any | Shape::Json | Shape::RawObject => self.any(kind),
            Shape::Fields => self.raw(),
            Shape::SchemaOrArray(id) => match kind {
                Kind::Array => self.value(&Shape::List(Box::new(Shape::Struct(*id)))),
                _ => self.value(&Shape::Struct(*id)),
            },
            Shape::SchemaOrBool(id) => match kind {
                Kind::Bool => self.value(&Shape::Bool),
                _ => self.value(&Shape::Struct(*id)),
            },
            Shape::SchemaOrStrings(id) => match kind {
                Kind::Array => self.value(&Shape::List(Box::new(Shape::String))),
                _ => self.value(&Shape::Struct(*id)),
            },
            _ => self.scalar(kind, shape),
        }
    }

    fn scalar(&mut self, kind: Kind, shape: &Shape) -> Result<Value, DecodeError> {
        match (shape, kind) {
            (Shape::String, Kind::String) => Ok(Value::String(self.reader.string()?.into())),
            (Shape::Bool, Kind::Bool) => Ok(Value::Bool(self.reader.bool()?)),
            (Shape::Int32 | Shape::Int64, Kind::Number) => self.integer(shape),
            (Shape::Double, Kind::Number) => self.double(),
            (Shape::Bytes, Kind::String) => self.bytes(),
            (Shape::Time | Shape::MicroTime, Kind::String) => scalar::time(&self.reader.string()?, shape),
            (Shape::Duration, Kind::String) => Ok(Value::String(self.reader.string()?.into())),
            (Shape::Quantity, Kind::String) => {
                let text = self.reader.string()?;
                scalar::quantity(text.trim())
            }
            (Shape::Quantity, Kind::Number) => scalar::quantity(self.reader.number()?),
            (Shape::IntOrString, Kind::String) => Ok(Value::String(self.reader.string()?.into())),
            (Shape::IntOrString, Kind::Number) => self.integer(&Shape::Int32),
            _ => Err(self.mismatch(kind.name(), shape)),
        }
    }

    fn object(&mut self, id: TypeId) -> Result<Value, DecodeError> {
        let mut members = MapBuilder::default();
        let mut more = self.reader.open(b'}');
        while more {
            let key = self.reader.key()?;
            match self.schema.field(id, &key) {
                Some(field) => {
                    self.path.push(Step::Field(field.name.clone()));
                    let value = self.field(field)?;
                    self.path.pop();
                    members.push(field.name.clone(), value);
                }
                None => {
                    self.object_to("unknown", Step::Field(key.into()));
                    self.reader.skip(self.depth_left)?;
                }
            }
            more = self.reader.more(b'}')?;
        }
        let (map, duplicates) = zero::canonical(self.schema, id, members);
        for name in duplicates {
            self.object_to("duplicate", Step::Field(name));
        }
        Ok(Value::Map(map))
    }

    /// A field's value; `null` in a pointer is absence.
    fn field(&mut self, field: &Field) -> Result<Value, DecodeError> {
        if field.pointer && self.reader.kind()? == Kind::Null {
            self.reader.null()?;
            return Ok(Value::Null);
        }
        self.value(&field.shape)
    }

    fn list(&mut self, item: &Shape) -> Result<Value, DecodeError> {
        let mut items = Vec::new();
        let mut more = self.reader.open(b']');
        while more {
            self.path.push(Step::Index(items.len()));
            items.push(self.value(item)?);
            self.path.pop();
            more = self.reader.more(b']')?;
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, shape: &Shape) -> Result<Value, DecodeError> {
        let mut members = MapBuilder::default();
        let mut more = self.reader.open(b'}');
        while more {
            let key = self.reader.key()?;
            self.path.push(Step::Field(key.as_ref().into()));
            let value = self.value(shape)?;
            self.path.pop();
            members.push(key, value);
            more = self.reader.more(b'}')?;
        }
        Ok(self.finish_map(members))
    }

    fn finish_map(&mut self, members: MapBuilder) -> Value {
        let (map, duplicates) = members.finish();
        for name in duplicates {
            self.object_to("duplicate", Step::Field(name));
        }
        Value::Map(map)
    }

    fn any(&mut self, kind: Kind) -> Result<Value, DecodeError> {
        match kind {
            Kind::Object => self.nested(|decoder| decoder.map(&Shape::Any)),
            Kind::Array => self.nested(|decoder| decoder.list(&Shape::Any)),
            Kind::String => Ok(Value::String(self.reader.string()?.into())),
            Kind::Bool => Ok(Value::Bool(self.reader.bool()?)),
            Kind::Null => self.reader.null().map(|()| Value::Null),
            Kind::Number => {
                let literal = self.reader.number()?;
                let number = literal.parse().map(Value::Int).or_else(|_not_an_integer| self.float(literal))?;
                // `-0.0` would be written as `-0`, which is an integer, and integers have no such zero.
                Ok(if number == Value::Float(0.0) { Value::Int(0) } else { number })
            }
        }
    }

    fn raw(&mut self) -> Result<Value, DecodeError> {
        let text = self.reader.skip(self.depth_left)?;
        Ok(Value::Raw(RawJson::from_checked(compact(text))))
    }

    fn integer(&mut self, shape: &Shape) -> Result<Value, DecodeError> {
        let literal = self.reader.number()?;
        scalar::integer(literal, shape).ok_or_else(|| self.mismatch(&format!("number {literal}"), shape))
    }

    fn double(&mut self) -> Result<Value, DecodeError> {
        let literal = self.reader.number()?;
        self.float(literal)
    }

    fn float(&self, literal: &str) -> Result<Value, DecodeError> {
        scalar::float(literal).ok_or_else(|| self.mismatch(&format!("number {literal}"), &Shape::Double))
    }

    fn bytes(&mut self) -> Result<Value, DecodeError> {
        scalar::bytes(&self.reader.string()?)
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, DecodeError>) -> Result<Value, DecodeError> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn object_to(&mut self, what: &str, step: Step) {
        if is_room(&self.strict_problems) {
            self.path.push(step);
            self.strict_problems.push(format!("{what} field \"{}\"", self.path));
            self.path.pop();
        }
    }

    fn mismatch(&self, found: &str, shape: &Shape) -> DecodeError {
        scalar::mismatch(self.schema, self.root, &self.path, found, shape)
    }
}

/// Checked JSON text without the white space between its tokens.
fn compact(text: &[u8]) -> Bytes {
    let (mut in_string, mut escaped) = (false, false);
    let keep = move |byte: &u8| {
        if in_string {
            let ends = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            in_string = !ends;
            true
        } else {
            in_string = *byte == b'"';
            !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
        }
    };
    text.iter().copied().filter(keep).collect::<Vec<u8>>().into()
}
