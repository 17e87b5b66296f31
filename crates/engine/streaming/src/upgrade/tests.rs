//! Requests as clients write them, and the answers.

use super::*;

type Lines = &'static [(&'static str, &'static str)];

/// A request with these header lines.
fn request(headers: Lines) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    request
}

#[test]
fn upgrades_are_recognized_in_any_case_and_company() {
    let cases: [(Lines, Option<Wanted>); 6] = [
        (&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")], Some(Wanted::Spdy)),
        (&[("connection", "keep-alive, upgrade"), ("upgrade", "WebSocket")], Some(Wanted::WebSocket)),
        (&[("connection", "upgrade"), ("upgrade", "h2c, websocket")], Some(Wanted::WebSocket)),
        (&[("upgrade", "websocket")], None),
        (&[("connection", "upgrade"), ("upgrade", "h2c")], None),
        (&[("connection", "upgraded"), ("upgrade", "websocket")], None),
    ];
    for (headers, expected) in cases {
        assert_eq!(wanted(request(headers).headers()), expected, "{headers:?}");
    }
}

#[test]
fn the_clients_first_known_protocol_is_chosen() {
    let mut asking = request(&[
        ("connection", "Upgrade"),
        ("upgrade", "SPDY/3.1"),
        ("x-stream-protocol-version", "v9.channel.k8s.io, v2.channel.k8s.io"),
        ("x-stream-protocol-version", "v4.channel.k8s.io"),
    ]);
    let granted = grant_spdy(&mut asking, &["v4.channel.k8s.io", "v2.channel.k8s.io"]).unwrap();
    assert_eq!(granted.protocol, Some("v2.channel.k8s.io"));
    assert_eq!(granted.response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(granted.response.headers()[STREAM_PROTOCOL], "v2.channel.k8s.io");
    assert_eq!(granted.response.headers()[UPGRADE], "SPDY/3.1");
}

#[test]
fn the_accepted_key_is_that_of_the_rfc() {
    let mut asking = request(&[
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]);
    let granted = grant_websocket(&mut asking, &["channel.k8s.io"]).unwrap();
    // RFC 6455, section 1.3.
    assert_eq!(granted.response.headers()[WS_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(granted.protocol, None, "no protocol was named, so none is answered");
}

#[test]
fn refusals_say_what_would_be_accepted() {
    let mut asking = request(&[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "8")]);
    let response = grant_websocket(&mut asking, &[]).unwrap_err().into_response();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.headers()[WS_VERSION], "13");

    let mut asking =
        request(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream-protocol-version", "v9")]);
    let response = grant_spdy(&mut asking, &["v4.channel.k8s.io", "channel.k8s.io"]).unwrap_err().into_response();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let accepted: Vec<_> = response.headers().get_all(ACCEPTED_PROTOCOLS).iter().collect();
    assert_eq!(accepted, ["v4.channel.k8s.io", "channel.k8s.io"]);

    let response = grant_spdy(&mut request(&[]), &[]).unwrap_err().into_response();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.body(), "unable to upgrade: missing upgrade headers in request\n");
}
