//! Port forwards in every form, over in-memory HTTP/1.1.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::loopback::{answer, connect, request, within};
use crate::passage::{self, Passed};
use crate::spdy::{self, Headers};
use crate::upgrade::{self, Wanted};
use crate::{Error, Limits};

/// Port 7 echoes, port 9 hangs up after greeting, nobody listens elsewhere.
fn dial(port: u16) -> BoxFuture<'static, io::Result<Io>> {
    Box::pin(async move {
        let (here, mut there) = env::net::pipe(64 << 10);
        let serving = async move {
            if port == 7 {
                let (mut from, mut to) = tokio::io::split(there);
                tokio::io::copy(&mut from, &mut to).await.unwrap();
                to.shutdown().await.unwrap();
            } else {
                there.write_all(b"hello").await.unwrap();
            }
        };
        if !matches!(port, 7 | 9) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"));
        }
        env::task::spawn(env::task::Fate::Local, "pod", serving);
        Ok(Box::new(here) as Io)
    })
}

fn server(limits: Limits) -> Io {
    connect(move |request| {
        answer(serve(request, &limits), |opening| {
            let running = async move {
                let dialer: Arc<dyn Dialer> = Arc::new(dial);
                let target = Target { pod: "web".to_owned(), uid: "1-2".to_owned() };
                opening.run(&*dialer, &target).await.unwrap();
            };
            env::task::spawn(env::task::Fate::Local, "port forward", running);
        })
    })
}

/// A server that only passes on: out of the tunnel, or as it came.
fn middle(untunnel: bool) -> Io {
    let (here, there) = env::net::pipe(64 << 10);
    let service = hyper::service::service_fn(move |mut arrived: http::Request<hyper::body::Incoming>| async move {
        let onward = server(Limits::default());
        let limits = Limits::default();
        let (response, copying) = if untunnel {
            passage::tunnel_to_spdy(&mut arrived, onward, request("POST", "/portForward"), &limits).await.unwrap()
        } else {
            let method = arrived.method().as_str().to_owned();
            match passage::pass(&mut arrived, onward, request(&method, "/portForward")).await.unwrap() {
                Passed::Switched(response, copying) => (response, copying),
                Passed::Plain(response) => panic!("the server switches, but answered {response:?}"),
            }
        };
        env::task::spawn(env::task::Fate::Local, "copying", copying);
        Ok::<_, std::convert::Infallible>(response.map(|()| String::new()))
    });
    let serving = async move {
        let io = hyper_util::rt::TokioIo::new(there);
        drop(hyper::server::conn::http1::Builder::new().serve_connection(io, service).with_upgrades().await);
    };
    env::task::spawn(env::task::Fate::Local, "middle", serving);
    Box::new(here)
}

async fn client(tunnel: bool, io: Io) -> Client {
    let limits = Limits::default();
    let connected = if tunnel {
        Client::connect_tunnel(io, request("GET", "/portforward"), &limits).await
    } else {
        Client::connect_spdy(io, request("POST", "/portforward"), &limits).await
    };
    connected.unwrap()
}

