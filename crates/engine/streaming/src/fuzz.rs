//! One entry per decoder for a fuzzer: each takes arbitrary bytes, and has only to return.

use bytes::{Bytes, BytesMut};

use crate::remote::{Outcome, size};
use crate::spdy::frame::{Decoder, Event};
use crate::spdy::headers::{Headers, Inflater};
use crate::websocket::channels::Dialect;

/// Header bytes accepted here, as by [`crate::Limits::default`].
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Reads `bytes` as one direction of a SPDY connection; returns the events until the end or the first violation.
pub fn spdy_frames(bytes: &[u8]) -> Vec<Event> {
    spdy_frames_in_pieces([bytes])
}

/// The same of bytes that arrive in pieces.
pub fn spdy_frames_in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut decoder = Decoder::new(HEADER_BYTES_MAX);
    let mut buffer = BytesMut::new();
    let mut events = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next(&mut buffer) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_violation) => return events,
            }
        }
    }
    events
}

/// Reads `bytes` as an expanded SPDY header block.
pub fn spdy_headers(bytes: &[u8]) -> Option<Headers> {
    Headers::parse(bytes).ok()
}

/// Expands `bytes` as a compressed SPDY header block; returns its expanded length.
pub fn spdy_compressed_headers(bytes: &[u8]) -> Option<usize> {
    Inflater::default().expand(bytes, HEADER_BYTES_MAX).ok().map(|block| block.len())
}

/// Reads `bytes` as a message of each of the `channel.k8s.io` subprotocols; returns how many could read it.
pub fn channel_message(bytes: &[u8]) -> usize {
    let message = Bytes::copy_from_slice(bytes);
    let dialects = [(false, false), (false, true), (true, false)];
    let readable = dialects.iter().filter(|(base64, close_signal)| {
        Dialect { base64: *base64, close_signal: *close_signal }.decode(&message).is_ok()
    });
    readable.count()
}

/// Reads `bytes` as the outcome on a v4 error stream.
pub fn outcome(bytes: &[u8]) -> Option<Outcome> {
    Outcome::from_json(&String::from_utf8_lossy(bytes)).ok()
}

/// Reads `bytes` as a stream of terminal sizes; returns how many there are.
pub fn terminal_sizes(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut count = 0;
    while let size::Scan::Size(_, used) = size::scan(rest) {
        rest = &rest[used..];
        count += 1;
    }
    count
}
