//! Frames of HTTP/2 (RFC 9113), as far as listening needs them.

use anyhow::{Result, ensure};

const HEAD_BYTES: usize = 9;
/// Of what is not handed on in parts: the largest frame that a server may send to who asks for no more.
const WHOLE_BYTES_MAX: usize = 64 << 10;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const ACK: u8 = 0x1;
const PADDED: u8 = 0x8;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Reset,
    Settings,
    Ping,
    GoAway,
    Other,
}

impl Kind {
    fn of(number: u8) -> Kind {
        match number {
            0 => Kind::Data,
            1 => Kind::Headers,
            3 => Kind::Reset,
            4 => Kind::Settings,
            6 => Kind::Ping,
            7 => Kind::GoAway,
            _ => Kind::Other,
        }
    }
}

/// A frame, or as much of its data as has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Bytes of a stream.
    Data { stream: u32, bytes: &'a [u8] },
    /// A frame of another kind; `answers` says that it answers one of ours.
    Whole { kind: Kind, answers: bool, payload: &'a [u8] },
}

#[derive(Debug, Clone, Copy)]
struct Head {
    kind: Kind,
    flags: u8,
    stream: u32,
}

impl Head {
    fn of(bytes: [u8; HEAD_BYTES]) -> Result<(Head, usize)> {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        let head = Head { kind: Kind::of(kind), flags, stream: u32::from_be_bytes(stream) & (u32::MAX >> 1) };
        let is_stream = matches!(head.kind, Kind::Data | Kind::Headers);
        ensure!(!is_stream || flags & (END_STREAM | PADDED) == 0, "the server ended a watch, or pads it");
        Ok((head, u32::from_be_bytes([0, a, b, c]) as usize))
    }
}

/// Reads frames wherever the bytes are cut.
#[derive(Debug, Default)]
pub(super) struct Frames {
    under_way: Option<Head>,
    /// Bytes until the end of the frame under way.
    left: usize,
    /// The beginning of a head or of a whole frame.
    begun: Vec<u8>,
    is_given: bool,
}

impl Frames {
    /// Takes the next part from the front of `bytes`; `None` when it takes more of them.
    pub(super) fn next<'a, 'b: 'a>(&'a mut self, bytes: &mut &'b [u8]) -> Result<Option<Part<'a>>> {
        if std::mem::take(&mut self.is_given) {
            self.begun.clear();
        }
        let head = match self.under_way {
            Some(head) => head,
            None => {
                self.gather(HEAD_BYTES - self.begun.len(), bytes);
                let Ok(head) = <[u8; HEAD_BYTES]>::try_from(self.begun.as_slice()) else { return Ok(None) };
                self.begun.clear();
                let (head, length) = Head::of(head)?;
                ensure!(head.kind == Kind::Data || length <= WHOLE_BYTES_MAX, "a frame of {length} bytes");
                self.left = length;
                *self.under_way.insert(head)
            }
        };
        let count = self.left.min(bytes.len());
        if count == 0 && self.left > 0 {
            return Ok(None);
        }
        self.left -= count;
        if self.left == 0 {
            self.under_way = None;
        }
        if head.kind == Kind::Data {
            let (now, later) = bytes.split_at(count);
            *bytes = later;
            return Ok(Some(Part::Data { stream: head.stream, bytes: now }));
        }
        self.gather(count, bytes);
        if self.left > 0 {
            return Ok(None);
        }
        self.is_given = true;
        Ok(Some(Part::Whole { kind: head.kind, answers: head.flags & ACK != 0, payload: &self.begun }))
    }

    fn gather(&mut self, count: usize, bytes: &mut &[u8]) {
        let (now, later) = bytes.split_at(count.min(bytes.len()));
        self.begun.extend_from_slice(now);
        *bytes = later;
    }
}

fn frame((kind, flags, stream): (u8, u8, u32), payload: &[u8], out: &mut Vec<u8>) {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("our own frames are short").to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// What we allow.
pub(super) fn settings(pairs: &[(u16, u32)], out: &mut Vec<u8>) {
    let payload: Vec<u8> = pairs
        .iter()
        .flat_map(|(name, value)| [name.to_be_bytes().as_slice(), value.to_be_bytes().as_slice()].concat())
        .collect();
    frame((4, 0, 0), &payload, out);
}

/// That the server's settings are known.
pub(super) fn settings_heard(out: &mut Vec<u8>) {
    frame((4, ACK, 0), &[], out);
}

pub(super) fn pong(payload: &[u8], out: &mut Vec<u8>) {
    frame((6, ACK, 0), payload, out);
}

/// Widens the connection's window by `bytes`.
pub(super) fn window(bytes: u32, out: &mut Vec<u8>) {
    frame((8, 0, 0), &bytes.to_be_bytes(), out);
}

/// The headers of a GET (RFC 7541), none of which enters the table that the two sides would have to keep.
pub(super) fn head(path: &str, authority: &str, accept: &str) -> Vec<u8> {
    let (get, https) = (0x82, 0x87);
    let mut head = vec![get, https];
    for (name, value) in [(4, path), (1, authority), (19, accept), (58, "bench")] {
        integer(name, 4, &mut head);
        integer(value.len(), 7, &mut head);
        head.extend_from_slice(value.as_bytes());
    }
    head
}

/// A number whose first byte has room for `bits`.
fn integer(number: usize, bits: u32, out: &mut Vec<u8>) {
    let most = (1 << bits) - 1;
    let low = |number: usize| u8::try_from(number & 0x7f).expect("seven bits fit");
    if number < most {
        return out.push(low(number));
    }
    out.push(low(most));
    let mut rest = number - most;
    while rest >= 0x80 {
        out.push(low(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low(rest));
}

/// Opens a stream by a request without a body.
pub(super) fn request(stream: u32, head: &[u8], out: &mut Vec<u8>) {
    frame((1, END_STREAM | END_HEADERS, stream), head, out);
}

#[cfg(test)]
mod tests;
