//! Sessions of every version, both roles, over in-memory HTTP/1.1.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http::StatusCode;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::loopback::{answer, connect, request, within};
use crate::spdy::{self, Headers};
use crate::upgrade::{self, Wanted};
use crate::{Io, Limits, fuzz};

const ALL: Streams = Streams { stdin: true, stdout: true, stderr: true, tty: false };
const TTY: Streams = Streams { stdin: true, stdout: true, stderr: false, tty: true };

/// A command for tests: copies stdin to stdout, complains on stderr, tells the first size, and exits with 3.
async fn command(session: ServerSession) {
    let ServerSession { stdin, stdout, stderr, sizes, ending } = session;
    if let Some(mut stderr) = stderr {
        stderr.write_all(b"complaint").await.unwrap();
        stderr.shutdown().await.unwrap();
    }
    let mut stdout = stdout.expect("all tests want output");
    if let Some(mut sizes) = sizes.filter(|_| stdin.is_none()) {
        let size = sizes.next().await.expect("a size is sent");
        stdout.write_all(format!("{}x{}", size.width, size.height).as_bytes()).await.unwrap();
    }
    if let Some(mut stdin) = stdin {
        tokio::io::copy(&mut stdin, &mut stdout).await.unwrap();
    }
    stdout.shutdown().await.unwrap();
    // The client may have seen enough and left.
    drop(ending.finish(&Outcome::exit(3, "exit status 3")).await);
}

fn exit_3() -> Outcome {
    Outcome::Exit { code: 3, message: "command terminated with non-zero exit code: exit status 3".to_owned() }
}

/// A server of [`command`].
fn server(streams: Streams) -> Io {
    connect(move |request| {
        answer(serve(request, streams, &Limits::default()), |opening| {
            let serving = async move { command(opening.session().await.unwrap()).await };
            env::task::spawn(env::task::Fate::Local, "command", serving);
        })
    })
}

/// A server that only passes sessions on to [`server`], in the given way.
fn middle(streams: Streams, onward_websocket: bool) -> Io {
    connect(move |request| {
        answer(serve(request, streams, &Limits::default()), |opening| {
            let bridging = async move {
                let here = opening.session().await.unwrap();
                let onward = client(streams, onward_websocket, server(streams)).await;
                // The client may leave at any time.
                drop(bridge(here, onward).await);
            };
            env::task::spawn(env::task::Fate::Local, "bridge", bridging);
        })
    })
}

async fn client(streams: Streams, websocket: bool, io: Io) -> ClientSession {
    let limits = Limits::default();
    let connected = if websocket {
        client::connect_websocket(io, request("GET", "/exec"), streams, &limits).await
    } else {
        client::connect_spdy(io, request("POST", "/exec"), streams, &limits).await
    };
    connected.unwrap()
}

async fn converse(session: ClientSession) -> (Vec<u8>, Vec<u8>, Outcome) {
    let ClientSession { stdin, stdout, stderr, resizer: _resizer, verdict } = session;
    let input = async {
        if let Some(mut stdin) = stdin {
            stdin.write_all(&[b'x'; 300_000]).await.unwrap();
            stdin.shutdown().await.unwrap();
        }
    };
    let collect = |reader: Option<crate::Reader>| async {
        let mut bytes = Vec::new();
        if let Some(mut reader) = reader {
            reader.read_to_end(&mut bytes).await.unwrap();
        }
        bytes
    };
    let ((), out, err, outcome) =
        within(async { tokio::join!(input, collect(stdout), collect(stderr), verdict.wait()) }).await;
    (out, err, outcome.unwrap())
}

#[tokio::test]
async fn a_command_talks_and_exits_whatever_carries_it() {
    let ways = [
        ("spdy", false, None),
        ("websocket", true, None),
        ("websocket to spdy", true, Some(false)),
        ("spdy to websocket", false, Some(true)),
        ("spdy to spdy", false, Some(false)),
        ("websocket to websocket", true, Some(true)),
    ];
    for (name, websocket, onward) in ways {
        let io = onward.map_or_else(|| server(ALL), |onward| middle(ALL, onward));
        let (out, err, outcome) = converse(client(ALL, websocket, io).await).await;
        assert_eq!(out.len(), 300_000, "{name}");
        assert_eq!(err, b"complaint", "{name}");
        assert_eq!(outcome, exit_3(), "{name}");
    }
}

