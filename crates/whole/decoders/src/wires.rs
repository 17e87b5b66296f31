//! Frames and messages of the protocols that we speak ourselves.

use std::sync::LazyLock;

use dns::{Config, Index, Outcome, Query, corefile};
use hickory_proto::op::Message;
use streaming::spdy::frame::Event;

use crate::halves;

/// One direction of a SPDY connection, a header block, a message of the channel protocols, an outcome, terminal sizes.
pub fn streams(bytes: &[u8]) {
    let whole = streaming::fuzz::spdy_frames(bytes);
    let pieces = streaming::fuzz::spdy_frames_in_pieces(bytes.chunks(5));
    assert_eq!(joined(pieces), joined(whole), "frames are the same in whatever pieces they arrive");
    drop(streaming::fuzz::spdy_headers(bytes));
    let _length = streaming::fuzz::spdy_compressed_headers(bytes);
    let _readers = streaming::fuzz::channel_message(bytes);
    drop(streaming::fuzz::outcome(bytes));
    let _sizes = streaming::fuzz::terminal_sizes(bytes);
}

/// Events with the pieces of each data frame put together.
fn joined(events: Vec<Event>) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (
                Some(Event::Data { stream, bytes, fin: last @ false }),
                Event::Data { stream: same, bytes: more, fin },
            ) if *stream == same => {
                *bytes = [&bytes[..], &more].concat().into();
                *last = fin;
            }
            (_, event) => joined.push(event),
        }
    }
    joined
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index::new(&Config { pods: true, ..Config::default() }, 1);
    index.namespace_set("default");
    let service = br#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"default"},
        "spec":{"clusterIPs":["10.96.0.10","fd00::a"],"ports":[{"name":"http","port":80,"protocol":"TCP"}]}}"#;
    let alias = br#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"out","namespace":"default"},
        "spec":{"type":"ExternalName","externalName":"example.com"}}"#;
    for text in [&service[..], alias] {
        let tree = codec::json::parse(text).expect("it is JSON");
        index.service_set(&typed::Kind::from_tree(&tree).expect("it is a Service"));
    }
    index
});

/// A question, or a question and what another resolver answers to it, the two divided by their length in the first
/// byte; or a Corefile with a resolver file behind a zero byte.
pub fn dns(bytes: &[u8]) {
    if let Ok(query) = Query::read(bytes) {
        let mut reply = Vec::new();
        if INDEX.answer_udp(&query, &mut reply) != Outcome::Forward {
            let read = Message::from_vec(&reply).unwrap_or_else(|error| panic!("{error}: {reply:?}"));
            assert_eq!(read.metadata.id, u16::from_be_bytes([bytes[0], bytes[1]]), "a reply is to its question");
        }
    }
    if let Some((length, rest)) = bytes.split_first() {
        let (question, answer) = rest.split_at(usize::from(*length).min(rest.len()));
        dns::fuzz::forwarded(question, answer);
    }
    let (text, resolv_conf) = halves(bytes);
    if let (Ok(text), Ok(resolv_conf)) = (std::str::from_utf8(text), std::str::from_utf8(resolv_conf)) {
        drop(corefile::read(text, resolv_conf, &[]));
    }
}
