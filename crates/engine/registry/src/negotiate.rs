//! Which form an answer takes, from what the client accepts; and which form a body has.
//!
//! Rules: `k8s.io/apiserver/pkg/endpoints/handlers/negotiation`.

use kind::Refusal;

use crate::form::{Include, Media, Shape, Wanted};

/// What resources can be sent as.
pub const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

const META_GROUP: &str = "meta.k8s.io";

/// One media range of an Accept header.
#[derive(Debug, Clone, PartialEq)]
struct Range<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

/// The form for an answer, given the Accept header and whether people will read it.
pub fn wanted(accept: &str, pretty: bool, protobuf: bool) -> Result<Wanted, Refusal> {
    let json = Wanted { media: Media::Json, shape: Shape::Object, pretty };
    if accept.trim().is_empty() {
        return Ok(json);
    }
    let ranges = ranges(accept);
    let found = ranges.iter().find_map(|range| {
        let media = match range.media {
            "*/*" | "application/*" | "application/json" => Media::Json,
            "application/yaml" => Media::Yaml,
            "application/vnd.kubernetes.protobuf" if protobuf => Media::Protobuf,
            _ => return None,
        };
        Some(Wanted { media, shape: shape(range)?, pretty })
    });
    found.ok_or_else(|| Refusal::NotAcceptable(ACCEPTED.to_owned()))
}

/// The media type with which an answer of `wanted` is labelled.
pub fn content_type(wanted: Wanted, stream: bool) -> &'static str {
    match (wanted.media, stream) {
        (Media::Json, false) => "application/json",
        // Upstream labels JSON watches plainly; clients look at nothing but the media type.
        (Media::Json | Media::Yaml, true) => "application/json",
        (Media::Yaml, false) => "application/yaml",
        (Media::Protobuf, false) => "application/vnd.kubernetes.protobuf",
        (Media::Protobuf, true) => "application/vnd.kubernetes.protobuf;stream=watch",
    }
}

/// What a request's body is written in; JSON when it does not say.
pub fn body_media(content_type: &str) -> Result<Media, Refusal> {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "" | "application/json" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Media::Protobuf),
        _ => Err(Refusal::UnsupportedMediaType(ACCEPTED.to_owned())),
    }
}

/// Whether a client accepts aggregated discovery of v2, and nothing before it in its list.
pub fn wants_aggregated_discovery(accept: &str) -> bool {
    let first = ranges(accept).into_iter().find(|range| matches!(range.media, "application/json" | "*/*"));
    first.is_some_and(|range| {
        let has = |key: &str, value: &str| range.parameters.iter().any(|(k, v)| *k == key && *v == value);
        has("g", "apidiscovery.k8s.io") && has("v", "v2") && has("as", "APIGroupDiscoveryList")
    })
}

/// `as=Table;v=v1;g=meta.k8s.io` and its like; `None` for a form that is not known, whereupon the next range is tried.
fn shape(range: &Range<'_>) -> Option<Shape> {
    let parameter = |key: &str| range.parameters.iter().find(|(k, _)| *k == key).map(|(_, value)| *value);
    let known = parameter("g") == Some(META_GROUP) && matches!(parameter("v"), Some("v1" | "v1beta1"));
    match parameter("as") {
        None => Some(Shape::Object),
        Some("Table") if known => Some(Shape::Table(Include::Metadata)),
        Some("PartialObjectMetadata" | "PartialObjectMetadataList") if known => Some(Shape::Metadata),
        Some(_) => None,
    }
}

fn ranges(accept: &str) -> Vec<Range<'_>> {
    let mut ranges: Vec<Range<'_>> = accept
        .split(',')
        .filter_map(|text| {
            let mut parts = text.split(';').map(str::trim);
            let media = parts.next().filter(|media| !media.is_empty())?;
            let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
            let quality = parameters.iter().find(|(key, _)| *key == "q").and_then(|(_, q)| q.parse().ok());
            Some(Range { media, parameters, quality: quality.unwrap_or(1.0) })
        })
        .collect();
    ranges.sort_by(|left, right| right.quality.total_cmp(&left.quality));
    ranges
}

#[cfg(test)]
mod tests;
