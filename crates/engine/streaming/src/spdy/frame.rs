//! SPDY/3 frames: bytes to events and back, without I/O.
//!
//! Invariants
//! - Whatever the bytes, decoding ends with events, a wish for more bytes, or a [`Violation`]; it never holds more than
//!   one control frame of [`crate::Limits::header_bytes_max`] back.
//! - The payload of a data frame is passed on in the pieces in which it arrives: its announced length reserves nothing.

use bytes::{Buf, Bytes, BytesMut};

use super::headers::{Deflater, Headers, Inflater, Malformed};

/// `RST_STREAM`: the peer broke the protocol on this stream.
pub const PROTOCOL_ERROR: u32 = 1;
/// `RST_STREAM`: the stream does not exist.
pub const INVALID_STREAM: u32 = 2;
/// `RST_STREAM`: the stream was refused before anything was done about it.
pub const REFUSED_STREAM: u32 = 3;
/// `RST_STREAM`: the stream is no longer wanted.
pub const CANCEL: u32 = 5;
/// `RST_STREAM`: more was sent than the window allowed.
pub const FLOW_CONTROL_ERROR: u32 = 7;
/// `SETTINGS`: the window that every stream begins with.
pub const INITIAL_WINDOW_SIZE: u32 = 7;
/// `GOAWAY`: an orderly end.
pub const GOAWAY_OK: u32 = 0;
/// `GOAWAY`: the peer broke the protocol.
pub const GOAWAY_PROTOCOL_ERROR: u32 = 1;

const FIN: u8 = 1;
const UNIDIRECTIONAL: u8 = 2;
const VERSION: u16 = 3;
const HEAD_BYTES: usize = 8;
const STREAM_MASK: u32 = 0x7fff_ffff;
/// Data frames carry their length in 24 bits.
const LENGTH_MAX: usize = 0xff_ffff;

/// A control frame. Stream numbers are 31 bits wide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// The new stream.
        stream: u32,
        /// Its sender will send no data.
        fin: bool,
        /// Its receiver may send no data.
        unidirectional: bool,
        /// What the stream is for.
        headers: Headers,
    },
    /// Accepts a stream.
    SynReply {
        /// The accepted stream.
        stream: u32,
        /// Its sender will send no data.
        fin: bool,
        /// Usually none.
        headers: Headers,
    },
    /// Ends a stream at once, in both directions.
    RstStream {
        /// The stream.
        stream: u32,
        /// Why, as one of the constants above.
        status: u32,
    },
    /// Pairs of setting and value.
    Settings(Vec<(u32, u32)>),
    /// To be echoed when its number has the other side's parity.
    Ping(u32),
    /// No new streams; the connection ends when the open ones have.
    GoAway {
        /// The last stream that was accepted.
        last: u32,
        /// Why.
        status: u32,
    },
    /// More headers of an open stream.
    Headers {
        /// The stream.
        stream: u32,
        /// Its sender will send no more data.
        fin: bool,
        /// The headers.
        headers: Headers,
    },
    /// The sender can take more bytes on a stream (0: on the connection).
    WindowUpdate {
        /// The stream.
        stream: u32,
        /// By how many bytes the window grows.
        bytes: u32,
    },
}

/// What decoding yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole control frame.
    Frame(Frame),
    /// A piece of a data frame.
    Data {
        /// The stream.
        stream: u32,
        /// Possibly none.
        bytes: Bytes,
        /// The stream's sender has finished with this piece.
        fin: bool,
    },
}

/// The peer does not speak SPDY/3: the connection must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Another version of SPDY.
    #[error("a control frame of SPDY version {0}, not 3")]
    Version(u16),
    /// A control frame beyond the bound.
    #[error("a control frame of {bytes} bytes; at most {bytes_max} are read")]
    TooLong {
        /// Announced length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// A control frame whose length does not fit its type.
    #[error("a control frame of type {kind} with {bytes} bytes")]
    Length {
        /// The frame type's number.
        kind: u16,
        /// Its length.
        bytes: usize,
    },
    /// Stream or ping number zero where that means nothing.
    #[error("a frame for stream or ping 0")]
    Zero,
    /// An unreadable header block.
    #[error(transparent)]
    Headers(#[from] Malformed),
    /// More answers are owed than the peer reads.
    #[error("the peer asks for answers and does not read them")]
    Flood,
}

/// Reads one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    inflater: Inflater,
    header_bytes_max: usize,
    payload: Payload,
}

/// What is left of the frame whose head was read.
#[derive(Debug, Clone, Copy)]
enum Payload {
    None,
    Data { stream: u32, left_bytes: usize, fin: bool },
    Ignored { left_bytes: usize },
}

