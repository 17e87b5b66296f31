//! A Swagger 2.0 document as a protobuf message.
//!
//! The message is `openapi.v2.Document` of gnostic (`openapiv2/OpenAPIv2.proto`); the numbers below are its field
//! numbers. Covered is what our documents and those of custom kinds hold: security by key only, no headers, examples or
//! tags. Extensions travel as YAML text, and JSON is YAML.

use object::{Map, Value};

/// How a JSON member becomes a field.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    Texts,
    Flag,
    Integer,
    Double,
    /// Any value, as YAML text.
    Yaml,
    /// A list of any values.
    Yamls,
    /// One message, or a list of messages.
    Message(fn(&Value, &mut Wire)),
    /// An object of messages: a message that repeats (name, message) in the field of this number.
    Named(u32, fn(&Value, &mut Wire)),
}

/// The fields of a message: JSON name, number, form; and the number under which extensions go (0: nowhere).
struct Fields(&'static [(&'static str, u32, Form)], u32);

use Form::{Double, Flag, Integer, Message, Named, Text, Texts, Yaml, Yamls};

static DOCUMENT: Fields = Fields(
    &[
        ("swagger", 1, Text),
        ("info", 2, Message(|value, wire| wire.fields(value, &INFO))),
        ("paths", 8, Named(2, |value, wire| wire.fields(value, &PATH_ITEM))),
        ("definitions", 9, Named(1, schema)),
        ("parameters", 10, Named(1, parameter)),
        ("security", 12, Message(security_requirement)),
        ("securityDefinitions", 13, Named(1, security)),
    ],
    16,
);
static INFO: Fields = Fields(&[("title", 1, Text), ("version", 2, Text), ("description", 3, Text)], 7);
static PATH_ITEM: Fields = Fields(
    &[
        ("get", 2, Message(operation)),
        ("put", 3, Message(operation)),
        ("post", 4, Message(operation)),
        ("delete", 5, Message(operation)),
        ("options", 6, Message(operation)),
        ("head", 7, Message(operation)),
        ("patch", 8, Message(operation)),
        ("parameters", 9, Message(parameter_or_reference)),
    ],
    10,
);
static OPERATION: Fields = Fields(
    &[
        ("tags", 1, Texts),
        ("description", 3, Text),
        ("operationId", 5, Text),
        ("produces", 6, Texts),
        ("consumes", 7, Texts),
        ("parameters", 8, Message(parameter_or_reference)),
        ("responses", 9, Named(1, response)),
        ("schemes", 10, Texts),
        ("deprecated", 11, Flag),
    ],
    13,
);
static BODY_PARAMETER: Fields = Fields(
    &[
        ("description", 1, Text),
        ("name", 2, Text),
        ("in", 3, Text),
        ("required", 4, Flag),
        ("schema", 5, Message(schema)),
    ],
    6,
);
static QUERY_PARAMETER: Fields = Fields(
    &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 6, Text),
        ("format", 7, Text),
        ("uniqueItems", 20, Flag),
    ],
    23,
);
static PATH_PARAMETER: Fields = Fields(
    &[
        ("required", 1, Flag),
        ("in", 2, Text),
        ("description", 3, Text),
        ("name", 4, Text),
        ("type", 5, Text),
        ("format", 6, Text),
        ("uniqueItems", 19, Flag),
    ],
    22,
);
static REFERENCE: Fields = Fields(&[("$ref", 1, Text), ("description", 2, Text)], 0);
static RESPONSE: Fields =
    Fields(&[("description", 1, Text), ("schema", 2, Message(|value, wire| wire.message(1, value, schema)))], 5);
static KEY_SECURITY: Fields =
    Fields(&[("type", 1, Text), ("name", 2, Text), ("in", 3, Text), ("description", 4, Text)], 5);
static SCHEMA: Fields = Fields(
    &[
        ("$ref", 1, Text),
        ("format", 2, Text),
        ("title", 3, Text),
        ("description", 4, Text),
        ("default", 5, Yaml),
        ("multipleOf", 6, Double),
        ("maximum", 7, Double),
        ("exclusiveMaximum", 8, Flag),
        ("minimum", 9, Double),
        ("exclusiveMinimum", 10, Flag),
        ("maxLength", 11, Integer),
        ("minLength", 12, Integer),
        ("pattern", 13, Text),
        ("maxItems", 14, Integer),
        ("minItems", 15, Integer),
        ("uniqueItems", 16, Flag),
        ("maxProperties", 17, Integer),
        ("minProperties", 18, Integer),
        ("required", 19, Texts),
        ("enum", 20, Yamls),
        ("additionalProperties", 21, Message(additional_properties)),
        ("type", 22, Message(|value, wire| wire.texts(1, value))),
        ("items", 23, Message(|value, wire| wire.message(1, value, schema))),
        ("allOf", 24, Message(schema)),
        ("properties", 25, Named(1, schema)),
        ("example", 30, Yaml),
    ],
    31,
);

/// The document as a message.
pub(crate) fn document(tree: &Value) -> Vec<u8> {
    let mut wire = Wire::default();
    wire.fields(tree, &DOCUMENT);
    wire.0.shrink_to_fit();
    wire.0
}

