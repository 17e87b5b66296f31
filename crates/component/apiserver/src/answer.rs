//! Answers: status, headers, and bodies made of shared pieces.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WARNING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use kind::Refusal;
use object::Value;
use registry::form::{Shape, Wanted, render_builtin};
use registry::negotiate;
use serving::Body;

/// The form of refusals: whatever of JSON, YAML and protobuf the client reads; never a table.
pub(crate) fn wanted_for_refusals(headers: &HeaderMap) -> Wanted {
    let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let pretty = is_person(headers);
    let wanted = negotiate::wanted(accept, pretty, true).unwrap_or(Wanted { pretty, ..Wanted::JSON });
    Wanted { shape: Shape::Object, ..wanted }
}

/// The form of an answer that is an object and nothing else: no table can be made of it.
pub(crate) fn wanted_whole(headers: &HeaderMap, query: &gate::Query) -> Result<Wanted, Refusal> {
    let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = negotiate::wanted(accept, is_pretty(headers, query), true)?;
    if wanted.shape == Shape::Object { Ok(wanted) } else { Err(Refusal::NotAcceptable(negotiate::ACCEPTED.to_owned())) }
}

/// A refusal as the client sees it.
pub(crate) fn refusal(refusal: &Refusal, wanted: Wanted) -> Response<Body> {
    let code = StatusCode::from_u16(refusal.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = status(&refusal.status(), code, wanted);
    if let Some(seconds) = refusal.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// A `Status` object.
pub(crate) fn status(status: &Value, code: StatusCode, wanted: Wanted) -> Response<Body> {
    match render_builtin(status, ("v1", "Status"), wanted) {
        Ok(pieces) => pieces_with(code, negotiate::content_type(wanted, false), pieces),
        Err(problem) => text(StatusCode::INTERNAL_SERVER_ERROR, &problem.to_string()),
    }
}

/// A kind of the built-in table.
pub(crate) fn builtin(
    tree: &Value,
    type_meta: (&str, &str),
    code: StatusCode,
    wanted: Wanted,
) -> Result<Response<Body>, Refusal> {
    let pieces = render_builtin(tree, type_meta, wanted)?;
    Ok(pieces_with(code, negotiate::content_type(wanted, false), pieces))
}

/// A body of pieces.
pub(crate) fn pieces_with(code: StatusCode, content_type: &'static str, pieces: Vec<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::chunks(pieces));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// JSON that was made elsewhere.
pub(crate) fn json(bytes: impl Into<Bytes>) -> Response<Body> {
    pieces_with(StatusCode::OK, "application/json", vec![bytes.into()])
}

/// Plain text.
pub(crate) fn text(code: StatusCode, text: &str) -> Response<Body> {
    let mut response = pieces_with(code, "text/plain; charset=utf-8", vec![Bytes::copy_from_slice(text.as_bytes())]);
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// Adds what the client should be told though all is well (RFC 7234, code 299).
pub(crate) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let cleaned: String = warning.chars().filter(|c| !c.is_control()).collect();
        let quoted = cleaned.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// Whether people read the answer: they asked for it, or come with a command-line client.
pub(crate) fn is_pretty(headers: &HeaderMap, query: &gate::Query) -> bool {
    if query.get("pretty").is_some() {
        return query.flag("pretty");
    }
    is_person(headers)
}

/// Whether the client is one that people type.
fn is_person(headers: &HeaderMap) -> bool {
    let agent = headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla"].iter().any(|person| agent.starts_with(person))
}
