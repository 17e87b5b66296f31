//! Frames against vectors of another zlib, connections against each other, and arbitrary bytes against everything.

use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connection::{Accept, Connection, Role};
use super::frame::{self, Decoder, Encoder, Event, Frame, Violation};
use super::headers::{Deflater, Headers, Inflater, Malformed};
use crate::{Error, Io, Lane, Limits, fuzz};

const DEADLINE: Duration = Duration::from_secs(20);

/// Header blocks of one connection, compressed by Python 3's zlib with the dictionary, level 9 and sync flushes.
const VECTORS: [(&str, &[(&str, &str)]); 3] = [
    ("78f9e3c6a7c202a62346703a2b294a4dcc851625aca9a08006000000ffff", &[("streamtype", "error")]),
    (
        "02a5470c295029930829b08bc079c3c2c0c2004873164122381394f0990ccd01000000ffff",
        &[("streamtype", "data"), ("port", "8080"), ("requestid", "17")],
    ),
    ("02920c00000000ffff", &[]),
];

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn header_blocks_of_another_zlib_expand() {
    let mut inflater = Inflater::default();
    for (compressed, pairs) in VECTORS {
        let block = inflater.expand(&unhex(compressed), 1 << 10).unwrap();
        assert_eq!(Headers::parse(&block), Ok(Headers::new(pairs.iter().copied())), "{pairs:?}");
    }
}

#[test]
fn compressed_header_blocks_begin_with_the_dictionary_and_end_flushed() {
    let mut deflater = Deflater::default();
    for (index, (_, pairs)) in VECTORS.iter().enumerate() {
        let compressed = deflater.compress(&Headers::new(pairs.iter().copied()).to_block());
        if index == 0 {
            assert_eq!(compressed[1] & 0x20, 0x20, "the flag of a preset dictionary");
            assert_eq!(compressed[2..6], 0xe3c6_a7c2_u32.to_be_bytes(), "the dictionary's checksum");
        }
        assert!(compressed.ends_with(&[0, 0, 0xff, 0xff]), "{compressed:?}");
    }
}

#[test]
fn a_header_bomb_stops_at_the_bound() {
    let compressed = Deflater::default().compress(&vec![0; 10 << 20]);
    assert!(compressed.len() < 64 << 10);
    assert_eq!(Inflater::default().expand(&compressed, 64 << 10), Err(Malformed::TooLarge(64 << 10)));
}

fn samples() -> Vec<Frame> {
    let headers = Headers::new([("streamType", "stdin"), ("x", "a\0b")]);
    vec![
        Frame::SynStream { stream: 1, fin: false, unidirectional: true, headers: headers.clone() },
        Frame::SynReply { stream: 1, fin: true, headers: Headers::default() },
        Frame::Settings(vec![(frame::INITIAL_WINDOW_SIZE, 65_536), (4, 100)]),
        Frame::Ping(7),
        Frame::Headers { stream: 0x7fff_ffff, fin: false, headers },
        Frame::WindowUpdate { stream: 1, bytes: 1 },
        Frame::RstStream { stream: 3, status: frame::CANCEL },
        Frame::GoAway { last: 3, status: frame::GOAWAY_OK },
    ]
}

#[test]
fn frames_come_out_as_they_went_in_however_they_are_cut() {
    let mut encoder = Encoder::default();
    let mut wire = BytesMut::new();
    for sample in samples() {
        encoder.frame(&sample, &mut wire);
    }
    encoder.data(5, b"hello", true, &mut wire);
    for piece_bytes in [1, 3, wire.len()] {
        let mut decoder = Decoder::new(1 << 10);
        let mut buffer = BytesMut::new();
        let (mut frames, mut data, mut fins) = (Vec::new(), Vec::new(), 0);
        for piece in wire.chunks(piece_bytes) {
            buffer.extend_from_slice(piece);
            while let Some(event) = decoder.next(&mut buffer).unwrap() {
                match event {
                    Event::Frame(frame) => frames.push(frame),
                    Event::Data { stream, bytes, fin } => {
                        assert_eq!(stream, 5);
                        data.extend_from_slice(&bytes);
                        fins += u32::from(fin);
                    }
                }
            }
        }
        assert_eq!(frames, samples(), "in pieces of {piece_bytes}");
        assert_eq!((data.as_slice(), fins), (b"hello".as_slice(), 1), "in pieces of {piece_bytes}");
    }
}

