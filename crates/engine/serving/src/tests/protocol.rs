//! Handshakes, protocols, upgrades, doors.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{Request, StatusCode, Version};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use pki::Usage;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::tests::{Running, authority, get, pair, post, service, soon, text};
use crate::{Body, Door, Limits, Peer, Server, take_upgraded};

#[tokio::test]
async fn both_protocols_answer() {
    let server = Running::start(service(), Limits::default()).await;
    let response = soon("h1", server.h1(None).await.send_request(get("/"))).await.unwrap();
    assert_eq!((response.version(), text(response).await.as_str()), (Version::HTTP_11, "ok"));
    let response = soon("h2", server.h2(None).await.send_request(get("/"))).await.unwrap();
    assert_eq!((response.version(), text(response).await.as_str()), (Version::HTTP_2, "ok"));
}

#[tokio::test]
async fn a_bad_client_certificate_reaches_the_service() {
    let server = Running::start(service(), Limits::default()).await;
    let stranger = pair(&authority(), "stranger", Usage::Client);
    for certificate in [None, Some(&stranger)] {
        let expected = format!("Tls {}", usize::from(certificate.is_some()));
        let response = soon("h1", server.h1(certificate).await.send_request(get("/who"))).await.unwrap();
        assert_eq!(text(response).await, expected);
        let response = soon("h2", server.h2(certificate).await.send_request(get("/who"))).await.unwrap();
        assert_eq!(text(response).await, expected);
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = Running::start(service(), Limits::default()).await;
    let mut h1 = server.h1(None).await;
    for _ in 0..10 {
        assert_eq!(text(soon("h1", h1.send_request(get("/"))).await.unwrap()).await, "ok");
        soon("the connection", h1.ready()).await.unwrap();
    }
    let h2 = server.h2(None).await;
    let requests = (0..50).map(|_| {
        let mut h2 = h2.clone();
        async move { text(h2.send_request(get("/list")).await.unwrap()).await.len() }
    });
    let lengths = soon("h2", futures::future::join_all(requests)).await;
    assert!(lengths.iter().all(|length| *length == 10_000), "{lengths:?}");
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> String {
    stream.write_all(b"abcd").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn http1_connections_can_be_taken_over() {
    let server = Running::start(service(), Limits::default()).await;
    let request = Request::get("/upgrade").header(CONNECTION, "Upgrade").header(UPGRADE, "reverse");
    let request = request.header("host", "x").body(Full::<Bytes>::default()).unwrap();
    let mut h1 = server.h1(None).await;
    let response = soon("the answer", h1.send_request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = soon("the upgrade", hyper::upgrade::on(response)).await.unwrap();
    assert_eq!(soon("the echo", say(TokioIo::new(upgraded))).await, "dcba");
}

#[tokio::test]
async fn a_door_leads_to_the_same_service() {
    let door = Door::new(service(), Peer::in_memory(None));
    let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let mut response = door.call(request("/who")).await;
    assert_eq!(response.body_mut().next().await.unwrap().unwrap(), "Memory 0");

    let mut request = request("/upgrade");
    request.headers_mut().insert(UPGRADE, "reverse".parse().unwrap());
    let mut response = door.call(request).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = take_upgraded(&mut response).await.unwrap();
    assert_eq!(soon("the echo", say(upgraded)).await, "dcba");
}

#[tokio::test]
async fn a_plain_server_answers() {
    let listener = env::net::listen_tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address().unwrap();
    let shutdown = env::task::Shutdown::new();
    let running = Server::new(service()).run(listener, shutdown.clone());
    let running = env::task::spawn(env::task::Fate::Local, "server", running);
    let stream = env::net::connect_tcp(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    env::task::spawn(env::task::Fate::Local, "client", connection);
    let response = soon("the answer", sender.send_request(get("/who"))).await.unwrap();
    assert_eq!(text(response).await, "Plain 0");
    shutdown.cancel();
    assert_eq!(soon("the end", running).await.unwrap().connections_cut, 0);
}

#[tokio::test]
async fn bodies_travel_both_ways() {
    let server = Running::start(service(), Limits::default()).await;
    let (mut h1, mut h2) = (server.h1(None).await, server.h2(None).await);
    for size in [0, 1, 1000] {
        let body = "x".repeat(size);
        let response = soon("h1", h1.send_request(post("/echo", body.clone()))).await.unwrap();
        assert_eq!(text(response).await, body);
        let response = soon("h2", h2.send_request(post("/echo", body.clone()))).await.unwrap();
        assert_eq!(text(response).await, body);
    }
    let service: Arc<dyn crate::Service> = service();
    let door = Door::new(service, Peer::in_memory(None));
    let mut response = door.call(Request::post("/echo").body("hello".into()).unwrap()).await;
    assert_eq!(response.body_mut().next().await.unwrap().unwrap(), "hello");
}
