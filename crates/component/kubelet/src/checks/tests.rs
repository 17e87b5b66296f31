//! Checks against servers on loopback.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cri::{Remote, TimeLimits};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use typed::api::core::v1::{Container, ContainerPort, GRPCAction, HTTPGetAction, HTTPHeader, Probe, TCPSocketAction};
use typed::intstr::IntOrString;

use super::{Outcome, Subject, health_request, probe};

const LIMIT: Duration = Duration::from_secs(5);

/// What a server needs that nobody has reason to believe.
fn unknown_server() -> tokio_rustls::TlsAcceptor {
    let now = env::time::now();
    let day = jiff::SignedDuration::from_hours(24);
    let key = || pki::PrivateKey::generate(pki::Algorithm::default()).expect("a key");
    let authority = pki::Authority::create("nobody", key(), now, day).expect("an authority");
    let (leaf, key) = (pki::Leaf::new(pki::Subject::new("somewhere", &[]), &[pki::Usage::Server], now, day), key());
    let certificate = authority.issue(&leaf, &key.public()).expect("a certificate");
    let pair = pki::files::Pair::new(vec![certificate], key).expect("they fit");
    let certificates = pki::tls::ServingCertificates::new(&[pair]).expect("certificates");
    tokio_rustls::TlsAcceptor::from(pki::tls::server_config(certificates).expect("a configuration"))
}

/// A server that says by its path how it answers: `/200`, `/503`, `/hang`; its address.
async fn web(tls: Option<tokio_rustls::TlsAcceptor>) -> u16 {
    let listener = env::net::listen_tcp("127.0.0.1:0".parse().expect("an address")).await.expect("a listener");
    let port = listener.address().expect("an address").port();
    env::task::spawn(env::task::Fate::Local, "web", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = service_fn(|request: Request<Incoming>| async move {
                if request.uri().path() == "/hang" {
                    std::future::pending::<()>().await;
                }
                let said = request.headers().get("word").is_none_or(|word| word == "yes");
                let status: u16 = request.uri().path()[1..].parse().unwrap_or(404);
                let mut response = Response::new(Full::new(Bytes::from_static(b"hello")));
                *response.status_mut() = http::StatusCode::from_u16(if said { status } else { 400 }).expect("a status");
                Ok::<_, Infallible>(response)
            });
            let tls = tls.clone();
            env::task::spawn(env::task::Fate::Local, "web-connection", async move {
                let stream: streaming::Io = match tls {
                    Some(tls) => Box::new(tls.accept(stream).await.expect("a handshake")),
                    None => Box::new(stream),
                };
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await);
            });
        }
    });
    port
}

/// A health service: `serving` for the service "ok", `not serving` for all others.
async fn health() -> u16 {
    let listener = env::net::listen_tcp("127.0.0.1:0".parse().expect("an address")).await.expect("a listener");
    let port = listener.address().expect("an address").port();
    env::task::spawn(env::task::Fate::Local, "health", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = service_fn(|request: Request<Incoming>| async move {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                let asked = request.into_body().collect().await.expect("a body").to_bytes();
                let status = if asked == health_request("ok") { 1 } else { 2 };
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let frames = [
                    Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]))),
                    Ok(Frame::trailers(trailers)),
                ];
                Ok::<_, Infallible>(Response::new(StreamBody::new(futures::stream::iter(frames))))
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection(TokioIo::new(stream), serve);
            env::task::spawn(env::task::Fate::Local, "health-connection", async move { drop(connection.await) });
        }
    });
    port
}

async fn check(action: Probe, limit: Duration) -> Outcome {
    let port = ContainerPort { name: Some("web".to_owned()), container_port: 1, ..Default::default() };
    let subject = Subject {
        runtime: Arc::new(Remote::new(Path::new("/nonexistent"), TimeLimits::default())),
        container: Container { ports: Some(vec![port]), ..Default::default() },
        id: "id".to_owned(),
        ip: "127.0.0.1".to_owned(),
    };
    probe(&subject, &action, limit).await
}

fn http(port: u16, path: &str, word: &str) -> Probe {
    let header = HTTPHeader { name: "word".to_owned(), value: word.to_owned() };
    let action = HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::Int(i32::from(port)),
        http_headers: Some(vec![header]),
        ..Default::default()
    };
    Probe { http_get: Some(action), ..Default::default() }
}

fn tcp(port: IntOrString) -> Probe {
    Probe { tcp_socket: Some(TCPSocketAction { port, ..Default::default() }), ..Default::default() }
}

fn grpc(port: u16, service: &str) -> Probe {
    let action = GRPCAction { port: i32::from(port), service: Some(service.to_owned()) };
    Probe { grpc: Some(action), ..Default::default() }
}

#[tokio::test]
async fn pages() {
    let port = web(None).await;
    assert_eq!(check(http(port, "/200", "yes"), LIMIT).await, Ok((true, "hello".to_owned())));
    assert_eq!(check(http(port, "399", "yes"), LIMIT).await.map(|(well, _)| well), Ok(true));
    let failed = "HTTP probe failed with statuscode: 503".to_owned();
    assert_eq!(check(http(port, "/503", "yes"), LIMIT).await, Ok((false, failed)));
    assert_eq!(check(http(port, "/200", "no"), LIMIT).await.map(|(well, _)| well), Ok(false));
    let late = check(http(port, "/hang", "yes"), Duration::from_millis(100)).await;
    assert_eq!(late, Ok((false, "context deadline exceeded".to_owned())));
}

#[tokio::test]
async fn pages_by_tls_whoever_serves_them() {
    let port = web(Some(unknown_server())).await;
    let by_tls = |path: &str| {
        let mut probe = http(port, path, "yes");
        probe.http_get.as_mut().expect("it is one by HTTP").scheme = Some("HTTPS".to_owned());
        probe
    };
    assert_eq!(check(by_tls("/200"), LIMIT).await, Ok((true, "hello".to_owned())));
    let failed = "HTTP probe failed with statuscode: 503".to_owned();
    assert_eq!(check(by_tls("/503"), LIMIT).await, Ok((false, failed)));
    let nobody = Probe { http_get: http(1, "/200", "yes").http_get, ..Probe::default() };
    let refused = "Get \"http://127.0.0.1:1/200\": dial tcp 127.0.0.1:1: connect: connection refused".to_owned();
    assert_eq!(check(nobody, LIMIT).await, Ok((false, refused)));
}

#[tokio::test]
async fn ports() {
    let port = web(None).await;
    assert_eq!(check(tcp(IntOrString::Int(i32::from(port))), LIMIT).await, Ok((true, String::new())));
    // Port 1 by its name: nobody listens there.
    let refused = check(tcp(IntOrString::String("web".to_owned())), LIMIT).await;
    assert!(refused.is_ok_and(|(well, message)| !well && message.ends_with(": connect: connection refused")));
    assert!(check(tcp(IntOrString::String("absent".to_owned())), LIMIT).await.is_err());
    assert!(check(Probe::default(), LIMIT).await.is_err());
}

#[tokio::test]
async fn services() {
    let port = health().await;
    assert_eq!(check(grpc(port, "ok"), LIMIT).await, Ok((true, "service healthy".to_owned())));
    assert_eq!(check(grpc(port, "other"), LIMIT).await.map(|(well, _)| well), Ok(false));
    assert_eq!(check(grpc(1, "ok"), LIMIT).await.map(|(well, _)| well), Ok(false));
}