#[test]
fn what_is_not_spdy_3_is_a_violation() {
    let cases: [(&[u8], Violation); 6] = [
        (&[0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1], Violation::Version(2)),
        (&[0x80, 3, 0, 6, 0, 0, 0, 3, 0, 0, 1], Violation::Length { kind: 6, bytes: 3 }),
        (&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 0], Violation::Zero),
        (&[0, 0, 0, 0, 0, 0, 0, 0], Violation::Zero),
        (&[0x80, 3, 0, 1, 0, 1, 0, 0], Violation::TooLong { bytes: 65_536, bytes_max: 1_024 }),
        (&[0x80, 3, 0, 4, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff], Violation::Length { kind: 4, bytes: 4 }),
    ];
    for (wire, violation) in cases {
        assert_eq!(Decoder::new(1 << 10).next(&mut BytesMut::from(wire)), Err(violation), "{wire:?}");
    }
}

#[test]
fn unknown_control_frames_are_passed_over() {
    let mut wire = BytesMut::from([0x80, 3, 0, 99, 0, 0, 0, 2, 1, 2].as_slice());
    Encoder::default().frame(&Frame::Ping(9), &mut wire);
    assert_eq!(Decoder::new(1 << 10).next(&mut wire), Ok(Some(Event::Frame(Frame::Ping(9)))));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..2_048)) {
        fuzz::spdy_frames(&bytes);
        fuzz::spdy_headers(&bytes);
        fuzz::spdy_compressed_headers(&bytes);
    }

    #[test]
    fn arbitrary_control_frames_are_read_to_an_end(
        kind in 1_u8..11,
        flags in any::<u8>(),
        body in proptest::collection::vec(any::<u8>(), 0..256),
    ) {
        let mut wire = vec![0x80, 3, 0, kind, flags, 0, 0, u8::try_from(body.len()).unwrap()];
        wire.extend_from_slice(&body);
        fuzz::spdy_frames(&wire);
    }

    #[test]
    fn broken_header_blocks_are_read_to_an_end(flip in 0_usize..1 << 12, pairs in 0_usize..40) {
        let names: Vec<String> = (0..pairs).map(|index| format!("name-{index}")).collect();
        let headers = Headers::new(names.iter().map(|name| (name.as_str(), "value")));
        let mut compressed = Deflater::default().compress(&headers.to_block());
        let bit = flip % (compressed.len() * 8);
        compressed[bit / 8] ^= 1 << (bit % 8);
        fuzz::spdy_compressed_headers(&compressed);
    }
}