impl Decoder {
    /// A decoder at the beginning of a connection.
    pub fn new(header_bytes_max: usize) -> Decoder {
        Decoder { inflater: Inflater::default(), header_bytes_max, payload: Payload::None }
    }

    /// The next event of `buffer`, whose used bytes are taken; `None` when more bytes are needed.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Event>, Violation> {
        loop {
            match self.payload {
                Payload::Data { stream, left_bytes, fin } => {
                    if buffer.is_empty() && left_bytes > 0 {
                        return Ok(None);
                    }
                    let bytes = buffer.split_to(left_bytes.min(buffer.len())).freeze();
                    let left_bytes = left_bytes - bytes.len();
                    let last = left_bytes == 0;
                    self.payload = if last { Payload::None } else { Payload::Data { stream, left_bytes, fin } };
                    return Ok(Some(Event::Data { stream, bytes, fin: fin && last }));
                }
                Payload::Ignored { left_bytes } => {
                    let taken = left_bytes.min(buffer.len());
                    buffer.advance(taken);
                    if taken < left_bytes {
                        self.payload = Payload::Ignored { left_bytes: left_bytes - taken };
                        return Ok(None);
                    }
                    self.payload = Payload::None;
                }
                Payload::None => match self.head(buffer)? {
                    Step::Again => {}
                    Step::Starved => return Ok(None),
                    Step::Frame(frame) => return Ok(Some(Event::Frame(frame))),
                },
            }
        }
    }

    fn head(&mut self, buffer: &mut BytesMut) -> Result<Step, Violation> {
        let Some(head) = buffer.first_chunk::<HEAD_BYTES>() else { return Ok(Step::Starved) };
        let [a, b, c, d, flags, x, y, z] = *head;
        let bytes = usize::from(x) << 16 | usize::from(y) << 8 | usize::from(z);
        if a & 0x80 == 0 {
            let stream = u32::from_be_bytes([a, b, c, d]);
            if stream == 0 {
                return Err(Violation::Zero);
            }
            buffer.advance(HEAD_BYTES);
            self.payload = Payload::Data { stream, left_bytes: bytes, fin: flags & FIN != 0 };
            return Ok(Step::Again);
        }
        let version = u16::from_be_bytes([a & 0x7f, b]);
        if version != VERSION {
            return Err(Violation::Version(version));
        }
        let kind = u16::from_be_bytes([c, d]);
        if !KINDS.contains(&kind) {
            buffer.advance(HEAD_BYTES);
            self.payload = Payload::Ignored { left_bytes: bytes };
            return Ok(Step::Again);
        }
        if bytes > self.header_bytes_max {
            return Err(Violation::TooLong { bytes, bytes_max: self.header_bytes_max });
        }
        if buffer.len() < HEAD_BYTES + bytes {
            return Ok(Step::Starved);
        }
        buffer.advance(HEAD_BYTES);
        let body = buffer.split_to(bytes);
        self.control(kind, flags, &body).map(Step::Frame)
    }

    fn control(&mut self, kind: u16, flags: u8, body: &[u8]) -> Result<Frame, Violation> {
        let fin = flags & FIN != 0;
        let wrong = || Violation::Length { kind, bytes: body.len() };
        let mut words = Words(body);
        let frame = match kind {
            SYN_STREAM => {
                let stream = words.stream().ok_or_else(wrong)?;
                // The associated stream, the priority and the credential slot mean nothing here.
                let block = words.0.get(6..).ok_or_else(wrong)?;
                let headers = self.headers(block)?;
                Frame::SynStream { stream, fin, unidirectional: flags & UNIDIRECTIONAL != 0, headers }
            }
            SYN_REPLY => {
                let stream = words.stream().ok_or_else(wrong)?;
                Frame::SynReply { stream, fin, headers: self.headers(words.0)? }
            }
            HEADERS => {
                let stream = words.stream().ok_or_else(wrong)?;
                Frame::Headers { stream, fin, headers: self.headers(words.0)? }
            }
            SETTINGS => settings(words).ok_or_else(wrong)?,
            PING => Frame::Ping(words.last().ok_or_else(wrong)?),
            _ => {
                let (first, second) = words.pair().ok_or_else(wrong)?;
                match kind {
                    RST_STREAM => Frame::RstStream { stream: first & STREAM_MASK, status: second },
                    GOAWAY => return Ok(Frame::GoAway { last: first & STREAM_MASK, status: second }),
                    _ => {
                        let bytes = second & STREAM_MASK;
                        return Ok(Frame::WindowUpdate { stream: first & STREAM_MASK, bytes });
                    }
                }
            }
        };
        match frame {
            Frame::SynStream { stream: 0, .. }
            | Frame::SynReply { stream: 0, .. }
            | Frame::Headers { stream: 0, .. }
            | Frame::RstStream { stream: 0, .. }
            | Frame::Ping(0) => Err(Violation::Zero),
            frame => Ok(frame),
        }
    }

    fn headers(&mut self, block: &[u8]) -> Result<Headers, Violation> {
        let expanded = self.inflater.expand(block, self.header_bytes_max)?;
        Ok(Headers::parse(&expanded)?)
    }
}

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;
const KINDS: [u16; 8] = [SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE];

