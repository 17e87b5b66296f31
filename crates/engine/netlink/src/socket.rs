//! A netlink socket: sending, and collecting what the kernel answers.

use std::io;

use netlink_sys::Socket as RawSocket;
use nix::sys::socket::{setsockopt, sockopt};

use crate::Error;
use crate::message::{Received, attribute, read_u32, received, text};

pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const DUMP: u16 = 0x300;
/// On a message of a dump: what is listed has changed since the dump began.
pub(crate) const INTERRUPTED: u16 = 0x10;
pub(crate) const REPLACE: u16 = 0x100;
pub(crate) const EXCLUSIVE: u16 = 0x200;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;

const ERROR: u16 = 2;
const DONE: u16 = 3;
/// In an error message: the request is not repeated in it.
const CAPPED: u16 = 0x100;
/// In an error message: attributes with an explanation follow.
const HAS_ATTRIBUTES: u16 = 0x200;

/// The largest datagram the kernel composes for a dump, with room to spare.
const DATAGRAM_BYTES_MAX: usize = 1 << 17;
/// What the kernel may queue for us: answers to one batch, or one step of a dump.
const RECEIVE_BYTES_MAX: usize = 8 << 20;

/// A refusal of one message.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) sequence: u32,
    pub(crate) errno: i32,
    pub(crate) detail: String,
}

#[derive(Debug)]
pub(crate) struct Socket {
    raw: RawSocket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Socket {
    /// Opens a socket of the netlink `protocol` in the network namespace of the calling thread.
    pub(crate) fn open(protocol: isize) -> Result<Self, Error> {
        let open = || -> io::Result<RawSocket> {
            let mut raw = RawSocket::new(protocol)?;
            raw.bind_auto()?;
            raw.set_ext_ack(true)?;
            raw.set_cap_ack(true)?;
            setsockopt(&raw, sockopt::RcvBufForce, &RECEIVE_BYTES_MAX)?;
            Ok(raw)
        };
        let raw = open().map_err(Error::Socket)?;
        Ok(Self { raw, buffer: Vec::with_capacity(DATAGRAM_BYTES_MAX), sequence: 1 })
    }

    /// Allows datagrams of up to `bytes` to be sent.
    pub(crate) fn allow_sending(&self, bytes: usize) -> Result<(), Error> {
        setsockopt(&self.raw, sockopt::SndBufForce, &bytes).map_err(|errno| Error::Socket(errno.into()))
    }

    /// Reserves `count` sequence numbers and returns the first.
    pub(crate) fn reserve(&mut self, count: u32) -> u32 {
        let first = self.sequence;
        self.sequence = self.sequence.wrapping_add(count).max(1);
        first
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        loop {
            match self.raw.send(bytes, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Socket(error)),
            }
        }
    }

    /// Collects the refusals that are queued already, without waiting.
    pub(crate) fn refusals_queued(&mut self) -> Result<Vec<Refusal>, Error> {
        let mut refusals = Vec::new();
        while self.receive(libc::MSG_DONTWAIT)? {
            refusals.extend(received(&self.buffer).filter_map(refusal));
        }
        Ok(refusals)
    }

    /// Waits for the acknowledgement of message `last`, and returns the refusals on the way.
    pub(crate) fn acknowledged(&mut self, last: u32) -> Result<Vec<Refusal>, Error> {
        let mut refusals = Vec::new();
        loop {
            self.receive(0)?;
            for message in received(&self.buffer) {
                refusals.extend(refusal(message));
                if message.kind == ERROR && message.sequence == last {
                    return Ok(refusals);
                }
            }
        }
    }

    /// Sends a request and hands every message of its answer to `each`, until the answer ends.
    pub(crate) fn answers(
        &mut self,
        request: &[u8],
        step: &str,
        mut each: impl FnMut(Received<'_>),
    ) -> Result<(), Error> {
        self.send(request)?;
        loop {
            self.receive(0)?;
            for message in received(&self.buffer) {
                match message.kind {
                    DONE => return Ok(()),
                    ERROR => return refusal(message).map_or(Ok(()), |refused| Err(refused.into_error(step))),
                    _ => each(message),
                }
            }
        }
    }

    /// Receives one datagram into the buffer; `false` when none is queued.
    fn receive(&mut self, flags: i32) -> Result<bool, Error> {
        loop {
            self.buffer.clear();
            match self.raw.recv(&mut self.buffer, flags) {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(Error::Socket(error)),
            }
        }
    }
}

impl Refusal {
    pub(crate) fn into_error(self, step: impl Into<String>) -> Error {
        let source = io::Error::from_raw_os_error(self.errno);
        Error::Refused { step: step.into(), detail: self.detail, source }
    }
}

pub(crate) fn refusal(message: Received<'_>) -> Option<Refusal> {
    const EXPLANATION: u16 = 1;
    if message.kind != ERROR {
        return None;
    }
    let errno = i32::from_ne_bytes(*message.body.first_chunk()?).wrapping_neg();
    if errno == 0 {
        return None;
    }
    let repeated =
        if message.flags & CAPPED != 0 { 16 } else { usize::try_from(read_u32(&message.body[4..])?).ok()? };
    let explained = (message.flags & HAS_ATTRIBUTES != 0).then(|| message.body.get(4 + repeated..)).flatten();
    let detail = explained.and_then(|bytes| attribute(bytes, EXPLANATION)).map(text).unwrap_or_default();
    Some(Refusal { sequence: message.sequence, errno, detail })
}