/// Any control frame, and data, for few streams, so that they meet.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![0_u32..6, any::<u32>()];
    (0_usize..8, number, any::<u32>(), any::<bool>()).prop_map(|(kind, stream, value, fin)| {
        let stream = stream & 0x7fff_ffff;
        let headers = Headers::new([("streamtype", "data")]);
        let frame = match kind {
            0 => Frame::RstStream { stream, status: value },
            1 => Frame::Settings(vec![(frame::INITIAL_WINDOW_SIZE, value)]),
            2 => Frame::Ping(stream),
            3 => Frame::WindowUpdate { stream, bytes: value & 0x7fff_ffff },
            4 => Frame::GoAway { last: stream, status: 0 },
            // A fresh compressor per frame: right for the first frame, a violation afterwards.
            5 => Frame::SynStream { stream, fin, unidirectional: false, headers },
            6 => Frame::SynReply { stream, fin, headers },
            _ => {
                let mut out = BytesMut::new();
                Encoder::default().data(stream, &value.to_be_bytes(), fin, &mut out);
                return out.to_vec();
            }
        };
        let mut out = BytesMut::new();
        Encoder::default().frame(&frame, &mut out);
        out.to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn connections_outlive_whatever_is_sent(
        frames in proptest::collection::vec(prop_oneof![8 => any_frame(), 1 => proptest::collection::vec(any::<u8>(), 0..64)], 0..64),
        server in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (left, mut right) = env::net::pipe(1 << 20);
            let role = if server { Role::Server } else { Role::Client };
            let limits = Limits { close_timeout: Duration::from_millis(20), ..Limits::default() };
            let (connection, mut accept) = Connection::start(Box::new(left), role, &limits);
            let accepting = async {
                let mut lanes = Vec::new();
                while let Some(incoming) = accept.next().await {
                    lanes.push(incoming.accept());
                }
            };
            let sending = async {
                for frame in &frames {
                    // The other end may have had enough.
                    drop(right.write_all(frame).await);
                }
                drop(right);
            };
            within(async { tokio::join!(accepting, sending, connection.ended()) }).await;
        });
    }
}

// === connections ===

fn pair(limits: &Limits) -> ((Connection, Accept), (Connection, Accept)) {
    let (left, right) = env::net::pipe(64 << 10);
    let client = Connection::start(Box::new(left), Role::Client, limits);
    (client, Connection::start(Box::new(right), Role::Server, limits))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    env::time::timeout(DEADLINE, future).await.expect("it takes no longer than the deadline")
}

