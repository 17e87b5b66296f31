//! The scalar rules that every way of reading shares, and how a value of the wrong type is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object::schema::{Schema, Shape, TypeId};
use object::{Path, Quantity, Step, Text, Value, timestamp};

use crate::DecodeError;

/// An integer in range of the shape.
pub(crate) fn integer(literal: &str, shape: &Shape) -> Option<Value> {
    let number = literal.parse::<i64>().ok()?;
    let fits = *shape == Shape::Int64 || i32::try_from(number).is_ok();
    fits.then_some(Value::Int(number))
}

/// A finite floating-point number.
pub(crate) fn float(literal: &str) -> Option<Value> {
    literal.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Float)
}

/// Base64, in its canonical form.
pub(crate) fn bytes(text: &str) -> Result<Value, DecodeError> {
    let cleaned: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = STANDARD.decode(cleaned.as_bytes()).map_err(|problem| {
        let at = match problem {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => at,
            _ => cleaned.len(),
        };
        DecodeError::Type(format!("illegal base64 data at input byte {at}"))
    })?;
    Ok(Value::String(STANDARD.encode(bytes).into()))
}

/// A time, in the form that `canonical` writes.
pub(crate) fn time(text: &str, canonical: fn(jiff::Timestamp) -> Text) -> Result<Value, DecodeError> {
    let parsed = timestamp::parse(text).ok_or_else(|| {
        DecodeError::Type(format!(
            "parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{text}\" as \"2006\""
        ))
    })?;
    Ok(Value::String(canonical(parsed)))
}

/// A value of the wrong type at `path`, whose nearest struct is `owner`.
pub(crate) fn mismatch(schema: &Schema, owner: Option<TypeId>, path: &Path, found: &str, shape: &Shape) -> DecodeError {
    let wanted = go_type(schema, shape);
    let fields: Vec<&str> = path
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Field(name) | Step::Key(name) => Some(name.as_str()),
            Step::Index(_) => None,
        })
        .collect();
    DecodeError::Type(match owner {
        Some(owner) if !fields.is_empty() => format!(
            "json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}",
            short_name(&schema.get(owner).name),
            fields.join(".")
        ),
        _ => format!("json: cannot unmarshal {found} into Go value of type {wanted}"),
    })
}

/// A quantity, in its canonical form.
pub(crate) fn quantity(text: &str) -> Result<Value, DecodeError> {
    match Quantity::parse(text) {
        Ok(quantity) => Ok(Value::String(quantity.text())),
        Err(problem) => Err(DecodeError::Type(problem.to_string())),
    }
}

/// The Go type that upstream's errors would name.
fn go_type(schema: &Schema, shape: &Shape) -> String {
    match shape {
        Shape::String => "string".to_owned(),
        Shape::Bool => "bool".to_owned(),
        Shape::Int32 => "int32".to_owned(),
        Shape::Int64 => "int64".to_owned(),
        Shape::Double => "float64".to_owned(),
        Shape::Bytes => "[]uint8".to_owned(),
        Shape::Time => "v1.Time".to_owned(),
        Shape::MicroTime => "v1.MicroTime".to_owned(),
        Shape::Duration => "v1.Duration".to_owned(),
        Shape::Quantity => "resource.Quantity".to_owned(),
        Shape::IntOrString => "intstr.IntOrString".to_owned(),
        Shape::Fields => "v1.FieldsV1".to_owned(),
        Shape::RawObject => "runtime.RawExtension".to_owned(),
        Shape::Json => "v1.JSON".to_owned(),
        Shape::Any => "interface {}".to_owned(),
        Shape::StringList => "v1.ExtraValue".to_owned(),
        Shape::SchemaOrArray(_) => "v1.JSONSchemaPropsOrArray".to_owned(),
        Shape::SchemaOrBool(_) => "v1.JSONSchemaPropsOrBool".to_owned(),
        Shape::SchemaOrStrings(_) => "v1.JSONSchemaPropsOrStringArray".to_owned(),
        Shape::Struct(id) => {
            let mut segments = schema.get(*id).name.rsplit('.');
            let name = segments.next().unwrap_or_default();
            format!("{}.{name}", segments.next().unwrap_or_default())
        }
        Shape::List(item) => format!("[]{}", go_type(schema, item)),
        Shape::Map(value) => format!("map[string]{}", go_type(schema, value)),
    }
}

fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}
