//! The HTTP/1.1 upgrade to SPDY/3.1 or WebSocket, and the negotiation of a subprotocol, at both ends.
//!
//! Accepting answers with a bodyless [`Response`] that the HTTP server has to send; only then does the connection
//! change hands. Refusals carry upstream's codes and words, which clients and people match on.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{Error, Io, Limits, spdy};

/// Subprotocols a SPDY client speaks, best first; and the one that the server chose.
pub const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// Subprotocols the server would have spoken, on a refusal.
pub const ACCEPTED_PROTOCOLS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");
const WS_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const WS_ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");
const WS_VERSION: HeaderName = HeaderName::from_static("sec-websocket-version");
const WS_PROTOCOL: HeaderName = HeaderName::from_static("sec-websocket-protocol");
const WS_VERSION_VALUE: &str = "13";

/// What an upgrade request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// SPDY/3.1.
    Spdy,
    /// WebSocket.
    WebSocket,
}

/// Which of the two upgrades, if any, these request headers ask for.
pub fn wanted(headers: &HeaderMap) -> Option<Wanted> {
    if !has_token(headers, &CONNECTION, "upgrade") {
        return None;
    }
    if has_token(headers, &UPGRADE, "websocket") {
        Some(Wanted::WebSocket)
    } else if has_token(headers, &UPGRADE, spdy::UPGRADE) {
        Some(Wanted::Spdy)
    } else {
        None
    }
}

/// Whether these request headers ask for any upgrade at all.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, &CONNECTION, "upgrade")
}

/// The subprotocols that a WebSocket client offers, best first.
pub fn websocket_protocols(headers: &HeaderMap) -> Vec<&str> {
    listed(headers, &WS_PROTOCOL)
}

/// A refused upgrade, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The code to answer with.
    pub status: StatusCode,
    /// The plain text to answer with.
    pub message: String,
    /// Headers of the answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal of a request that does not make sense.
    pub fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, message: message.into(), headers: Vec::new() }
    }

    /// The answer, as plain text.
    pub fn into_response(self) -> Response<String> {
        let mut response = Response::new(self.message + "\n");
        *response.status_mut() = self.status;
        *response.headers_mut() = appended(self.headers);
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(http::header::CONTENT_TYPE, text);
        response
    }
}

/// A granted upgrade: the answer to send, and the connection to come after it.
#[derive(Debug)]
pub struct Granted {
    /// `101 Switching Protocols`.
    pub response: Response<()>,
    /// The subprotocol, one of those supported; `None` when the client named none.
    pub protocol: Option<&'static str>,
    connection: OnUpgrade,
}

impl Granted {
    /// The bare connection, once the answer is sent.
    pub async fn connection(self) -> Result<Io, Error> {
        Ok(Box::new(TokioIo::new(self.connection.await?)))
    }
}