#[tokio::test]
async fn the_terminals_size_arrives_whatever_carries_it() {
    let streams = Streams { stdin: false, ..TTY };
    for websocket in [false, true] {
        for io in [server(streams), middle(streams, false), middle(streams, true)] {
            let mut session = client(streams, websocket, io).await;
            let size = TerminalSize { width: 80, height: 24 };
            session.resizer.as_mut().expect("a terminal has a size").resize(size).await.unwrap();
            let (out, _, outcome) = converse(session).await;
            assert_eq!((out.as_slice(), outcome), (b"80x24".as_slice(), exit_3()), "websocket {websocket}");
        }
    }
}

#[tokio::test]
async fn old_spdy_versions_get_their_error_as_text() {
    for (protocol, json) in [(Some(V1), false), (Some(V2), false), (Some(V3), false), (Some(V4), true), (None, false)] {
        let mut request = request("POST", "/exec");
        upgrade::ask_spdy(&mut request, &protocol.into_iter().collect::<Vec<_>>());
        let limits = Limits::default();
        let (chosen, io) = upgrade::dial_switch(server(ALL), request, Wanted::Spdy, &limits).await.unwrap();
        assert_eq!(chosen.as_deref(), protocol);
        let (connection, _accept) = spdy::Connection::start(io, spdy::Role::Client, &limits);
        let open = |name| connection.open(Headers::new([("streamType", name)]));
        let mut error = within(open("error")).await.unwrap();
        let mut stdin = within(open("stdin")).await.unwrap();
        let (mut stdout, _stderr) = (within(open("stdout")).await.unwrap(), within(open("stderr")).await.unwrap());
        stdin.write_all(b"hi").await.unwrap();
        stdin.shutdown().await.unwrap();
        let (mut out, mut told) = (String::new(), String::new());
        within(stdout.read_to_string(&mut out)).await.unwrap();
        within(error.read_to_string(&mut told)).await.unwrap();
        let expected = if json { exit_3().to_json() } else { exit_3().to_plain().to_owned() };
        assert_eq!((out.as_str(), told), ("hi", expected), "{protocol:?}");
    }
}