async fn open(client: &Connection, accept: &mut Accept) -> (Lane, Lane) {
    let opening = client.open(Headers::new([("Name", "value")]));
    let accepting = async {
        let incoming = accept.next().await.unwrap();
        assert_eq!(incoming.headers().get("name"), Some("value"));
        incoming.accept()
    };
    let (opened, accepted) = within(async { tokio::join!(opening, accepting) }).await;
    (opened.unwrap(), accepted)
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_way_ends_by_itself() {
    for flow_control in [false, true] {
        let limits = Limits { flow_control, stream_buffer_bytes_max: 8 << 10, ..Limits::default() };
        let ((client, _), (_server, mut accept)) = pair(&limits);
        let (mut here, there) = open(&client, &mut accept).await;
        let sent: Vec<u8> = (0..1_000_000_u32).map(|index| index.to_le_bytes()[0]).collect();
        let (mut echo_from, mut echo_to) = there.split();
        let echo = async {
            tokio::io::copy(&mut echo_from, &mut echo_to).await.unwrap();
            echo_to.shutdown().await.unwrap();
        };
        let (mut from, mut to) = tokio::io::split(&mut here);
        let send = async {
            to.write_all(&sent).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let mut back = Vec::new();
        within(async { tokio::join!(echo, send, async { from.read_to_end(&mut back).await.unwrap() }) }).await;
        assert!(back == sent, "flow control {flow_control}: {} bytes came back", back.len());
    }
}

#[tokio::test]
async fn with_flow_control_one_stalled_stream_does_not_stall_the_others() {
    let limits = Limits { flow_control: true, stream_buffer_bytes_max: 8 << 10, ..Limits::default() };
    let ((client, _), (_server, mut accept)) = pair(&limits);
    let (mut stalled, _unread) = open(&client, &mut accept).await;
    let stall = async {
        // Never ends: nobody reads at the other end.
        drop(stalled.write_all(&vec![0; 1 << 20]).await);
        unreachable!("a megabyte fits no window of 8 KiB");
    };
    let other = async {
        let (mut here, mut there) = open(&client, &mut accept).await;
        here.write_all(b"still alive").await.unwrap();
        here.shutdown().await.unwrap();
        let mut text = String::new();
        there.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = within(async {
        tokio::select! {
            () = stall => unreachable!("the stalled stream pends"),
            text = other => text,
        }
    });
    assert_eq!(text.await, "still alive");
}

#[tokio::test]
async fn a_refused_stream_fails_to_open_and_the_connection_goes_on() {
    let ((client, _), (_server, mut accept)) = pair(&Limits::default());
    let refusing = async { drop(accept.next().await) };
    let (refused, ()) = within(async { tokio::join!(client.open(Headers::default()), refusing) }).await;
    assert!(matches!(refused, Err(Error::Refused)), "{refused:?}");
    open(&client, &mut accept).await;
    within(client.ping()).await.unwrap();
}

#[tokio::test]
async fn streams_beyond_the_bound_are_refused() {
    let limits = Limits { streams_max: 1, ..Limits::default() };
    let ((client, _), (_server, mut accept)) = pair(&limits);
    let first = open(&client, &mut accept).await;
    let second = within(client.open(Headers::default())).await;
    assert!(matches!(second, Err(Error::Refused)), "{second:?}");
    drop(first);
}

#[tokio::test]
async fn a_dropped_stream_is_reset_behind_its_bytes() {
    let ((client, _), (_server, mut accept)) = pair(&Limits::default());
    let (mut here, mut there) = open(&client, &mut accept).await;
    here.write_all(b"last words").await.unwrap();
    drop(here);
    let mut text = Vec::new();
    let end = within(there.read_to_end(&mut text)).await;
    assert_eq!((text.as_slice(), end.unwrap()), (b"last words".as_slice(), 10), "a reset reads as an end");
    let write = within(there.write_all(b"anybody?")).await;
    assert_eq!(write.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_finished_stream_that_nobody_reads_any_more_stops_its_sender() {
    let ((client, _), (_server, mut accept)) = pair(&Limits::default());
    let (mut here, mut there) = open(&client, &mut accept).await;
    there.write_all(b"enough").await.unwrap();
    there.shutdown().await.unwrap();
    drop(there);
    let sending = async { while here.write_all(&[0; 1 << 10]).await.is_ok() {} };
    within(sending).await;
    let mut text = String::new();
    within(here.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "enough");
}

#[tokio::test]
async fn a_connection_closes_after_its_last_bytes_and_new_streams_fail() {
    let ((client, _), (server, mut accept)) = pair(&Limits::default());
    let (mut here, mut there) = open(&client, &mut accept).await;
    there.write_all(&[7; 100_000]).await.unwrap();
    there.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    let (read, ()) = within(async { tokio::join!(here.read_to_end(&mut bytes), server.close()) }).await;
    assert_eq!(read.unwrap(), 100_000);
    within(client.ended()).await;
    assert!(matches!(client.open(Headers::default()).await, Err(Error::Ended)));
}

#[tokio::test]
async fn what_a_peer_said_before_it_left_is_read_whatever_cannot_be_written() {
    // Which loop of the connection notices first is left to chance.
    for _ in 0..32 {
        let (ours, mut theirs) = env::net::pipe(64 << 10);
        let (client, _accept) = Connection::start(Box::new(ours), Role::Client, &Limits::default());
        let opening = client.open(Headers::default());
        let peer = async {
            let mut head = [0; 12];
            theirs.read_exact(&mut head).await.unwrap();
            let (mut encoder, mut wire) = (Encoder::default(), BytesMut::new());
            encoder.frame(&Frame::SynReply { stream: 1, fin: false, headers: Headers::default() }, &mut wire);
            theirs.write_all(&wire).await.unwrap();
            (theirs, encoder)
        };
        let (lane, (mut theirs, mut encoder)) = within(async { tokio::join!(opening, peer) }).await;
        let mut lane = lane.unwrap();
        let mut wire = BytesMut::new();
        encoder.data(1, b"last words", true, &mut wire);
        theirs.write_all(&wire).await.unwrap();
        drop(theirs);
        lane.write_all(b"in vain").await.unwrap();
        let mut said = String::new();
        within(lane.read_to_string(&mut said)).await.expect("they were sent");
        assert_eq!(said, "last words");
    }
}

#[tokio::test]
async fn a_cut_connection_reads_as_an_error() {
    let (left, right) = env::net::pipe(64 << 10);
    let (client, _accept) = Connection::start(Box::new(left), Role::Client, &Limits::default());
    let mut right: Io = Box::new(right);
    let replying = async {
        let mut head = [0; 8];
        right.read_exact(&mut head).await.unwrap();
        let mut out = BytesMut::new();
        let mut encoder = Encoder::default();
        encoder.frame(&Frame::SynReply { stream: 1, fin: false, headers: Headers::default() }, &mut out);
        encoder.data(1, b"cut", false, &mut out);
        right.write_all(&out).await.unwrap();
        drop(right);
    };
    let (lane, ()) = within(async { tokio::join!(client.open(Headers::default()), replying) }).await;
    let mut text = Vec::new();
    let end = within(lane.unwrap().read_to_end(&mut text)).await;
    assert_eq!((text.as_slice(), end.unwrap_err().kind()), (b"cut".as_slice(), std::io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_told_and_left() {
    let (left, mut right) = env::net::pipe(64 << 10);
    let (server, mut accept) = Connection::start(Box::new(left), Role::Server, &Limits::default());
    right.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut wire = BytesMut::new();
    // "GET " reads as the head of a data frame, whose length eats what follows; the second line is not SPDY either.
    right.write_all(&[0x80, 2].repeat(9_000_000 / 2)).await.unwrap_or_default();
    let said = async { while right.read_buf(&mut wire).await.is_ok_and(|bytes| bytes > 0) {} };
    within(said).await;
    let goodbye = Decoder::new(1 << 10).next(&mut wire).unwrap();
    let expected = Frame::GoAway { last: 0, status: frame::GOAWAY_PROTOCOL_ERROR };
    assert_eq!(goodbye, Some(Event::Frame(expected)));
    within(server.ended()).await;
    assert!(accept.next().await.is_none());
}

#[tokio::test]
async fn a_peer_that_pings_and_never_reads_is_left() {
    let (left, mut right) = env::net::pipe(1 << 10);
    let limits = Limits { close_timeout: Duration::from_millis(50), ..Limits::default() };
    let (server, _accept) = Connection::start(Box::new(left), Role::Server, &limits);
    let mut ping = BytesMut::new();
    Encoder::default().frame(&Frame::Ping(1), &mut ping);
    let flood = async { while right.write_all(&ping).await.is_ok() {} };
    within(async { tokio::join!(flood, server.ended()) }).await;
}

#[tokio::test]
async fn an_idle_connection_is_pinged() {
    let (left, mut right) = env::net::pipe(1 << 10);
    let limits = Limits { ping_interval: Duration::from_millis(10), ..Limits::default() };
    let (_server, _accept) = Connection::start(Box::new(left), Role::Server, &limits);
    let mut wire = BytesMut::new();
    while wire.len() < 24 {
        within(right.read_buf(&mut wire)).await.unwrap();
    }
    let mut decoder = Decoder::new(1 << 10);
    assert_eq!(decoder.next(&mut wire), Ok(Some(Event::Frame(Frame::Ping(2)))));
    assert_eq!(decoder.next(&mut wire), Ok(Some(Event::Frame(Frame::Ping(4)))));
}

#[tokio::test]
async fn a_silent_peer_is_left_in_the_end() {
    let (left, _right) = env::net::pipe(1 << 20);
    let limits = Limits { idle_timeout: Duration::from_millis(50), ..Limits::default() };
    let (server, _accept) = Connection::start(Box::new(left), Role::Server, &limits);
    within(server.ended()).await;
}
