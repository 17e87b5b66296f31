//! What the kernel says about links and addresses.

use std::net::IpAddr;

use super::Network;
use super::encode::link_header;
use super::encode::{GET_ADDRESS, GET_LINK, IFLA_ADDRESS, IFLA_IFNAME, IFLA_MASTER, IFLA_MTU, NEW_ADDRESS, NEW_LINK};
use crate::Error;
use crate::message::{Messages, attributes, read_u32, text};
use crate::socket::{ACK, DUMP, REQUEST, Socket};

/// A link as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address; empty for tunnels without one.
    pub mac: Vec<u8>,
    /// The largest packet.
    pub mtu: u32,
    /// The bridge it is a port of.
    pub master: Option<u32>,
    /// Whether it is up.
    pub up: bool,
}

/// An address as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRead {
    /// The index of its link.
    pub link: u32,
    /// The address with its prefix.
    pub network: Network,
}

pub(super) fn link(socket: &mut Socket, name: &str) -> Result<Option<Link>, Error> {
    let mut request = Messages::starting_at(socket.reserve(1));
    request.message(GET_LINK, REQUEST | ACK, |m| {
        link_header(m, 0, 0, 0, 0);
        m.text(IFLA_IFNAME, name);
    });
    let mut found = None;
    let step = format!("show the link {name}");
    let answered = socket.answers(request.bytes(), &step, |answer| {
        if answer.kind == NEW_LINK {
            found = read_link(answer.body);
        }
    });
    match answered {
        Err(error) if error.is_absent() => Ok(None),
        other => other.map(|()| found),
    }
}

pub(super) fn links(socket: &mut Socket) -> Result<Vec<Link>, Error> {
    let mut request = Messages::starting_at(socket.reserve(1));
    request.message(GET_LINK, REQUEST | DUMP, |m| link_header(m, 0, 0, 0, 0));
    let mut found = Vec::new();
    socket.answers(request.bytes(), "list the links", |answer| {
        if answer.kind == NEW_LINK {
            found.extend(read_link(answer.body));
        }
    })?;
    Ok(found)
}

pub(super) fn addresses(socket: &mut Socket) -> Result<Vec<AddressRead>, Error> {
    let mut request = Messages::starting_at(socket.reserve(1));
    request.message(GET_ADDRESS, REQUEST | DUMP, |m| m.raw(&[0; 8]));
    let mut found = Vec::new();
    socket.answers(request.bytes(), "list the addresses", |answer| {
        if answer.kind == NEW_ADDRESS {
            found.extend(read_address(answer.body));
        }
    })?;
    Ok(found)
}

pub(crate) fn read_link(body: &[u8]) -> Option<Link> {
    let mut link = Link { index: read_u32(body.get(4..)?)?, up: read_u32(body.get(8..)?)? & 1 != 0, ..Link::default() };
    for (kind, payload) in attributes(body.get(16..)?) {
        match kind {
            IFLA_ADDRESS => link.mac = payload.to_vec(),
            IFLA_IFNAME => link.name = text(payload),
            IFLA_MTU => link.mtu = read_u32(payload)?,
            IFLA_MASTER => link.master = read_u32(payload),
            _ => {}
        }
    }
    Some(link)
}

pub(crate) fn read_address(body: &[u8]) -> Option<AddressRead> {
    let (peer, local) = (1, 2);
    let prefix = *body.get(1)?;
    let link = read_u32(body.get(4..)?)?;
    let mut address = None;
    for (kind, payload) in attributes(body.get(8..)?) {
        if kind == local || (kind == peer && address.is_none()) {
            address = read_ip(payload);
        }
    }
    Some(AddressRead { link, network: Network { address: address?, prefix } })
}

fn read_ip(payload: &[u8]) -> Option<IpAddr> {
    match payload.len() {
        4 => payload.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        16 => payload.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}