fn schema(value: &Value, wire: &mut Wire) {
    wire.fields(value, &SCHEMA);
}

fn operation(value: &Value, wire: &mut Wire) {
    wire.fields(value, &OPERATION);
}

/// `ParametersItem`: a parameter in place, or where one is.
fn parameter_or_reference(value: &Value, wire: &mut Wire) {
    if value.get("$ref").is_some() {
        wire.message(2, value, |value, wire| wire.fields(value, &REFERENCE));
    } else {
        wire.message(1, value, parameter);
    }
}

/// `Parameter`: the body, or one of the others.
fn parameter(value: &Value, wire: &mut Wire) {
    match value.str_at(&["in"]) {
        Some("body") => wire.message(1, value, |value, wire| wire.fields(value, &BODY_PARAMETER)),
        Some("path") => wire.message(2, value, |value, wire| {
            wire.message(4, value, |value, wire| wire.fields(value, &PATH_PARAMETER));
        }),
        _ => wire.message(2, value, |value, wire| {
            wire.message(3, value, |value, wire| wire.fields(value, &QUERY_PARAMETER));
        }),
    }
}

fn response(value: &Value, wire: &mut Wire) {
    wire.message(1, value, |value, wire| wire.fields(value, &RESPONSE));
}

fn security(value: &Value, wire: &mut Wire) {
    wire.message(2, value, |value, wire| wire.fields(value, &KEY_SECURITY));
}

fn security_requirement(value: &Value, wire: &mut Wire) {
    wire.named(1, value, |value, wire| wire.texts(1, value));
}

fn additional_properties(value: &Value, wire: &mut Wire) {
    match value {
        Value::Bool(any) => wire.varint_field(2, u64::from(*any)),
        _ => wire.message(1, value, schema),
    }
}

fn yaml(value: &Value, wire: &mut Wire) {
    let mut text = Vec::new();
    codec::json::write(value, &mut text);
    wire.bytes(2, &text);
}

/// A protobuf message in the making.
#[derive(Debug, Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn varint_field(&mut self, number: u32, value: u64) {
        self.varint(u64::from(number) << 3);
        self.varint(value);
    }

    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.varint(u64::from(number) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// The message that `write` makes of `value`, or of each of its items.
    fn message(&mut self, number: u32, value: &Value, write: fn(&Value, &mut Wire)) {
        for value in value.as_list().unwrap_or_else(|| std::slice::from_ref(value)) {
            let mut inner = Wire::default();
            write(value, &mut inner);
            self.bytes(number, &inner.0);
        }
    }

    fn texts(&mut self, number: u32, value: &Value) {
        for text in value.as_list().unwrap_or_else(|| std::slice::from_ref(value)).iter().filter_map(Value::as_str) {
            self.bytes(number, text.as_bytes());
        }
    }

    /// A (name, value) message for each member; extensions are not among them.
    fn named(&mut self, number: u32, value: &Value, write: fn(&Value, &mut Wire)) {
        for (name, value) in value.as_map().into_iter().flat_map(Map::iter) {
            self.pair(number, name, value, write);
        }
    }

    fn pair(&mut self, number: u32, name: &str, value: &Value, write: fn(&Value, &mut Wire)) {
        let mut pair = Wire::default();
        pair.bytes(1, name.as_bytes());
        let mut inner = Wire::default();
        write(value, &mut inner);
        pair.bytes(2, &inner.0);
        self.bytes(number, &pair.0);
    }

    /// The members of `value` that the message has fields for, in the order of their numbers, then its extensions.
    fn fields(&mut self, value: &Value, fields: &Fields) {
        for (name, number, form) in fields.0 {
            if let Some(value) = value.get(name) {
                self.field(*number, value, *form);
            }
        }
        let members = value.as_map().into_iter().flat_map(Map::iter);
        for (name, value) in members.filter(|(name, _)| fields.1 > 0 && name.starts_with("x-")) {
            self.pair(fields.1, name, value, yaml);
        }
    }

    fn field(&mut self, number: u32, value: &Value, form: Form) {
        match form {
            Text | Texts => self.texts(number, value),
            Flag => self.varint_field(number, u64::from(value.as_bool().unwrap_or_default())),
            Integer => self.varint_field(number, value.as_int().unwrap_or_default().cast_unsigned()),
            Double => {
                let number_of = |int: i64| int.to_string().parse().unwrap_or_default();
                let double: f64 =
                    if let Value::Float(double) = value { *double } else { value.as_int().map_or(0.0, number_of) };
                self.varint(u64::from(number) << 3 | 1);
                self.0.extend_from_slice(&double.to_le_bytes());
            }
            Yaml => self.message(number, &Value::List(vec![value.clone()]), yaml),
            Yamls => self.message(number, value, yaml),
            Message(write) => self.message(number, value, write),
            Named(inner, write) => {
                let mut map = Wire::default();
                map.named(inner, value, write);
                self.bytes(number, &map.0);
            }
        }
    }
}
