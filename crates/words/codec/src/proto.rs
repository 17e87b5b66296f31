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

/// How every envelope ends: with an empty encoding and an empty content type.
const ENVELOPE_END: &[u8] = &[0x1a, 0, 0x22, 0];

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

/// How long the first field of `message` is, with its tag; 0 when the message does not open with field `number`.
pub fn first_field_end(message: &[u8], number: u32) -> Result<usize, DecodeError> {
    let mut reader = wire::Reader::new(message);
    let first = reader.field()?;
    Ok(if first.is_some_and(|(first, _)| first == number) { message.len() - reader.left() } else { 0 })
}

/// `message` with `text` as field `number` of the message in its first field, `outer`; what stood there is replaced.
///
/// `None` when the message does not open with `outer`, or the fields within do not ascend.
pub fn with_text(message: &[u8], outer: u32, number: u32, text: &str) -> Result<Option<Vec<u8>>, DecodeError> {
    let mut reader = wire::Reader::new(message);
    let Some((first, payload)) = reader.field()? else { return Ok(None) };
    if first != outer {
        return Ok(None);
    }
    let (inner, behind) = (payload.bytes()?, &message[message.len() - reader.left()..]);
    let mut fields = wire::Reader::new(inner);
    // What stands before the text, and what behind it.
    let (mut before, mut after, mut highest) = (0, None, 0);
    while let Some((found, _)) = fields.field()? {
        let end = inner.len() - fields.left();
        if found < highest {
            return Ok(None);
        }
        highest = found;
        if found < number {
            before = end;
        } else if found == number {
            after = Some(end);
        }
    }
    let mut out = wire::Writer::with_capacity(message.len() + text.len() + 8);
    out.raw(behind);
    out.message(outer, |out| {
        out.raw(&inner[after.unwrap_or(before)..]);
        out.bytes_field(number, text.as_bytes());
        out.raw(&inner[..before]);
    });
    Ok(Some(out.finish()))
}

/// What stands in the first field of `message`; `None` when the message does not open with field `number`.
pub fn first_field(message: &[u8], number: u32) -> Result<Option<&[u8]>, DecodeError> {
    match wire::Reader::new(message).field()? {
        Some((first, payload)) if first == number => payload.bytes().map(Some),
        _ => Ok(None),
    }
}

/// Puts `value` into an envelope that names `api_version` and `kind`.
pub fn seal(value: &Value, root: Root<'_>, api_version: &str, kind: &str) -> Vec<u8> {
    let mut out = wire::Writer::with_capacity(512);
    write_envelope(&mut out, api_version, kind, |out| encode::write(value, root, out));
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
    for (field, text) in [("apiVersion", envelope.api_version), ("kind", envelope.kind)] {
        // A watch event travels in an envelope too, but does not say itself what it is; options name no version there.
        if schema.field(id, field).is_some() && !text.is_empty() {
            decoded.value.set(&[field], text);
        }
    }
    Ok(decoded)
}

/// Puts an encoded message into an envelope.
pub fn enclose(message: &[u8], api_version: &str, kind: &str) -> Vec<u8> {
    let mut out = wire::Writer::with_capacity(message.len() + api_version.len() + kind.len() + 32);
    write_envelope(&mut out, api_version, kind, |out| out.raw(message));
    out.finish()
}

/// A list object of already encoded items: `metadata` is its `ListMeta`. The pieces belong together in this order.
///
/// # Panics
/// Never: the table holds ListMeta.
pub fn list(metadata: &Value, items: Vec<bytes::Bytes>, api_version: &str, kind: &str) -> Vec<bytes::Bytes> {
    let schema = object::Schema::builtin();
    let id = schema.named("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta").expect("the table holds ListMeta");
    let meta = encode(metadata, Root { schema, id });
    let mut head = wire::Writer::with_capacity(meta.len() + 16);
    head.bytes_field(1, &meta);
    let head = head.finish();
    // The prefixes of all items stand in one text, the last one first as everything here is written.
    let mut prefixes = wire::Writer::with_capacity(items.len() * 4 + 16);
    let mut behind = Vec::with_capacity(items.len() + 1);
    for item in items.iter().rev() {
        behind.push(prefixes.length());
        prefixes.length_prefix(2, item.len());
    }
    let prefixes = bytes::Bytes::from(prefixes.finish());
    let length = head.len() + prefixes.len() + items.iter().map(bytes::Bytes::len).sum::<usize>();
    let mut opening = wire::Writer::with_capacity(64);
    opening.raw(&head);
    opening.length_prefix(2, length);
    opening.message(1, |out| {
        out.bytes_field(2, kind.as_bytes());
        out.bytes_field(1, api_version.as_bytes());
    });
    opening.raw(MAGIC);
    let mut pieces = Vec::with_capacity(items.len() * 2 + 2);
    pieces.push(bytes::Bytes::from(opening.finish()));
    let mut from = 0;
    for (item, behind) in items.into_iter().zip(behind.into_iter().rev()) {
        let end = prefixes.len() - behind;
        pieces.push(prefixes.slice(from..end));
        pieces.push(item);
        from = end;
    }
    let mut closing = wire::Writer::with_capacity(8);
    closing.bytes_field(4, b"");
    closing.bytes_field(3, b"");
    pieces.push(closing.finish().into());
    pieces
}

/// One event of a watch stream: four bytes of length, then a `WatchEvent` whose object is the enveloped `object`.
pub fn event_frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = wire::Writer::with_capacity(object.len() + kind.len() + 32);
    out.message(2, |out| out.bytes_field(1, object));
    out.bytes_field(1, kind.as_bytes());
    let message = out.finish();
    let mut frame = Vec::with_capacity(message.len() + 4);
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

/// The same of an encoded message that is not copied. The pieces belong together in this order.
pub fn event(kind: &str, message: bytes::Bytes, api_version: &str, object_kind: &str) -> [bytes::Bytes; 3] {
    let behind = message.len() + ENVELOPE_END.len();
    let mut head = wire::Writer::with_capacity(64 + api_version.len() + object_kind.len());
    head.length_prefix(2, message.len());
    write_envelope_head(&mut head, api_version, object_kind);
    head.length_prefix(1, head.length() + behind);
    head.length_prefix(2, head.length() + behind);
    head.bytes_field(1, kind.as_bytes());
    let length = u32::try_from(head.length() + behind).unwrap_or(u32::MAX);
    head.raw(&length.to_be_bytes());
    [head.finish().into(), message, bytes::Bytes::from_static(ENVELOPE_END)]
}

/// The type and the enveloped object of a `WatchEvent` message.
pub fn open_event(message: &[u8]) -> Result<(&str, &[u8]), DecodeError> {
    let (mut kind, mut object): (&str, &[u8]) = ("", &[]);
    let mut reader = wire::Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => kind = field.text()?,
            2 => {
                let mut raw = wire::Reader::new(field.bytes()?);
                while let Some((number, field)) = raw.field()? {
                    if number == 1 {
                        object = field.bytes()?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok((kind, object))
}

/// Written back to front: content type and encoding (always empty), the message, the type, the magic.
fn write_envelope(out: &mut wire::Writer, api_version: &str, kind: &str, message: impl FnOnce(&mut wire::Writer)) {
    out.raw(ENVELOPE_END);
    out.message(2, message);
    write_envelope_head(out, api_version, kind);
}

fn write_envelope_head(out: &mut wire::Writer, api_version: &str, kind: &str) {
    out.message(1, |out| {
        out.bytes_field(2, kind.as_bytes());
        out.bytes_field(1, api_version.as_bytes());
    });
    out.raw(MAGIC);
}
