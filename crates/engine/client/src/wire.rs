//! Trees to bytes and back, by the content type.

use bytes::Bytes;
use codec::{Root, json, proto};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use kind::{Refusal, Resource};
use object::{Schema, Value};

use crate::{Depth, Error};

pub(crate) const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const PROTOBUF_FIRST: &str = "application/vnd.kubernetes.protobuf,application/json";
const WATCH_PROTOBUF_FIRST: &str =
    "application/vnd.kubernetes.protobuf;stream=watch,application/json;stream=watch,application/json";
const METADATA_FIRST: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
     application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST_FIRST: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
     application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// The shape of what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Object,
    List,
    Watch,
}

/// The `Accept` header for a resource.
pub(crate) fn accept(resource: &Resource, asked: Asked, depth: Depth) -> &'static str {
    match (depth, asked) {
        (Depth::Metadata, Asked::List) => METADATA_LIST_FIRST,
        (Depth::Metadata, _) => METADATA_FIRST,
        (Depth::Whole, _) if !is_builtin(resource) => JSON,
        (Depth::Whole, Asked::Watch) => WATCH_PROTOBUF_FIRST,
        (Depth::Whole, _) => PROTOBUF_FIRST,
    }
}

fn is_builtin(resource: &Resource) -> bool {
    Root::builtin(&resource.api_version(), &resource.kind).is_some()
}

/// The bytes of an object that names its kind, and their content type.
pub(crate) fn encode(tree: &Value) -> (Bytes, &'static str) {
    let api_version = tree.str_at(&["apiVersion"]).unwrap_or_default();
    let kind = tree.str_at(&["kind"]).unwrap_or_default();
    match Root::builtin(api_version, kind) {
        Some(root) => (proto::seal(tree, root, api_version, kind).into(), PROTOBUF),
        None => (encode_json(tree), JSON),
    }
}

/// The bytes of any tree as JSON.
pub(crate) fn encode_json(tree: &Value) -> Bytes {
    let mut out = Vec::with_capacity(512);
    json::write(tree, &mut out);
    out.into()
}

/// Whether the headers announce protobuf.
pub(crate) fn is_protobuf(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.starts_with(PROTOBUF)
}

/// The object in `bytes`.
pub(crate) fn decode(bytes: &[u8], protobuf: bool) -> Result<Value, Error> {
    if protobuf {
        return Ok(proto::decode_enveloped(bytes, Schema::builtin())?.value);
    }
    Ok(json::parse(bytes)?)
}

/// The refusal in an answer that is no success.
pub(crate) fn refusal(code: u16, retry_after_seconds: Option<u32>, bytes: &[u8], protobuf: bool) -> Refusal {
    let decoded = decode(bytes, protobuf).ok();
    let mut status = decoded.filter(|tree| tree.str_at(&["kind"]) == Some("Status")).unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(WORDS_BYTES_MAX)]);
        foreign(code, text.trim())
    });
    if let Some(seconds) = retry_after_seconds.filter(|_| status.at(&["details", "retryAfterSeconds"]).is_none()) {
        status.set(&["details", "retryAfterSeconds"], i64::from(seconds));
    }
    Refusal::Status(Box::new(status))
}

/// How much of a foreign answer goes into a message (upstream: 2 KiB).
const WORDS_BYTES_MAX: usize = 2048;

/// A status for an answer that somebody between us and the server made.
fn foreign(code: u16, text: &str) -> Value {
    let reason = match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    let message = if text.is_empty() { format!("the server answered with status {code}") } else { text.to_owned() };
    let mut status = Value::from_pairs([
        ("apiVersion", "v1"),
        ("kind", "Status"),
        ("status", "Failure"),
        ("reason", reason),
        ("message", message.as_str()),
    ]);
    status.set(&["code"], i64::from(code));
    status
}

/// Names the kind of an object that came without it (list items) or in a wrapper (metadata only).
pub(crate) fn name_kind(tree: &mut Value, resource: &Resource) {
    tree.set(&["apiVersion"], resource.api_version());
    tree.set(&["kind"], resource.kind.clone());
}
