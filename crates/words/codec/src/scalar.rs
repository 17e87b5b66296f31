//! The scalar rules that every way of reading shares, and how a value of the wrong type is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object::schema::{Schema, Shape, TypeId};
use object::{Path, Quantity, Step, Text, Value, timestamp};

use crate::DecodeError;
use crate::named::named_text;

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
            // Go names the beginning of the last quantum when that is not whole.
            _ => cleaned.len() - cleaned.len() % 4,
        };
        DecodeError::Type(format!("illegal base64 data at input byte {at}"))
    })?;
    Ok(Value::String(STANDARD.encode(bytes).into()))
}

/// A time, in the form of the shape.
pub(crate) fn time(text: &str, shape: &Shape) -> Result<Value, DecodeError> {
    let (canonical, layout): (fn(jiff::Timestamp) -> Text, &str) = match shape {
        Shape::MicroTime => (timestamp::micros, "2006-01-02T15:04:05.000000Z07:00"),
        _ => (timestamp::seconds, "2006-01-02T15:04:05Z07:00"),
    };
    let parsed = timestamp::parse(text).ok_or_else(|| {
        DecodeError::Type(format!("parsing time \"{text}\" as \"{layout}\": cannot parse \"{text}\" as \"2006\""))
    })?;
    Ok(Value::String(canonical(parsed)))
}

/// A value of the wrong type at `path` below `root`.
pub(crate) fn mismatch(schema: &Schema, root: &Shape, path: &Path, found: &str, shape: &Shape) -> DecodeError {
    let (owner, fields) = go_fields(schema, root, path);
    let named = owner.zip(fields.last()).and_then(|(owner, field)| named_text(&schema.get(owner).name, field));
    let wanted = go_type(schema, shape).replace("string", named.unwrap_or("string"));
    DecodeError::Type(match owner {
        Some(owner) if !fields.is_empty() => format!(
            "json: cannot unmarshal {found} into Go struct field {}.{} of type {wanted}",
            short_name(&schema.get(owner).name),
            fields.join(".")
        ),
        _ => format!("json: cannot unmarshal {found} into Go value of type {wanted}"),
    })
}

/// The last struct on the way to `path`, and the fields on the way as Go names them: structs that are inlined stand
/// among them by their types' names, list indices and map keys do not.
fn go_fields<'a>(schema: &'a Schema, root: &'a Shape, path: &'a Path) -> (Option<TypeId>, Vec<&'a str>) {
    let (mut owner, mut fields) = (None, Vec::new());
    let mut shape = Some(root);
    for step in path.steps() {
        shape = match (shape, step) {
            (Some(Shape::List(item)), Step::Index(_)) => Some(item.as_ref()),
            (shape, Step::Index(_)) => shape,
            (Some(Shape::Map(value)), _) => Some(value.as_ref()),
            (shape, Step::Field(name) | Step::Key(name)) => {
                let id = shape.and_then(struct_of);
                owner = id.or(owner);
                if let Some(inlined) = id.and_then(|id| inlined_with(schema, id, name)) {
                    fields.push(inlined);
                }
                fields.push(name.as_str());
                id.and_then(|id| schema.field(id, name)).map(|field| &field.shape)
            }
        };
    }
    (owner, fields)
}

fn struct_of(shape: &Shape) -> Option<TypeId> {
    match shape {
        Shape::Struct(id) | Shape::SchemaOrArray(id) | Shape::SchemaOrBool(id) | Shape::SchemaOrStrings(id) => {
            Some(*id)
        }
        _ => None,
    }
}

/// The type that is inlined into `id` and brings the field `name`.
fn inlined_with<'a>(schema: &'a Schema, id: TypeId, name: &str) -> Option<&'a str> {
    let inlined = schema.get(id).fields.iter().filter(|field| field.name.is_empty());
    inlined
        .filter_map(|field| struct_of(&field.shape))
        .find(|inner| schema.field(*inner, name).is_some())
        .map(|inner| short_name(&schema.get(inner).name))
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
        // These read themselves, from text.
        Shape::Time | Shape::MicroTime | Shape::Duration => "string".to_owned(),
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
        Shape::Map(value) if **value == Shape::Quantity => "v1.ResourceList".to_owned(),
        Shape::Map(value) => format!("map[string]{}", go_type(schema, value)),
    }
}

fn short_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}