#[tokio::test]
async fn every_websocket_version_is_spoken() {
    let streams = Streams { stdin: false, ..ALL };
    for protocol in WEBSOCKET_PROTOCOLS.into_iter().map(Some).chain([None]) {
        let mut request = request("GET", "/exec");
        upgrade::ask_websocket(&mut request, &protocol.into_iter().collect::<Vec<_>>());
        let limits = Limits::default();
        let (chosen, io) = upgrade::dial_switch(server(streams), request, Wanted::WebSocket, &limits).await.unwrap();
        assert_eq!(chosen.as_deref(), protocol);
        let mut socket = crate::websocket::over(io, Role::Client, &limits).await;
        let size = match protocol {
            Some(V1_BASE64 | V4_BASE64) => Message::text("4eyJXaWR0aCI6ODAsIkhlaWdodCI6MjR9"),
            _ => Message::binary(b"\x04{\"Width\":80,\"Height\":24}".to_vec()),
        };
        // Without input the command waits for a size, which every version over WebSocket has a channel for.
        socket.send(size).await.unwrap();
        let mut told = vec![Vec::new(); 5];
        let read = async {
            while let Some(Ok(message)) = socket.next().await {
                match message {
                    Message::Binary(bytes) => told[usize::from(bytes[0])].extend_from_slice(&bytes[1..]),
                    Message::Text(text) => {
                        use base64::Engine as _;
                        let bytes = base64::engine::general_purpose::STANDARD.decode(&text[1..]).unwrap();
                        told[usize::from(text.as_bytes()[0] - b'0')].extend_from_slice(&bytes);
                    }
                    _ => {}
                }
            }
        };
        within(read).await;
        let json = matches!(protocol, Some(V5 | V4 | V4_BASE64));
        let expected = if json { exit_3().to_json() } else { exit_3().to_plain().to_owned() };
        assert_eq!(String::from_utf8_lossy(&told[1]), "80x24", "{protocol:?}");
        assert_eq!(String::from_utf8_lossy(&told[2]), "complaint", "{protocol:?}");
        assert_eq!(String::from_utf8_lossy(&told[3]), expected, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_websocket_client_says_the_end_of_stdin_by_a_message() {
    let mut request = request("GET", "/exec");
    upgrade::ask_websocket(&mut request, &[V5]);
    let limits = Limits::default();
    let (_, io) = upgrade::dial_switch(server(TTY), request, Wanted::WebSocket, &limits).await.unwrap();
    let mut socket = crate::websocket::over(io, Role::Client, &limits).await;
    socket.send(Message::binary(b"\x00hi".to_vec())).await.unwrap();
    socket.send(Message::binary(vec![255, 0])).await.unwrap();
    let mut seen = Vec::new();
    within(async {
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Binary(bytes) = message {
                seen.push(bytes);
            }
        }
    })
    .await;
    assert_eq!(seen[..2], [Bytes::from_static(b"\x01"), Bytes::from_static(b"\x01hi")], "a hello, then the echo");
    assert_eq!(seen[2][1..], *exit_3().to_json().as_bytes());
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    for websocket in [false, true] {
        let (left, gone) = tokio::sync::oneshot::channel::<()>();
        let left = parking_lot::Mutex::new(Some(left));
        let io = connect(move |request| {
            let left = left.lock().take();
            answer(serve(request, ALL, &Limits::default()), |opening| {
                let serving = async move {
                    let session = opening.session().await.unwrap();
                    session.ending.peer_gone().await;
                    left.expect("there is one request").send(()).unwrap();
                };
                env::task::spawn(env::task::Fate::Local, "waiting", serving);
            })
        });
        drop(client(ALL, websocket, io).await);
        within(gone).await.unwrap();
    }
}

#[tokio::test]
async fn refusals_speak_upstreams_words() {
    let ask = |websocket: bool, protocol: &'static str| async move {
        let (mut request, to) = if websocket {
            (request("GET", "/exec"), Wanted::WebSocket)
        } else {
            (request("POST", "/exec"), Wanted::Spdy)
        };
        match to {
            Wanted::WebSocket => upgrade::ask_websocket(&mut request, &[protocol]),
            Wanted::Spdy => upgrade::ask_spdy(&mut request, &[protocol]),
        }
        match upgrade::dial_switch(server(ALL), request, to, &Limits::default()).await {
            Err(Error::Rejected { status, body }) => (status, String::from_utf8_lossy(&body).trim().to_owned()),
            _ => panic!("{protocol} is refused"),
        }
    };
    let spdy = "unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io], \
                server accepts [v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]";
    assert_eq!(ask(false, "v9.channel.k8s.io").await, (StatusCode::FORBIDDEN, spdy.to_owned()));
    let (status, text) = ask(true, "v9.channel.k8s.io").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.starts_with("requested protocol(s) are not supported: [v9.channel.k8s.io]; supports ["), "{text}");
}

#[tokio::test]
async fn a_client_that_opens_too_few_streams_is_given_up() {
    let (told, failure) = tokio::sync::oneshot::channel();
    let told = parking_lot::Mutex::new(Some(told));
    let limits = Limits { stream_creation_timeout: std::time::Duration::from_millis(50), ..Limits::default() };
    let io = connect(move |request| {
        let told = told.lock().take();
        answer(serve(request, ALL, &limits), |opening| {
            let serving = async move {
                told.expect("there is one request").send(opening.session().await.unwrap_err().to_string()).unwrap();
            };
            env::task::spawn(env::task::Fate::Local, "waiting", serving);
        })
    });
    let _too_few = client(Streams { stderr: false, ..ALL }, false, io).await;
    assert_eq!(within(failure).await.unwrap(), "timed out waiting for client to create streams");
}

