//! Links, addresses, routes and neighbours.
//!
//! What is wanted is written down as [`Request`]s and applied together: one system call for the lot.

mod encode;
pub(crate) mod read;

use std::net::IpAddr;
use std::os::fd::RawFd;

use crate::Error;
use crate::message::Messages;
use crate::socket::Socket;

pub use read::{AddressRead, Link};

const NETLINK_ROUTE: isize = 0;

/// A hardware address.
pub type Mac = [u8; 6];

/// An address range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// An address in it.
    pub address: IpAddr,
    /// The number of leading bits that all its addresses share.
    pub prefix: u8,
}

/// What a new link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge,
    /// One end of a cable; the other end is `peer`.
    Veth {
        /// The other end's name.
        peer: String,
        /// The other end's index, when it must be known beforehand.
        peer_index: Option<u32>,
        /// The other end's hardware address.
        peer_mac: Mac,
        /// The network namespace the other end is born in; `None` for the same.
        peer_namespace: Option<RawFd>,
    },
    /// An Ethernet over UDP without learning: whom to send to stands in the forwarding table.
    Vxlan {
        /// The network identifier.
        id: u32,
        /// The UDP port.
        port: u16,
        /// The address to send from.
        local: IpAddr,
        /// The link to send through.
        underlay: Option<u32>,
    },
}

/// A link to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// The largest packet; both ends of a veth.
    pub mtu: Option<u32>,
    /// Its hardware address; the kernel's choice when `None`.
    pub mac: Option<Mac>,
    /// The bridge it is a port of.
    pub master: Option<u32>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to; all addresses with prefix 0 for the default route.
    pub destination: Network,
    /// Through whom; `None` when directly reachable.
    pub gateway: Option<IpAddr>,
    /// Through which link.
    pub link: Option<u32>,
    /// The gateway is reachable on the link although no route says so.
    pub onlink: bool,
    /// The source address to prefer.
    pub source: Option<IpAddr>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Makes a link and brings it up; the other end of a veth stays down.
    LinkAdd(NewLink),
    /// Removes a link by name.
    LinkDelete(String),
    /// Brings a link up.
    LinkUp(u32),
    /// Sets the largest packet of a link.
    LinkMtu(u32, u32),
    /// Sets what a bridge does with a port.
    BridgePort {
        /// The port.
        link: u32,
        /// Packets may leave by the port they came in.
        hairpin: bool,
        /// It cannot talk to other isolated ports but through the bridge's own address.
        isolated: bool,
    },
    /// Gives a link an address; one that it has is fine.
    AddressAdd(u32, Network),
    /// Takes an address from a link.
    AddressDelete(u32, Network),
    /// Sets a route, replacing one with the same destination.
    RouteSet(Route),
    /// Removes a route.
    RouteDelete(Route),
    /// Sets which hardware address answers for an address on a link.
    NeighbourSet(u32, IpAddr, Mac),
    /// Removes a neighbour.
    NeighbourDelete(u32, IpAddr),
    /// Sets to which host a VXLAN link sends frames for a hardware address.
    ForwardingSet(u32, Mac, IpAddr),
    /// Removes an entry of the forwarding table.
    ForwardingDelete(u32, Mac, IpAddr),
}

/// A connection to the kernel's routing, in the network namespace it was opened in.
#[derive(Debug)]
pub struct Routing {
    socket: Socket,
}

impl Routing {
    /// Opens one in the network namespace of the calling thread.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open(NETLINK_ROUTE)? })
    }

    /// Does all of `requests`, in order. Each is tried even when one before it fails; the first failure is returned.
    pub fn apply(&mut self, requests: &[Request]) -> Result<(), Error> {
        let Some(count) = u32::try_from(requests.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
        let first = self.socket.reserve(count);
        let mut messages = Messages::starting_at(first);
        for request in requests {
            encode::request(&mut messages, request);
        }
        self.socket.send(messages.bytes())?;
        let refusals = self.socket.acknowledged(first.wrapping_add(count).wrapping_sub(1))?;
        let Some(refusal) = refusals.into_iter().next() else { return Ok(()) };
        let index = usize::try_from(refusal.sequence.wrapping_sub(first)).unwrap_or(0);
        let step = requests.get(index).map(encode::describe).unwrap_or_default();
        Err(refusal.into_error(step))
    }

    /// The link named `name`.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        read::link(&mut self.socket, name)
    }

    /// All links.
    pub fn links(&mut self) -> Result<Vec<Link>, Error> {
        read::links(&mut self.socket)
    }

    /// All addresses of this network namespace.
    pub fn addresses(&mut self) -> Result<Vec<AddressRead>, Error> {
        read::addresses(&mut self.socket)
    }
}

impl Network {
    /// A single address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// All addresses of IPv4 or IPv6.
    pub fn all(ipv4: bool) -> Self {
        let address = if ipv4 {
            IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
        } else {
            IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
        };
        Self { address, prefix: 0 }
    }
}
