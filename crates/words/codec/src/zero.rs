//! Zero values: what an absent field that is always written stands for.

use object::schema::{Field, Omit, Schema, Shape, TypeId};
use object::{Map, MapBuilder, Value};

/// Gives a struct the fields it always has, and takes away those that are empty and optional.
pub(crate) fn canonical(schema: &Schema, id: TypeId, members: MapBuilder) -> (Map, Vec<object::Text>) {
    let (mut map, duplicates) = members.finish();
    map.retain(|name, value| schema.field(id, name).is_none_or(|field| !is_omitted(field, value)));
    complete(schema, id, &mut map);
    (map, duplicates)
}

/// Gives a struct the fields it always has.
pub(crate) fn complete(schema: &Schema, id: TypeId, map: &mut Map) {
    let absent: Vec<(object::Text, Value)> = schema
        .members(id)
        .filter(|field| field.omit == Omit::Never && !map.contains(&field.name))
        .map(|field| (field.name.clone(), of_field(schema, field)))
        .collect();
    if !absent.is_empty() {
        map.extend(absent);
    }
}

/// Whether `value` in `field` is not written.
pub(crate) fn is_omitted(field: &Field, value: &Value) -> bool {
    match field.omit {
        Omit::Never => false,
        Omit::Zero => value.is_null(),
        Omit::Empty => value.is_null() || (!field.pointer && is_empty(&field.shape, value)),
    }
}

/// What Go's `omitempty` calls empty; structs and the leaves that Go holds in structs never are.
fn is_empty(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Bool, Value::Bool(flag)) => !flag,
        (Shape::Int32 | Shape::Int64, Value::Int(number)) => *number == 0,
        (Shape::Double, Value::Float(number)) => *number == 0.0,
        (Shape::Double, Value::Int(number)) => *number == 0,
        (Shape::String | Shape::Bytes, Value::String(text)) => text.is_empty(),
        (Shape::List(_) | Shape::StringList, Value::List(items)) => items.is_empty(),
        (Shape::Map(_), Value::Map(map)) => map.is_empty(),
        _ => false,
    }
}

/// The zero value of `field`.
pub(crate) fn of_field(schema: &Schema, field: &Field) -> Value {
    if field.pointer { Value::Null } else { of_shape(schema, &field.shape) }
}

/// The zero value of a shape.
pub(crate) fn of_shape(schema: &Schema, shape: &Shape) -> Value {
    match shape {
        Shape::String => Value::String(object::Text::default()),
        Shape::Bool => Value::Bool(false),
        Shape::Int32 | Shape::Int64 | Shape::IntOrString => Value::Int(0),
        Shape::Double => Value::Float(0.0),
        Shape::Quantity => Value::from("0"),
        Shape::Duration => Value::from("0s"),
        Shape::Struct(id) => Value::Map(canonical(schema, *id, MapBuilder::default()).0),
        Shape::Bytes
        | Shape::Time
        | Shape::MicroTime
        | Shape::Fields
        | Shape::RawObject
        | Shape::Json
        | Shape::Any
        | Shape::StringList
        | Shape::SchemaOrArray(_)
        | Shape::SchemaOrBool(_)
        | Shape::SchemaOrStrings(_)
        | Shape::List(_)
        | Shape::Map(_) => Value::Null,
    }
}
