//! Reading a request's body as an object.

use bytes::Bytes;
use codec::{DecodeError, Decoded, Root, json, proto, yaml};
use gate::Authorized;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use kind::{Refusal, Strategy};
use object::Value;
use registry::form::Media;
use registry::negotiate;
use serving::{Body, CollectError};

use super::options::FieldValidation;

/// Most bytes of a request's body.
pub(crate) const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// An object from a client, and what to tell it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
}

/// The whole body.
pub(crate) async fn collect(body: Body) -> Result<Bytes, Refusal> {
    serving::collect(body, BODY_BYTES_MAX as u64).await.map_err(|error| match error {
        CollectError::TooLarge { .. } => Refusal::TooLarge { bytes_max: BODY_BYTES_MAX },
        CollectError::Broken(error) => Refusal::BadRequest(format!("the body could not be read: {error}")),
    })
}

/// The media type of the body.
pub(crate) fn media(parts: &Parts) -> Result<Media, Refusal> {
    let value = parts.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("invalid"));
    negotiate::body_media(value.unwrap_or_default())
}

/// Reads an object of the strategy's kind, and notes for the client what of it no field is for.
pub(super) async fn object(
    by: &Authorized,
    body: Body,
    strategy: &dyn Strategy,
    validation: FieldValidation,
) -> Result<Value, Refusal> {
    let media = media(by.parts())?;
    let bytes = collect(body).await?;
    let (schema, id) = strategy.root();
    let resource = strategy.resource();
    let received = of_kind(&bytes, media, Root { schema, id }, (&resource.api_version(), &resource.kind), validation)?;
    by.warn(received.warnings);
    Ok(received.object)
}

/// Reads an object that must be of one kind.
pub(super) fn of_kind(
    bytes: &[u8],
    media: Media,
    root: Root<'_>,
    (api_version, kind): (&str, &str),
    validation: FieldValidation,
) -> Result<Received, Refusal> {
    let decoded = decode(bytes, media, root, (api_version, kind))?;
    let mut object = decoded.value;
    check_type(&object, api_version, kind)?;
    object.set(&["apiVersion"], api_version);
    object.set(&["kind"], kind);
    match validation {
        FieldValidation::Strict if !decoded.strict_problems.is_empty() => Err(Refusal::BadRequest(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: strict decoding error: {}",
            version(api_version),
            decoded.strict_problems.join(", ")
        ))),
        FieldValidation::Warn => Ok(Received { object, warnings: decoded.strict_problems }),
        FieldValidation::Strict | FieldValidation::Ignore => Ok(Received { object, warnings: Vec::new() }),
    }
}

fn decode(bytes: &[u8], media: Media, root: Root<'_>, (api_version, kind): (&str, &str)) -> Result<Decoded, Refusal> {
    let decoded = match media {
        Media::Json => json::decode(bytes, root),
        Media::Yaml => yaml::decode(bytes, root),
        Media::Protobuf => return decode_protobuf(bytes, root, (api_version, kind)),
    };
    decoded.map_err(|error| match error {
        DecodeError::Syntax(problem) => Refusal::BadRequest(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {problem} ({})",
            head(bytes)
        )),
        DecodeError::Type(_) | DecodeError::TooDeep => Refusal::BadRequest(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: {error}",
            version(api_version)
        )),
    })
}

fn decode_protobuf(bytes: &[u8], root: Root<'_>, (api_version, kind): (&str, &str)) -> Result<Decoded, Refusal> {
    let broken = |error: DecodeError| {
        Refusal::BadRequest(format!(
            "the object provided is unrecognized (must be of type {kind}): {error} ({})",
            head(bytes)
        ))
    };
    let envelope = proto::open(bytes).map_err(broken)?;
    if !envelope.kind.is_empty() && (envelope.kind != kind || envelope.api_version != api_version) {
        return Err(wrong_type(envelope.api_version, envelope.kind, api_version, kind));
    }
    proto::decode(envelope.message, root).map_err(broken)
}

/// What an object says of its type must be what its place says; saying nothing is fine.
fn check_type(object: &Value, api_version: &str, kind: &str) -> Result<(), Refusal> {
    let said = |key: &str| object.str_at(&[key]).filter(|text| !text.is_empty());
    let (said_version, said_kind) = (said("apiVersion").unwrap_or(api_version), said("kind").unwrap_or(kind));
    if said_version == api_version && said_kind == kind {
        Ok(())
    } else {
        Err(wrong_type(said_version, said_kind, api_version, kind))
    }
}

fn wrong_type(said_version: &str, said_kind: &str, api_version: &str, kind: &str) -> Refusal {
    if said_kind == kind {
        return Refusal::BadRequest(format!(
            "the API version in the data ({said_version}) does not match the expected API version ({api_version})"
        ));
    }
    Refusal::BadRequest(format!(
        "the object provided is unrecognized (must be of type {kind}): {said_kind} in version {said_version:?} cannot be \
         handled as a {kind}"
    ))
}

fn version(api_version: &str) -> &str {
    api_version.rsplit('/').next().unwrap_or_default()
}

/// The beginning of a body in hexadecimal, as upstream shows what it could not read.
fn head(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(30).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > 30 { " ..." } else { "" };
    format!("{shown}{more}")
}
