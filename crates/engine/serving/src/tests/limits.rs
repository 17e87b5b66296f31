//! Bounds: what is too much, too slow or too late ends.

use std::time::Duration;

use env::time::Instant;
use http::StatusCode;
use http_body_util::BodyExt;
use pki::tls::{ALPN_H2, ALPN_HTTP_1_1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Limits;
use crate::tests::{PATIENCE, Running, get, post, service, soon, text};

fn short() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(400),
        handshake_timeout: Duration::from_millis(200),
        drain_timeout: Duration::from_millis(200),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused() {
    let server = Running::start(service(), Limits::default()).await;
    let response = soon("h1", server.h1(None).await.send_request(post("/echo", vec![b'x'; 1001]))).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(response).await, "Request entity too large: limit is 1000");
    let response = soon("h2", server.h2(None).await.send_request(post("/echo", vec![b'x'; 1001]))).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_head_beyond_the_bound_is_refused() {
    let limits = Limits { header_bytes_max: 16 << 10, ..Limits::default() };
    let server = Running::start(service(), limits).await;
    let mut request = get("/");
    request.headers_mut().insert("x-long", "x".repeat(20 << 10).parse().unwrap());
    let response = soon("h1", server.h1(None).await.send_request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_its_connection() {
    let server = Running::start(service(), short()).await;
    for sent in [&b""[..], b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = server.connect(ALPN_HTTP_1_1, None).await;
        stream.write_all(sent).await.unwrap();
        let mut rest = Vec::new();
        // A reset is as good as an orderly end.
        let ended = soon("the end of a slow connection", stream.read_to_end(&mut rest)).await;
        assert!(ended.is_err() || rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_ends_its_connection() {
    let server = Running::start(service(), short()).await;
    let mut stream = env::net::connect_tcp(server.address).await.unwrap();
    let mut rest = Vec::new();
    let ended = soon("the end of a silent connection", stream.read_to_end(&mut rest)).await;
    assert!(ended.is_err() || rest.is_empty());
}

#[tokio::test]
async fn idle_connections_end_and_busy_ones_do_not() {
    let server = Running::start(service(), short()).await;
    let mut stream = server.connect(ALPN_HTTP_1_1, None).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    soon("the end of an idle connection", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.ends_with(b"ok"));

    let mut h2 = server.connect(ALPN_H2, None).await;
    h2.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut frames = Vec::new();
    let ended = soon("the end of an idle connection", h2.read_to_end(&mut frames)).await;
    assert!(ended.is_err() || frames.windows(4).any(|bytes| bytes[3] == 7), "no GOAWAY in {frames:?}");

    let mut busy = server.h1(None).await;
    let began = Instant::now();
    let hung = env::time::timeout(Duration::from_millis(1200), busy.send_request(get("/hang"))).await;
    assert!(hung.is_err(), "a running request is not idle: {hung:?} after {:?}", began.elapsed());
}

#[tokio::test]
async fn draining_lets_running_requests_end_and_cuts_the_rest() {
    let server = Running::start(service(), short()).await;
    let (mut idle, mut h2) = (server.h1(None).await, server.h2(None).await);
    assert_eq!(text(soon("h1", idle.send_request(get("/"))).await.unwrap()).await, "ok");
    let mut hanging = h2.clone();
    let hung =
        env::task::spawn(
            env::task::Fate::Local,
            "hang",
            async move { hanging.send_request(get("/hang")).await.is_err() },
        );
    let list = soon("h2", h2.send_request(get("/list"))).await.unwrap();
    server.shutdown.cancel();
    assert_eq!(soon("the list", list.into_body().collect()).await.unwrap().to_bytes().len(), 10_000);
    let began = Instant::now();
    let drained = soon("the end", server.ended).await.unwrap();
    assert_eq!(drained.connections_cut, 1, "the one with a request that never ends");
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(soon("the hanging request", hung).await, Some(true));
}

#[tokio::test]
async fn more_connections_than_the_bound_wait_their_turn() {
    let limits = Limits { connections_max: 1, ..short() };
    let server = Running::start(service(), limits).await;
    let mut first = server.h1(None).await;
    assert_eq!(text(soon("the first", first.send_request(get("/"))).await.unwrap()).await, "ok");
    // Its turn comes when the first has been idle for long enough.
    let mut second = server.h1(None).await;
    assert_eq!(text(soon("the second", second.send_request(get("/"))).await.unwrap()).await, "ok");
}
