//! Connection tracking: finding and forgetting connections whose translation is out of date.
//!
//! UDP has no end of connection: a client that keeps sending keeps its old translation alive, to an endpoint that is
//! gone. So whoever changes translations forgets the flows that they concern.

use std::net::IpAddr;

use crate::Error;
use crate::message::{Messages, attribute, received};
use crate::socket::{ACK, DUMP, REQUEST, Socket};

const NETLINK_NETFILTER: isize = 12;
const SUBSYSTEM: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;
/// Deletions sent at once.
const DELETIONS_MAX: usize = 256;

/// A tracked connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// The transport protocol.
    pub protocol: u8,
    /// Who began it.
    pub source: (IpAddr, u16),
    /// Whom it was addressed to.
    pub destination: (IpAddr, u16),
    /// Who answers: differs from `destination` when that was translated.
    pub answers: (IpAddr, u16),
}

/// A connection to the kernel's connection tracking, in the network namespace it was opened in.
#[derive(Debug)]
pub struct Connections {
    socket: Socket,
}

impl Connections {
    /// Opens one in the network namespace of the calling thread.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open(NETLINK_NETFILTER)? })
    }

    /// Forgets the flows of IPv4 (or IPv6) that `stale` picks, and returns how many those were.
    pub fn forget(&mut self, ipv4: bool, mut stale: impl FnMut(&Flow) -> bool) -> Result<usize, Error> {
        let family = if ipv4 { 2 } else { 10 };
        let mut request = Messages::starting_at(self.socket.reserve(1));
        request.message(SUBSYSTEM << 8 | GET, REQUEST | DUMP, |m| m.raw(&[family, 0, 0, 0]));
        let mut tuples = Vec::new();
        self.socket.answers(request.bytes(), "list tracked connections", |answer| {
            let Some(body) = answer.body.get(4..) else { return };
            if read_flow(body).is_some_and(|flow| stale(&flow)) {
                tuples.extend(attribute(body, 1).map(<[u8]>::to_vec));
            }
        })?;
        for chunk in tuples.chunks(DELETIONS_MAX) {
            self.delete(family, chunk)?;
        }
        Ok(tuples.len())
    }

    fn delete(&mut self, family: u8, tuples: &[Vec<u8>]) -> Result<(), Error> {
        let count = u32::try_from(tuples.len()).expect("a chunk is small");
        let first = self.socket.reserve(count);
        let mut request = Messages::starting_at(first);
        for tuple in tuples {
            request.message(SUBSYSTEM << 8 | DELETE, REQUEST | ACK, |m| {
                m.raw(&[family, 0, 0, 0]);
                m.nested(1, |m| m.raw(tuple));
            });
        }
        debug_assert_eq!(received(request.bytes()).count(), tuples.len(), "each deletion is one message");
        self.socket.send(request.bytes())?;
        let refusals = self.socket.acknowledged(first.wrapping_add(count).wrapping_sub(1))?;
        // One that ended by itself meanwhile is as good as forgotten.
        match refusals.into_iter().find(|refusal| refusal.errno != libc::ENOENT) {
            Some(refusal) => Err(refusal.into_error("forget a tracked connection")),
            None => Ok(()),
        }
    }
}

pub(crate) fn read_flow(body: &[u8]) -> Option<Flow> {
    let (original, reply) = (attribute(body, 1)?, attribute(body, 2)?);
    let (protocol, source, destination) = read_tuple(original)?;
    let (_, answers, _) = read_tuple(reply)?;
    Some(Flow { protocol, source, destination, answers })
}

type Tuple = (u8, (IpAddr, u16), (IpAddr, u16));

fn read_tuple(tuple: &[u8]) -> Option<Tuple> {
    let (addresses, transport) = (attribute(tuple, 1)?, attribute(tuple, 2)?);
    let protocol = *attribute(transport, 1)?.first()?;
    let source = read_address(addresses, 1, 3)?;
    let destination = read_address(addresses, 2, 4)?;
    Some((protocol, (source, read_port(transport, 2)), (destination, read_port(transport, 3))))
}

fn read_address(addresses: &[u8], ipv4: u16, ipv6: u16) -> Option<IpAddr> {
    if let Some(octets) = attribute(addresses, ipv4) {
        return octets.first_chunk::<4>().map(|octets| IpAddr::from(*octets));
    }
    attribute(addresses, ipv6)?.first_chunk::<16>().map(|octets| IpAddr::from(*octets))
}

/// 0 for protocols without ports.
fn read_port(transport: &[u8], kind: u16) -> u16 {
    attribute(transport, kind).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u16::from_be_bytes(*bytes))
}
