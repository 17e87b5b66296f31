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

use super::{Health, Outcome, Subject, Target, health_request, probe};

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

/// A server that says by its path how it answers: `/200`, `/503`, `/302?to=/200`, `/hang`; its address.
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
                if let Some(to) = request.uri().query().and_then(|query| query.strip_prefix("to=")) {
                    response.headers_mut().insert("location", to.parse().expect("a header"));
                }
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
    assert_eq!(check(http(port, "/200", "yes"), LIMIT).await, Ok((Health::Well, "hello".to_owned())));
    assert_eq!(check(http(port, "299", "yes"), LIMIT).await.map(|(health, _)| health), Ok(Health::Well));
    let failed = "HTTP probe failed with statuscode: 503".to_owned();
    assert_eq!(check(http(port, "/503", "yes"), LIMIT).await, Ok((Health::Unwell, failed)));
    assert_eq!(check(http(port, "/200", "no"), LIMIT).await.map(|(health, _)| health), Ok(Health::Unwell));
    let late = check(http(port, "/hang", "yes"), Duration::from_millis(100)).await;
    assert_eq!(late, Ok((Health::Unwell, "context deadline exceeded".to_owned())));
}

#[tokio::test]
async fn redirections() {
    let port = web(None).await;
    let here = format!("http://127.0.0.1:{port}");
    let elsewhere = || (Health::Warning, "Probe terminated redirects, Response body: hello".to_owned());
    let well = || (Health::Well, "hello".to_owned());
    let failed = (Health::Unwell, "HTTP probe failed with statuscode: 503".to_owned());
    let round = format!("Get \"{here}/302?to=/302?to=/302\": stopped after 10 redirects");
    let cases = [
        ("/302?to=/200".to_owned(), well()),
        ("/301?to=200".to_owned(), well()),
        (format!("/307?to={here}/200"), well()),
        (format!("/308?to={here}/302?to=/200"), well()),
        (format!("/302?to=//127.0.0.1:{port}/200"), well()),
        ("/302?to=/503".to_owned(), failed),
        ("/302?to=http://elsewhere.example/200".to_owned(), elsewhere()),
        ("/302".to_owned(), elsewhere()),
        ("/300?to=/200".to_owned(), elsewhere()),
        ("/302?to=ftp://127.0.0.1/200".to_owned(), elsewhere()),
    ];
    for (path, expected) in cases {
        assert_eq!(check(http(port, &path, "yes"), LIMIT).await, Ok(expected), "{path}");
    }
    // A page that leads to itself.
    let looping = web_round().await;
    let told = check(http(looping, "/", "yes"), LIMIT).await;
    let round = round.replace(&port.to_string(), &looping.to_string()).replace("/302?to=/302?to=/302", "/");
    assert_eq!(told, Ok((Health::Unwell, round)));
}

/// A server whose only page leads to itself.
async fn web_round() -> u16 {
    let listener = env::net::listen_tcp("127.0.0.1:0".parse().expect("an address")).await.expect("a listener");
    let port = listener.address().expect("an address").port();
    env::task::spawn(env::task::Fate::Local, "round", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = service_fn(|_request: Request<Incoming>| async move {
                let response = Response::builder().status(302).header("location", "/").body(Full::new(Bytes::new()));
                Ok::<_, Infallible>(response.expect("a response"))
            });
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await);
        }
    });
    port
}

#[test]
fn where_a_location_leads() {
    let from = Target { https: true, host: "10.0.0.1".to_owned(), port: 8443, path: "/a/b?c".to_owned() };
    let cases = [
        ("/x?y", Some("https://10.0.0.1:8443/x?y")),
        ("x", Some("https://10.0.0.1:8443/a/x")),
        ("http://10.0.0.1/x", Some("http://10.0.0.1:80/x")),
        ("https://other", Some("https://other:443/")),
        ("//other:1/x", Some("https://other:1/x")),
        ("http://[fd00::1]:9/x", Some("http://fd00::1:9/x")),
        ("gopher://10.0.0.1/x", None),
        ("http://", None),
    ];
    for (location, expected) in cases {
        assert_eq!(from.redirected(location).map(|target| target.url()).as_deref(), expected, "{location}");
    }
}

#[tokio::test]
async fn pages_by_tls_whoever_serves_them() {
    let port = web(Some(unknown_server())).await;
    let by_tls = |path: &str| {
        let mut probe = http(port, path, "yes");
        probe.http_get.as_mut().expect("it is one by HTTP").scheme = Some("HTTPS".to_owned());
        probe
    };
    assert_eq!(check(by_tls("/200"), LIMIT).await, Ok((Health::Well, "hello".to_owned())));
    let failed = "HTTP probe failed with statuscode: 503".to_owned();
    assert_eq!(check(by_tls("/503"), LIMIT).await, Ok((Health::Unwell, failed)));
    let nobody = Probe { http_get: http(1, "/200", "yes").http_get, ..Probe::default() };
    let refused = "Get \"http://127.0.0.1:1/200\": dial tcp 127.0.0.1:1: connect: connection refused".to_owned();
    assert_eq!(check(nobody, LIMIT).await, Ok((Health::Unwell, refused)));
}

#[tokio::test]
async fn ports() {
    let port = web(None).await;
    assert_eq!(check(tcp(IntOrString::Int(i32::from(port))), LIMIT).await, Ok((Health::Well, String::new())));
    // Port 1 by its name: nobody listens there.
    let refused = check(tcp(IntOrString::String("web".to_owned())), LIMIT).await;
    assert!(
        refused.is_ok_and(
            |(health, message)| health == Health::Unwell && message.ends_with(": connect: connection refused")
        )
    );
    assert!(check(tcp(IntOrString::String("absent".to_owned())), LIMIT).await.is_err());
    assert!(check(Probe::default(), LIMIT).await.is_err());
}

#[tokio::test]
async fn services() {
    let port = health().await;
    assert_eq!(check(grpc(port, "ok"), LIMIT).await, Ok((Health::Well, "service healthy".to_owned())));
    assert_eq!(check(grpc(port, "other"), LIMIT).await.map(|(health, _)| health), Ok(Health::Unwell));
    assert_eq!(check(grpc(1, "ok"), LIMIT).await.map(|(health, _)| health), Ok(Health::Unwell));
}
