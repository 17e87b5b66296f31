//! A tree as serde's target.

use std::fmt;

use object::{MapBuilder, Text, Value};
use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use crate::Mismatch;

/// Builds a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer;

impl ser::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Mismatch {
        Mismatch(message.to_string())
    }
}

/// Collects list items.
#[derive(Debug, Default)]
pub(crate) struct Items(Vec<Value>);

/// Collects members.
#[derive(Debug, Default)]
pub(crate) struct Members {
    builder: MapBuilder,
    key: Text,
}

impl Serializer for Writer {
    type Ok = Value;
    type Error = Mismatch;
    type SerializeSeq = Items;
    type SerializeTuple = Impossible<Value, Mismatch>;
    type SerializeTupleStruct = Impossible<Value, Mismatch>;
    type SerializeTupleVariant = Impossible<Value, Mismatch>;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Impossible<Value, Mismatch>;

    fn serialize_bool(self, value: bool) -> Result<Value, Mismatch> {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Value, Mismatch> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Result<Value, Mismatch> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Result<Value, Mismatch> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i64(self, value: i64) -> Result<Value, Mismatch> {
        Ok(Value::Int(value))
    }

    fn serialize_u8(self, value: u8) -> Result<Value, Mismatch> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Result<Value, Mismatch> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Result<Value, Mismatch> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Result<Value, Mismatch> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Mismatch> {
        Ok(Value::Float(value.into()))
    }

    fn serialize_f64(self, value: f64) -> Result<Value, Mismatch> {
        Ok(Value::Float(value))
    }

    fn serialize_char(self, value: char) -> Result<Value, Mismatch> {
        Ok(Value::String(value.to_string().into()))
    }

    fn serialize_str(self, value: &str) -> Result<Value, Mismatch> {
        Ok(Value::from(value))
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<Value, Mismatch> {
        Err(ser::Error::custom("kinds write bytes as base64 text"))
    }

    fn serialize_none(self) -> Result<Value, Mismatch> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Mismatch> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Mismatch> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, Mismatch> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, Mismatch> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Value, Mismatch> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Mismatch> {
        Ok(Value::from_pairs([(variant, value.serialize(self)?)]))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items, Mismatch> {
        Ok(Items(Vec::with_capacity(length.unwrap_or(0))))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Mismatch> {
        Err(ser::Error::custom("kinds hold no tuples"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Mismatch> {
        Err(ser::Error::custom("kinds hold no tuples"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Mismatch> {
        Err(ser::Error::custom("kinds hold no tuples"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members, Mismatch> {
        Ok(Members::default())
    }

    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Members, Mismatch> {
        Ok(Members { builder: MapBuilder::with_capacity(length), key: Text::default() })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Mismatch> {
        Err(ser::Error::custom("kinds hold no struct variants"))
    }
}

impl SerializeSeq for Items {
    type Ok = Value;
    type Error = Mismatch;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        self.0.push(value.serialize(Writer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Mismatch> {
        Ok(Value::List(self.0))
    }
}

impl SerializeMap for Members {
    type Ok = Value;
    type Error = Mismatch;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Mismatch> {
        match key.serialize(Writer)? {
            Value::String(text) => self.key = text,
            _ => return Err(ser::Error::custom("map keys are text")),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Mismatch> {
        self.builder.push(std::mem::take(&mut self.key), value.serialize(Writer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Mismatch> {
        Ok(Value::Map(self.builder.finish().0))
    }
}

impl SerializeStruct for Members {
    type Ok = Value;
    type Error = Mismatch;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Mismatch> {
        self.builder.push(name, value.serialize(Writer)?);
        Ok(())
    }

    fn end(self) -> Result<Value, Mismatch> {
        Ok(Value::Map(self.builder.finish().0))
    }
}
