//! Frames and messages of the protocols that we speak ourselves.

use std::sync::LazyLock;

use dns::config::Kubernetes;
use dns::corefile::{self, Around};
use dns::{Index, Outcome, Query, Rules};
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

/// What every client takes.
const UDP_BYTES: usize = 512;

static KUBERNETES: LazyLock<Kubernetes> =
    LazyLock::new(|| Kubernetes::usual("cluster.local", Vec::new()).expect("it is a zone"));

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index::new(1);
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

/// A question, or a question and what another resolver answers to it, the two divided by their length in the first byte.
pub fn dns(bytes: &[u8]) {
    if let Ok(query) = Query::read(bytes) {
        let mut reply = Vec::new();
        let rules = Rules { kubernetes: &KUBERNETES, rotates: true };
        if INDEX.answer(rules, &query, &mut reply, UDP_BYTES) != Outcome::Forward {
            let read = Message::from_vec(&reply).unwrap_or_else(|error| panic!("{error}: {reply:?}"));
            assert_eq!(read.metadata.id, u16::from_be_bytes([bytes[0], bytes[1]]), "a reply is to its question");
        }
    }
    if let Some((length, rest)) = bytes.split_first() {
        let (question, answer) = rest.split_at(usize::from(*length).min(rest.len()));
        dns::fuzz::forwarded(question, answer);
    }
}

/// A Corefile, with the file that it refers to behind a zero byte. What is understood is the same when it is read again.
pub fn corefile(bytes: &[u8]) {
    let (text, file) = halves(bytes);
    let (Ok(text), Ok(file)) = (std::str::from_utf8(text), std::str::from_utf8(file)) else { return };
    let read = || {
        let around = Around { file: &|_path| Some(file.to_owned()), own: &[] };
        corefile::read(text, around)
    };
    match read() {
        Ok(settings) => assert!(!settings.blocks.is_empty() && read().as_ref() == Ok(&settings)),
        Err(problem) => assert!(problem.to_string().starts_with("Corefile:"), "{problem}"),
    }
}
