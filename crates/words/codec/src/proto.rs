//! Kubernetes' protobuf: the messages of the schema table, and the envelope that carries a kind.
//!
//! The rules are those of upstream's generated code, not of proto3: scalars that are not pointers are written even
//! when zero, fields ascend by number, map entries by key. Unknown fields are passed over, as upstream does: a newer
//! client may know more.

mod decode;
mod encode;
mod wire;

use object::Value;

use crate::{DecodeError, Decoded, Root};

pub use decode::decode;
pub use encode::encode;

/// What stands before every stored or sent protobuf object.
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// The envelope of an object: what kind it is, and the bytes of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `apiVersion`.
    pub api_version: &'a str,
    /// `kind`.
    pub kind: &'a str,
    /// The message.
    pub message: &'a [u8],
    /// Media type of `message`; empty means protobuf.
    pub content_type: &'a str,
}

/// Opens the envelope.
pub fn open(bytes: &[u8]) -> Result<Envelope<'_>, DecodeError> {
    let body = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| DecodeError::Syntax("provided data does not appear to be a protobuf message".to_owned()))?;
    let mut envelope = Envelope { api_version: "", kind: "", message: &[], content_type: "" };
    let mut reader = wire::Reader::new(body);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => {
                let mut meta = wire::Reader::new(field.bytes()?);
                while let Some((number, field)) = meta.field()? {
                    match number {
                        1 => envelope.api_version = field.text()?,
                        2 => envelope.kind = field.text()?,
                        _ => {}
                    }
                }
            }
            2 => envelope.message = field.bytes()?,
            4 => envelope.content_type = field.text()?,
            _ => {}
        }
    }
    Ok(envelope)
}

/// Puts `value` into an envelope that names `api_version` and `kind`.
pub fn seal(value: &Value, root: Root<'_>, api_version: &str, kind: &str) -> Vec<u8> {
    let mut out = wire::Writer::with_capacity(512);
    // Written back to front: content type and encoding (always empty), the message, the type, the magic.
    out.bytes_field(4, b"");
    out.bytes_field(3, b"");
    out.message(2, |out| encode::write(value, root, out));
    out.message(1, |out| {
        out.bytes_field(2, kind.as_bytes());
        out.bytes_field(1, api_version.as_bytes());
    });
    out.raw(MAGIC);
    out.finish()
}

/// Opens an envelope and decodes the object in it, which must be a kind that `schema` knows.
pub fn decode_enveloped(bytes: &[u8], schema: &object::Schema) -> Result<Decoded, DecodeError> {
    let envelope = open(bytes)?;
    let id = schema.kind(envelope.api_version, envelope.kind).ok_or_else(|| {
        DecodeError::Type(format!(
            "no kind \"{}\" is registered for version \"{}\"",
            envelope.kind, envelope.api_version
        ))
    })?;
    let mut decoded = decode(envelope.message, Root { schema, id })?;
    decoded.value.set(&["apiVersion"], envelope.api_version);
    decoded.value.set(&["kind"], envelope.kind);
    Ok(decoded)
}