/// Grants an upgrade to SPDY with one of the `supported` subprotocols (the client's first choice among them).
pub fn grant_spdy<B>(request: &mut Request<B>, supported: &[&'static str]) -> Result<Granted, Refusal> {
    if wanted(request.headers()) != Some(Wanted::Spdy) {
        return Err(Refusal::bad_request("unable to upgrade: missing upgrade headers in request"));
    }
    let offered = listed(request.headers(), &STREAM_PROTOCOL);
    let protocol = choose(&offered, supported).map_err(|()| {
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]",
            offered.join(" "),
            supported.join(" ")
        );
        let accepted = supported.iter().map(|name| (ACCEPTED_PROTOCOLS, HeaderValue::from_static(name)));
        Refusal { status: StatusCode::FORBIDDEN, message, headers: accepted.collect() }
    })?;
    let mut headers = upgrade_headers(HeaderValue::from_static(spdy::UPGRADE));
    if let Some(protocol) = protocol {
        headers.insert(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(granted(request, headers, protocol))
}

/// Grants an upgrade to WebSocket with one of the `supported` subprotocols (the client's first choice among them).
pub fn grant_websocket<B>(request: &mut Request<B>, supported: &[&'static str]) -> Result<Granted, Refusal> {
    let headers = request.headers();
    if wanted(headers) != Some(Wanted::WebSocket) {
        return Err(Refusal::bad_request("unable to upgrade: missing upgrade headers in request"));
    }
    if headers.get(WS_VERSION).is_none_or(|version| version != WS_VERSION_VALUE) {
        let mut refusal = Refusal::bad_request("missing or bad WebSocket Version");
        refusal.headers.push((WS_VERSION, HeaderValue::from_static(WS_VERSION_VALUE)));
        return Err(refusal);
    }
    let key = headers.get(WS_KEY).ok_or_else(|| Refusal::bad_request("mismatch challenge/response"))?;
    let accept = derive_accept_key(key.as_bytes());
    let offered = listed(headers, &WS_PROTOCOL);
    let protocol = choose(&offered, supported).map_err(|()| Refusal {
        status: StatusCode::FORBIDDEN,
        message: format!(
            "requested protocol(s) are not supported: [{}]; supports [{}]",
            offered.join(" "),
            supported.join(" ")
        ),
        headers: Vec::new(),
    })?;
    let mut headers = upgrade_headers(HeaderValue::from_static("websocket"));
    headers.insert(WS_ACCEPT, HeaderValue::try_from(accept).expect("base64 is a header value"));
    if let Some(protocol) = protocol {
        headers.insert(WS_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(granted(request, headers, protocol))
}

fn granted<B>(request: &mut Request<B>, headers: HeaderMap, protocol: Option<&'static str>) -> Granted {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    Granted { response, protocol, connection: hyper::upgrade::on(request) }
}

fn upgrade_headers(to: HeaderValue) -> HeaderMap {
    appended([(CONNECTION, HeaderValue::from_static("Upgrade")), (UPGRADE, to)])
}

fn appended(pairs: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    listed(headers, name).iter().any(|item| item.eq_ignore_ascii_case(token))
}

fn choose(offered: &[&str], supported: &[&'static str]) -> Result<Option<&'static str>, ()> {
    if offered.is_empty() {
        return Ok(None);
    }
    let chosen = offered.iter().find_map(|offer| supported.iter().find(|known| *known == offer).copied());
    chosen.map(Some).ok_or(())
}

// === the client's end ===

/// Marks `request` as an upgrade to SPDY with these subprotocols, best first.
pub fn ask_spdy(request: &mut Request<()>, protocols: &[&'static str]) {
    let headers = request.headers_mut();
    headers.extend(upgrade_headers(HeaderValue::from_static(spdy::UPGRADE)));
    headers.remove(STREAM_PROTOCOL);
    for protocol in protocols {
        headers.append(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
    }
}

/// Marks `request` as an upgrade to WebSocket with these subprotocols, best first.
pub fn ask_websocket(request: &mut Request<()>, protocols: &[&'static str]) {
    let mut nonce = [0; 16];
    env::rand::fill(&mut nonce);
    let key = base64::engine::general_purpose::STANDARD.encode(nonce);
    let headers = request.headers_mut();
    headers.extend(upgrade_headers(HeaderValue::from_static("websocket")));
    headers.insert(WS_KEY, HeaderValue::try_from(key).expect("base64 is a header value"));
    headers.insert(WS_VERSION, HeaderValue::from_static(WS_VERSION_VALUE));
    if !protocols.is_empty() {
        let list = HeaderValue::try_from(protocols.join(", ")).expect("protocol names are header values");
        headers.insert(WS_PROTOCOL, list);
    }
}

/// The answer to an upgrade request sent with [`dial`].
#[derive(Debug)]
pub enum Answer {
    /// The peer switched.
    Switched(Response<()>, Upgraded),
    /// The peer answered like any HTTP server; its body is still to be read.
    Plain(Response<hyper::body::Incoming>),
}

/// Sends `request` over the fresh connection `io`, as HTTP/1.1, and waits for the answer's head.
///
/// An absolute URI provides the `Host` header where that is missing.
pub async fn dial(io: Io, mut request: Request<()>) -> Result<Answer, Error> {
    if let Some(authority) = request.uri().authority().cloned()
        && !request.headers().contains_key(HOST)
    {
        let host = HeaderValue::try_from(authority.as_str()).expect("an authority is a header value");
        request.headers_mut().insert(HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| http::Uri::from_static("/"), http::Uri::from);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    let driving = async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(error = %crate::chain(&error), "an upgrade request's connection fails");
        }
    };
    env::task::spawn(env::task::Fate::Local, "upgrade request", driving);
    let mut response = sender.send_request(request.map(|()| Empty::<Bytes>::new())).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Answer::Plain(response));
    }
    let upgraded = hyper::upgrade::on(&mut response).await?;
    Ok(Answer::Switched(response.map(drop), upgraded))
}

/// Like [`dial`], but anything except a switch to `to` is an error that carries the beginning of the body.
///
/// Returns the chosen subprotocol with the connection.
pub async fn dial_switch(
    io: Io,
    request: Request<()>,
    to: Wanted,
    limits: &Limits,
) -> Result<(Option<String>, Io), Error> {
    let key = request.headers().get(WS_KEY).cloned();
    let (response, upgraded) = match dial(io, request).await? {
        Answer::Switched(response, upgraded) => (response, upgraded),
        Answer::Plain(response) => {
            let status = response.status();
            let body = Limited::new(response.into_body(), limits.refusal_bytes_max).collect().await;
            let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            return Err(Error::Rejected { status, body });
        }
    };
    let headers = response.headers();
    if wanted(headers) != Some(to) {
        let protocol = headers.get(UPGRADE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        return Err(Error::Protocol(protocol.unwrap_or_default()));
    }
    if let Some(key) = key {
        let expected = derive_accept_key(key.as_bytes());
        if headers.get(WS_ACCEPT).is_none_or(|accept| accept != expected.as_str()) {
            return Err(Error::Protocol("a WebSocket that did not read the key".to_owned()));
        }
    }
    let name = if to == Wanted::Spdy { &STREAM_PROTOCOL } else { &WS_PROTOCOL };
    let protocol = listed(headers, name).first().map(|protocol| (*protocol).to_owned());
    Ok((protocol, Box::new(TokioIo::new(upgraded))))
}
