//! Proxied places: what they are told, and what of their answers changes on the way.

use std::collections::VecDeque;
use std::task::{Poll, ready};

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use kind::Refusal;
use serving::{Body, BodyError, Piece, Source};

use super::super::Asked;
use super::links::Links;
use super::place::{self, Place};

/// Bytes of a page whose links are changed, at most; a longer one passes as it is.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// How a proxied place's links are to be read.
pub(super) fn links_of(asked: &Asked<'_>, place: &Place) -> Links {
    let parts = asked.by.parts();
    let path = parts.uri.path();
    let below = place::below(path, !asked.target.namespace.is_empty());
    let asked_host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let asked_host = parts.uri.authority().map(http::uri::Authority::as_str).or(asked_host);
    Links {
        prefix: path[..path.len() - below.len()].to_owned(),
        own_hosts: [place.host.clone(), format!("{}:{}", place.host, place.port)],
        asked_host: asked_host.unwrap_or_default().to_owned(),
    }
}

/// Browsers read relative links from the last slash: whoever asks for the root of a proxied place without one is sent to
/// it with one.
pub(super) fn root(asked: &Asked<'_>) -> Option<Response<Body>> {
    let parts = asked.by.parts();
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let path = parts.uri.path();
    if !reads || !place::below(path, !asked.target.namespace.is_empty()).is_empty() {
        return None;
    }
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::try_from(format!("{path}/{query}")).ok()?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(LOCATION, location);
    Some(response)
}

/// Tells the place under which address it is seen, and asks for pages that can be read.
pub(super) fn announce(request: &mut Request<()>, links: &Links) {
    let path = format!("{}{}", links.prefix, request.uri().path());
    let headers = request.headers_mut();
    headers.remove(ACCEPT_ENCODING);
    if let Ok(path) = HeaderValue::try_from(path) {
        headers.insert(HeaderName::from_static("x-forwarded-uri"), path);
    }
}

pub(super) fn redirect(headers: &mut HeaderMap, links: &Links) {
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    if let Some(location) = location.and_then(|location| HeaderValue::try_from(links.through(location)).ok()) {
        headers.insert(LOCATION, location);
    }
}

/// Whether the answer is a page that can be read.
pub(super) fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim() == "text/html"
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(LOCATION)
}

pub(super) async fn rewrite(response: Response<Body>, links: &Links) -> Result<Response<Body>, Refusal> {
    let (mut parts, mut body) = response.into_parts();
    let mut page = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Refusal::Unavailable(format!("error trying to reach service: {error}")))?;
        page.extend_from_slice(&piece);
        if page.len() > PAGE_BYTES_MAX {
            let read = VecDeque::from([Bytes::from(page)]);
            return Ok(Response::from_parts(parts, Body::source(Unread { read, rest: body })));
        }
    }
    parts.headers.remove(CONTENT_LENGTH);
    let body = match String::from_utf8(page) {
        Ok(page) => Body::from(links.page(&page)),
        Err(other) => Body::from(other.into_bytes()),
    };
    Ok(Response::from_parts(parts, body))
}

/// A body whose beginning was read already.
struct Unread {
    read: VecDeque<Bytes>,
    rest: Body,
}

impl Source for Unread {
    fn poll_chunk(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        if let Some(piece) = self.read.pop_front() {
            return Poll::Ready(Some(Ok(piece.into())));
        }
        let next = std::pin::pin!(self.rest.next());
        Poll::Ready(ready!(next.poll(cx)).map(|next| next.map(Piece::from)))
    }
}
