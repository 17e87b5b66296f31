//! What the sessions' tests do not see: keep-alive, bounds, and bytes that are no WebSocket.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::channels::{Channels, Dialect};
use super::outflow;
use super::tunnel::Tunnel;
use crate::Limits;
use crate::loopback::within;

const V5: Dialect = Dialect { base64: false, close_signal: true };

#[tokio::test]
async fn idle_connections_are_pinged() {
    let limits = Limits { ping_interval: Duration::from_millis(10), ..Limits::default() };
    for tunnel in [false, true] {
        let (left, right) = env::net::pipe(64 << 10);
        let _serving = env::task::spawn(env::task::Fate::Local, "server", async move {
            if tunnel {
                let mut tunnel = Tunnel::server(Box::new(left), &limits_of()).await;
                drop(tunnel.read_u8().await);
            } else {
                let channels = Channels::start(Box::new(left), Role::Server, V5, 5, &limits_of()).await;
                channels.link.ended.cancelled().await;
            }
        });
        let mut socket = super::over(Box::new(right), Role::Client, &limits).await;
        for _ in 0..2 {
            let message = within(socket.next()).await.unwrap().unwrap();
            assert_eq!(message, Message::Ping(bytes::Bytes::new()), "tunnel {tunnel}");
        }
    }
}

fn limits_of() -> Limits {
    Limits { ping_interval: Duration::from_millis(10), ..Limits::default() }
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_to_their_end() {
    let (left, right) = env::net::pipe(16 << 10);
    let limits = Limits::default();
    let (mut server, mut client) =
        (Tunnel::server(Box::new(left), &limits).await, Tunnel::client(Box::new(right), &limits).await);
    let send = async {
        client.write_all(&[5; 200_000]).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let mut bytes = Vec::new();
    let ((), read) = within(async { tokio::join!(send, server.read_to_end(&mut bytes)) }).await;
    assert_eq!(read.unwrap(), 200_000);
}

#[tokio::test]
async fn text_in_a_tunnel_and_messages_beyond_the_bound_are_errors() {
    let limits = Limits { message_bytes_max: 1_000, ..Limits::default() };
    for message in [Message::text("hello"), Message::binary(vec![0; 2_000])] {
        let (left, right) = env::net::pipe(16 << 10);
        let mut server = Tunnel::server(Box::new(left), &limits).await;
        let mut socket = super::over(Box::new(right), Role::Client, &Limits::default()).await;
        socket.send(message).await.unwrap();
        assert!(within(server.read_u8()).await.is_err());
    }
}

#[tokio::test]
async fn bytes_that_are_no_websocket_end_the_connection() {
    let (left, mut right) = env::net::pipe(16 << 10);
    let mut channels = Channels::start(Box::new(left), Role::Server, V5, 5, &Limits::default()).await;
    right.write_all(&[0xff; 64]).await.unwrap();
    within(channels.link.ended.cancelled()).await;
    let error = within(channels.lanes[0].read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_a_peer_said_before_it_left_is_read_whatever_cannot_be_written() {
    // Which loop of the connection notices first is left to chance.
    for _ in 0..32 {
        let (left, right) = env::net::pipe(64 << 10);
        let limits = Limits::default();
        let mut client = Channels::start(Box::new(left), Role::Client, V5, 2, &limits).await;
        let mut peer = super::over(Box::new(right), Role::Server, &limits).await;
        within(peer.send(Message::binary(b"\x01last words".to_vec()))).await.unwrap();
        drop(peer);
        client.lanes[0].write_all(b"in vain").await.unwrap();
        let mut said = [0; 10];
        within(client.lanes[1].read_exact(&mut said)).await.expect("they were sent");
        assert_eq!(said.as_slice(), b"last words");
    }
}

#[tokio::test]
async fn a_client_that_says_goodbye_ends_its_channels() {
    let (left, right) = env::net::pipe(16 << 10);
    let mut channels = Channels::start(Box::new(left), Role::Server, V5, 5, &Limits::default()).await;
    let mut socket = super::over(Box::new(right), Role::Client, &Limits::default()).await;
    socket.send(Message::binary(b"\x00bye".to_vec())).await.unwrap();
    within(socket.close(None)).await.unwrap();
    let mut text = String::new();
    within(channels.lanes[0].read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "bye");
}

#[tokio::test]
async fn an_outflow_carries_chunks_as_messages_and_ends_with_either_side() {
    for (base64, expected) in [(false, Message::binary(&b"one\n"[..])), (true, Message::text("b25lCg=="))] {
        let (left, right) = env::net::pipe(16 << 10);
        let limits = Limits::default();
        let chunks = futures::stream::iter([Ok::<_, ()>(bytes::Bytes::from_static(b"one\n"))]);
        let pouring = outflow::pour_over(Box::new(left), base64, chunks, &limits);
        let reading = async {
            let mut socket = super::over(Box::new(right), Role::Client, &Limits::default()).await;
            let first = socket.next().await.expect("a message").expect("it is whole");
            let second = socket.next().await.expect("a message").expect("it is whole");
            (first, second.is_close())
        };
        let (poured, (first, is_end)) = within(async { tokio::join!(pouring, reading) }).await;
        assert!(poured.is_ok(), "{poured:?}");
        assert_eq!((first, is_end), (expected, true), "base64 {base64}");
    }
    let (left, right) = env::net::pipe(16 << 10);
    let limits = Limits::default();
    let never = futures::stream::pending::<Result<bytes::Bytes, ()>>();
    let pouring = outflow::pour_over(Box::new(left), false, never, &limits);
    let leaving = async {
        let mut socket = super::over(Box::new(right), Role::Client, &Limits::default()).await;
        socket.close(None).await
    };
    let (poured, left) = within(async { tokio::join!(pouring, leaving) }).await;
    assert!(poured.is_ok() && left.is_ok(), "{poured:?} {left:?}");
}