async fn echo(client: &Client) -> usize {
    let mut forwarded = client.forward(7).await.unwrap();
    let (mut from, mut to) = tokio::io::split(&mut forwarded.data);
    let send = async {
        to.write_all(&[1; 500_000]).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let ((), read) = tokio::join!(send, from.read_to_end(&mut back));
    read.unwrap();
    let mut told = String::new();
    forwarded.error.read_to_string(&mut told).await.unwrap();
    assert_eq!(told, "");
    back.len()
}

#[tokio::test]
async fn connections_are_forwarded_whatever_carries_them() {
    let ways = [
        ("spdy", false, server(Limits::default())),
        ("tunnel", true, server(Limits::default())),
        ("spdy, passed on", false, middle(false)),
        ("tunnel, passed on", true, middle(false)),
        ("tunnel to spdy", true, middle(true)),
    ];
    for (name, tunnel, io) in ways {
        let client = client(tunnel, io).await;
        let both = within(async { tokio::join!(echo(&client), echo(&client)) }).await;
        assert_eq!(both, (500_000, 500_000), "{name}");
        let mut greeted = client.forward(9).await.unwrap();
        let mut text = String::new();
        within(greeted.data.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "hello", "{name}");
        within(client.close()).await;
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_and_the_others_go_on() {
    let client = client(false, server(Limits::default())).await;
    let mut forwarded = client.forward(81).await.unwrap();
    let mut told = String::new();
    within(forwarded.error.read_to_string(&mut told)).await.unwrap();
    assert_eq!(told, "error forwarding port 81 to pod web, uid 1-2: connection refused");
    assert_eq!(within(echo(&client)).await, 500_000);
}

#[tokio::test]
async fn a_pod_that_hangs_up_ends_both_streams_though_the_client_is_not_done() {
    let client = client(false, server(Limits::default())).await;
    let mut forwarded = client.forward(9).await.unwrap();
    let mut text = String::new();
    within(forwarded.data.read_to_string(&mut text)).await.unwrap();
    let mut told = String::new();
    // kubectl closes its socket, and with it the data stream, only after the error stream.
    within(forwarded.error.read_to_string(&mut told)).await.unwrap();
    assert_eq!((text.as_str(), told.as_str()), ("hello", ""));
    drop(forwarded.data);
}

#[tokio::test]
async fn a_servers_plain_answer_is_passed_on() {
    let refusing = connect(|_| http::Response::builder().status(404).body("no such pod".to_owned()).unwrap());
    let mut arrived = request("POST", "/portForward");
    upgrade::ask_spdy(&mut arrived, &[PROTOCOL]);
    match within(passage::pass(&mut arrived, refusing, request("POST", "/portForward"))).await.unwrap() {
        Passed::Plain(response) => assert_eq!(response.status(), 404),
        Passed::Switched(response, _) => panic!("nobody switched, but the answer is {response:?}"),
    }
    let refusing = connect(|_| http::Response::builder().status(404).body("no such pod".to_owned()).unwrap());
    let refused = within(Client::connect_spdy(refusing, request("POST", "/portForward"), &Limits::default())).await;
    match refused.unwrap_err() {
        Error::Rejected { status, body } => assert_eq!((status.as_u16(), &body[..]), (404, &b"no such pod"[..])),
        error => panic!("the answer is kept, but the error is {error}"),
    }
}

#[tokio::test]
async fn streams_that_make_no_sense_are_refused() {
    let mut asking = request("POST", "/portForward");
    upgrade::ask_spdy(&mut asking, &[PROTOCOL]);
    let limits = Limits { stream_creation_timeout: std::time::Duration::from_millis(100), ..Limits::default() };
    let dialed = upgrade::dial_switch(server(limits.clone()), asking, Wanted::Spdy, &limits).await;
    let (connection, _accept) = spdy::Connection::start(dialed.unwrap().1, spdy::Role::Client, &limits);
    let senseless: [&[(&str, &str)]; 5] = [
        &[("streamtype", "data")],
        &[("streamtype", "data"), ("port", "0")],
        &[("streamtype", "data"), ("port", "65536")],
        &[("port", "80")],
        &[("streamtype", "stdin"), ("port", "80")],
    ];
    for pairs in senseless {
        let opened = within(connection.open(Headers::new(pairs.iter().copied()))).await;
        assert!(matches!(opened, Err(Error::Refused)), "{pairs:?}: {opened:?}");
    }
    // Half a pair is told about its loneliness.
    let half = [("streamtype", "error"), ("port", "7"), ("requestid", "0")];
    let mut error = within(connection.open(Headers::new(half))).await.unwrap();
    let mut told = String::new();
    within(error.read_to_string(&mut told)).await.unwrap();
    assert_eq!(told, "(request=0) timed out waiting for streams");
}

#[tokio::test]
async fn clients_without_request_ids_are_paired_by_stream_number() {
    let mut asking = request("POST", "/portForward");
    upgrade::ask_spdy(&mut asking, &[PROTOCOL]);
    let limits = Limits::default();
    let dialed = upgrade::dial_switch(server(limits.clone()), asking, Wanted::Spdy, &limits).await;
    let (connection, _accept) = spdy::Connection::start(dialed.unwrap().1, spdy::Role::Client, &limits);
    let _error = within(connection.open(Headers::new([("streamtype", "error"), ("port", "9")]))).await.unwrap();
    let mut data = within(connection.open(Headers::new([("streamtype", "data"), ("port", "9")]))).await.unwrap();
    let mut text = String::new();
    within(data.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn legacy_channels_begin_with_the_port() {
    for protocol in [Some("v4.channel.k8s.io"), Some("v4.base64.channel.k8s.io"), None] {
        let mut asking = request("GET", "/portForward?ports=9%2C81");
        upgrade::ask_websocket(&mut asking, &protocol.into_iter().collect::<Vec<_>>());
        let limits = Limits::default();
        let dialed = upgrade::dial_switch(server(limits.clone()), asking, Wanted::WebSocket, &limits).await;
        let mut socket = crate::websocket::over(dialed.unwrap().1, Role::Client, &limits).await;
        let mut told = vec![Vec::new(); 4];
        let read = async {
            while let Some(Ok(message)) = socket.next().await {
                match message {
                    Message::Binary(bytes) => told[usize::from(bytes[0])].extend_from_slice(&bytes[1..]),
                    Message::Text(text) => {
                        let bytes = base64::engine::general_purpose::STANDARD.decode(&text[1..]).unwrap();
                        told[usize::from(text.as_bytes()[0] - b'0')].extend_from_slice(&bytes);
                    }
                    _ => {}
                }
            }
        };
        within(read).await;
        assert_eq!(told[0], b"\x09\x00hello", "{protocol:?}");
        assert_eq!(told[1], b"\x09\x00", "{protocol:?}");
        assert_eq!(told[2], b"\x51\x00", "{protocol:?}");
        assert_eq!(
            told[3], b"\x51\x00error forwarding port 81 to pod web, uid 1-2: connection refused",
            "{protocol:?}"
        );
    }
}

#[test]
fn legacy_ports_are_required_and_checked() {
    let read = |query: &str| legacy::ports(&request("GET", &format!("/portForward?{query}")));
    assert_eq!(read("port=80,443&port=1"), Ok(vec![80, 443, 1]));
    for (query, message) in [
        ("", "query parameter \"port\" is required"),
        ("port=", "query parameter \"port\" cannot be empty"),
        ("port=0", "port \"0\" must be > 0"),
    ] {
        assert_eq!(read(query).unwrap_err().message, message);
    }
    assert!(read("port=x").unwrap_err().message.starts_with("unable to parse \"x\" as a port"));
    assert!(read(&"port=1&".repeat(128)).is_err());
}