/// Plays a Go runtime: tells the outcome, if it has one, and ends all streams by resets instead of finishing them.
fn runtime(outcome: Option<Outcome>, protocols: &'static [&'static str]) -> Io {
    connect(move |request| {
        let outcome = outcome.clone();
        let granted = upgrade::grant_spdy(request, protocols);
        let granted = granted.map(|mut granted| (std::mem::take(&mut granted.response), granted));
        answer(granted, |granted| {
            let serving = async move {
                let io = granted.connection().await.unwrap();
                let (connection, mut accept) = spdy::Connection::start(io, spdy::Role::Server, &Limits::default());
                let mut error = accept.next().await.unwrap().accept();
                let mut stdout = accept.next().await.unwrap().accept();
                stdout.write_all(b"out").await.unwrap();
                if let Some(outcome) = outcome {
                    error.write_all(outcome.to_json().as_bytes()).await.unwrap();
                }
                drop(error);
                // The client has heard enough and closes; its output is complete all the same.
                connection.ended().await;
                drop(stdout);
            };
            env::task::spawn(env::task::Fate::Local, "runtime", serving);
        })
    })
}

#[tokio::test]
async fn a_runtime_that_ends_its_streams_by_resets_is_understood() {
    let streams = Streams { stdout: true, ..Streams::default() };
    let cases = [
        (Some(exit_3()), &[V4][..], Some(exit_3())),
        (Some(Outcome::Success), &[V4], Some(Outcome::Success)),
        (None, &[V4], None),
        (None, &[V3], Some(Outcome::Success)),
    ];
    for (outcome, protocols, expected) in cases {
        let session = client(streams, false, runtime(outcome, protocols)).await;
        let mut out = String::new();
        let reading = async { session.stdout.expect("there is output").read_to_string(&mut out).await };
        let (read, verdict) = within(async { tokio::join!(reading, session.verdict.wait()) }).await;
        read.unwrap();
        assert_eq!((out.as_str(), verdict.ok()), ("out", expected), "{protocols:?}");
    }
}

#[test]
fn outcomes_are_written_as_upstream_writes_them() {
    let cases = [
        (Outcome::Success, r#"{"metadata":{},"status":"Success"}"#, ""),
        (
            Outcome::exit(2, "exit status 2"),
            r#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 2","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"2"}]}}"#,
            "command terminated with non-zero exit code: exit status 2",
        ),
        (
            Outcome::internal("boom"),
            r#"{"metadata":{},"status":"Failure","message":"Internal error occurred: boom","reason":"InternalError","details":{"causes":[{"message":"boom"}]},"code":500}"#,
            "Internal error occurred: boom",
        ),
    ];
    for (outcome, json, plain) in cases {
        assert_eq!(outcome.to_json(), json);
        assert_eq!(outcome.to_plain(), plain);
        assert_eq!(Outcome::from_json(json).unwrap(), outcome);
    }
    assert_eq!(Outcome::exit(0, ""), Outcome::Success);
    assert!(Outcome::from_json("no json").is_err());
    assert!(Outcome::from_json("").is_err());
    assert_eq!(Outcome::from_plain(""), Outcome::Success);
    assert!(Outcome::from_json(r#"{"status":"Maybe"}"#).is_err());
}

#[test]
fn kubelet_queries_name_the_streams() {
    let read = |query: &str| Streams::from_kubelet_query(&request("POST", &format!("/exec/ns/pod/c?{query}")));
    assert_eq!(read("command=sh&input=1&output=1&error=1"), Ok(ALL));
    assert_eq!(read("input=1&output=1&error=1&tty=1"), Ok(TTY), "a terminal has no error output");
    assert_eq!(read(&ALL.to_kubelet_query()), Ok(ALL));
    let refusal = read("command=input=1").unwrap_err();
    assert_eq!(refusal.message, "you must specify at least 1 of stdin, stdout, stderr");
}

#[test]
fn sizes_are_found_in_any_cut_and_case() {
    assert_eq!(fuzz::terminal_sizes(br#"{"Width":1,"Height":2}{"width":3,"height":4}{"Width":80"#), 2);
    let size = TerminalSize { width: 3, height: 4 };
    assert_eq!(size::scan(b"\n{\"width\":3,\n\"height\":4} "), size::Scan::Size(size, 24));
    assert_eq!(size::scan(b"noise}"), size::Scan::Noise);
    assert_eq!(size::scan(&[b' '; 2_000]), size::Scan::Noise);
}

proptest! {
    #[test]
    fn arbitrary_messages_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        fuzz::channel_message(&bytes);
        fuzz::outcome(&bytes);
        fuzz::terminal_sizes(&bytes);
    }
}