enum Step {
    Again,
    Starved,
    Frame(Frame),
}

/// The 32-bit words of a control frame's body.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn word(&mut self) -> Option<u32> {
        let (head, tail) = self.0.split_first_chunk::<4>()?;
        self.0 = tail;
        Some(u32::from_be_bytes(*head))
    }

    fn stream(&mut self) -> Option<u32> {
        self.word().map(|word| word & STREAM_MASK)
    }

    fn last(&mut self) -> Option<u32> {
        let word = self.word()?;
        self.0.is_empty().then_some(word)
    }

    fn pair(&mut self) -> Option<(u32, u32)> {
        let first = self.word()?;
        Some((first, self.last()?))
    }
}

fn settings(mut words: Words<'_>) -> Option<Frame> {
    let count = usize::try_from(words.word()?).ok()?;
    if words.0.len() != count.checked_mul(8)? {
        return None;
    }
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        // The upper eight bits are flags about persistence.
        pairs.push((words.word()? & 0xff_ffff, words.word()?));
    }
    Some(Frame::Settings(pairs))
}

/// Writes one direction of a connection.
#[derive(Debug, Default)]
pub struct Encoder {
    deflater: Deflater,
}

impl Encoder {
    /// Appends a control frame to `out`.
    pub fn frame(&mut self, frame: &Frame, out: &mut BytesMut) {
        let fin = |fin: bool| if fin { FIN } else { 0 };
        match frame {
            Frame::SynStream { stream, fin: last, unidirectional, headers } => {
                let flags = fin(*last) | if *unidirectional { UNIDIRECTIONAL } else { 0 };
                let block = self.deflater.compress(&headers.to_block());
                // No associated stream; priority and credential slot zero.
                control(out, SYN_STREAM, flags, &[&stream.to_be_bytes(), &[0; 6], &block]);
            }
            Frame::SynReply { stream, fin: last, headers } => {
                let block = self.deflater.compress(&headers.to_block());
                control(out, SYN_REPLY, fin(*last), &[&stream.to_be_bytes(), &block]);
            }
            Frame::Headers { stream, fin: last, headers } => {
                let block = self.deflater.compress(&headers.to_block());
                control(out, HEADERS, fin(*last), &[&stream.to_be_bytes(), &block]);
            }
            Frame::RstStream { stream, status } => pair(out, RST_STREAM, *stream, *status),
            Frame::GoAway { last, status } => pair(out, GOAWAY, *last, *status),
            Frame::WindowUpdate { stream, bytes } => pair(out, WINDOW_UPDATE, *stream, *bytes),
            Frame::Ping(id) => control(out, PING, 0, &[&id.to_be_bytes()]),
            Frame::Settings(pairs) => {
                let count = u32::try_from(pairs.len()).expect("settings are few");
                let mut body = count.to_be_bytes().to_vec();
                for word in pairs.iter().flat_map(|(id, value)| [id, value]) {
                    body.extend_from_slice(&word.to_be_bytes());
                }
                control(out, SETTINGS, 0, &[&body]);
            }
        }
    }

    /// Appends a data frame to `out`.
    ///
    /// # Panics
    /// When `bytes` is longer than the 16 MiB - 1 that a frame can carry.
    pub fn data(&mut self, stream: u32, bytes: &[u8], fin: bool, out: &mut BytesMut) {
        assert!(bytes.len() <= LENGTH_MAX, "a data frame carries less than 16 MiB");
        out.extend_from_slice(&(stream & STREAM_MASK).to_be_bytes());
        out.extend_from_slice(&length_word(if fin { FIN } else { 0 }, bytes.len()));
        out.extend_from_slice(bytes);
    }
}

fn length_word(flags: u8, bytes: usize) -> [u8; 4] {
    let [_, x, y, z] = u32::try_from(bytes).expect("a frame is shorter than 16 MiB").to_be_bytes();
    [flags, x, y, z]
}

fn pair(out: &mut BytesMut, kind: u16, first: u32, second: u32) {
    control(out, kind, 0, &[&first.to_be_bytes(), &second.to_be_bytes()]);
}

fn control(out: &mut BytesMut, kind: u16, flags: u8, parts: &[&[u8]]) {
    out.extend_from_slice(&(0x8000 | VERSION).to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&length_word(flags, parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        out.extend_from_slice(part);
    }
}
