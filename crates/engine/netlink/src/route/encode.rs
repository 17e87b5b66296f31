//! Requests as netlink messages.

use std::net::IpAddr;

use super::{LinkKind, Mac, Network, NewLink, Request, Route};
use crate::message::Messages;
use crate::socket::{ACK, CREATE, EXCLUSIVE, REPLACE, REQUEST};

pub(super) const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
pub(super) const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
pub(super) const NEW_ADDRESS: u16 = 20;
const DELETE_ADDRESS: u16 = 21;
pub(super) const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DELETE_ROUTE: u16 = 25;
const NEW_NEIGHBOUR: u16 = 28;
const DELETE_NEIGHBOUR: u16 = 29;

pub(super) const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFLA_MTU: u16 = 4;
pub(super) const IFLA_MASTER: u16 = 10;

const UP: u32 = 1;
const AF_BRIDGE: u8 = 7;

/// The header of link messages.
pub(super) fn link_header(m: &mut Messages, family: u8, index: u32, flags: u32, change: u32) {
    m.raw(&[family, 0, 0, 0]);
    m.raw(&index.to_ne_bytes());
    m.raw(&flags.to_ne_bytes());
    m.raw(&change.to_ne_bytes());
}

pub(super) fn request(out: &mut Messages, request: &Request) {
    match request {
        Request::LinkAdd(link) => message(out, NEW_LINK, CREATE | EXCLUSIVE, |m| new_link(m, link)),
        Request::LinkDelete(name) => message(out, DELETE_LINK, 0, |m| {
            link_header(m, 0, 0, 0, 0);
            m.text(IFLA_IFNAME, name);
        }),
        Request::LinkUp(index) => message(out, NEW_LINK, 0, |m| link_header(m, 0, *index, UP, UP)),
        Request::LinkMtu(index, mtu) => message(out, NEW_LINK, 0, |m| {
            link_header(m, 0, *index, 0, 0);
            m.ne32(IFLA_MTU, *mtu);
        }),
        Request::BridgePort { link, hairpin, isolated } => message(out, SET_LINK, 0, |m| {
            const PROTOCOL_INFO: u16 = 12;
            link_header(m, AF_BRIDGE, *link, 0, 0);
            m.nested(PROTOCOL_INFO, |m| {
                m.byte(4, u8::from(*hairpin));
                m.byte(33, u8::from(*isolated));
            });
        }),
        Request::AddressAdd(link, network) => {
            message(out, NEW_ADDRESS, CREATE | REPLACE, |m| address(m, *link, *network));
        }
        Request::AddressDelete(link, network) => message(out, DELETE_ADDRESS, 0, |m| address(m, *link, *network)),
        Request::RouteSet(wanted) => message(out, NEW_ROUTE, CREATE | REPLACE, |m| route(m, wanted)),
        Request::RouteDelete(unwanted) => message(out, DELETE_ROUTE, 0, |m| route(m, unwanted)),
        other => neighbour_request(out, other),
    }
}

fn neighbour_request(out: &mut Messages, request: &Request) {
    let (itself, ordinary) = (0x02, 0);
    match request {
        Request::NeighbourSet(link, address, mac) => {
            message(out, NEW_NEIGHBOUR, CREATE | REPLACE, |m| {
                neighbour(m, (*link, ordinary), family(*address), *address, Some(mac));
            });
        }
        Request::NeighbourDelete(link, address) => message(out, DELETE_NEIGHBOUR, 0, |m| {
            neighbour(m, (*link, ordinary), family(*address), *address, None);
        }),
        Request::ForwardingSet(link, mac, host) => message(out, NEW_NEIGHBOUR, CREATE | REPLACE, |m| {
            neighbour(m, (*link, itself), AF_BRIDGE, *host, Some(mac));
        }),
        Request::ForwardingDelete(link, mac, host) => message(out, DELETE_NEIGHBOUR, 0, |m| {
            neighbour(m, (*link, itself), AF_BRIDGE, *host, Some(mac));
        }),
        _ => {}
    }
}

fn message(out: &mut Messages, kind: u16, flags: u16, fill: impl FnOnce(&mut Messages)) {
    out.message(kind, REQUEST | ACK | flags, fill);
}

fn new_link(m: &mut Messages, link: &NewLink) {
    const LINK_INFO: u16 = 18;
    link_header(m, 0, 0, UP, UP);
    m.text(IFLA_IFNAME, &link.name);
    if let Some(mtu) = link.mtu {
        m.ne32(IFLA_MTU, mtu);
    }
    if let Some(mac) = &link.mac {
        m.attribute(IFLA_ADDRESS, mac);
    }
    if let Some(master) = link.master {
        m.ne32(IFLA_MASTER, master);
    }
    m.nested(LINK_INFO, |m| {
        m.text(
            1,
            match link.kind {
                LinkKind::Bridge => "bridge",
                LinkKind::Veth { .. } => "veth",
                LinkKind::Vxlan { .. } => "vxlan",
            },
        );
        m.nested(2, |m| link_data(m, link));
    });
}

fn link_data(m: &mut Messages, link: &NewLink) {
    const NAMESPACE_FD: u16 = 28;
    match &link.kind {
        LinkKind::Bridge => {}
        LinkKind::Veth { peer, peer_index, peer_mac, peer_namespace } => m.nested(1, |m| {
            // A veth cannot come up before both its ends are tied together, which happens after this.
            link_header(m, 0, peer_index.unwrap_or(0), 0, 0);
            m.text(IFLA_IFNAME, peer);
            m.attribute(IFLA_ADDRESS, peer_mac);
            if let Some(mtu) = link.mtu {
                m.ne32(IFLA_MTU, mtu);
            }
            if let Some(fd) = peer_namespace {
                m.attribute(NAMESPACE_FD, &fd.to_ne_bytes());
            }
        }),
        LinkKind::Vxlan { id, port, local, underlay } => {
            let learning = 7;
            m.ne32(1, *id);
            m.attribute(15, &port.to_be_bytes());
            match local {
                IpAddr::V4(local) => m.attribute(4, &local.octets()),
                IpAddr::V6(local) => m.attribute(17, &local.octets()),
            }
            m.byte(learning, 0);
            if let Some(underlay) = underlay {
                m.ne32(3, *underlay);
            }
        }
    }
}

fn address(m: &mut Messages, link: u32, network: Network) {
    let no_duplicate_detection = 0x02_u32;
    m.raw(&[family(network.address), network.prefix, 0, 0]);
    m.raw(&link.to_ne_bytes());
    ip(m, 2, network.address);
    ip(m, 1, network.address);
    m.ne32(8, no_duplicate_detection);
}

fn route(m: &mut Messages, route: &Route) {
    let (main_table, statically, unicast) = (254, 4, 1);
    let (universe, on_link) = (0, 253);
    let scope = if route.gateway.is_none() && route.destination.address.is_ipv4() { on_link } else { universe };
    let onlink_flag = if route.onlink { 4_u32 } else { 0 };
    m.raw(&[family(route.destination.address), route.destination.prefix, 0, 0, main_table, statically, scope, unicast]);
    m.raw(&onlink_flag.to_ne_bytes());
    if route.destination.prefix > 0 {
        ip(m, 1, route.destination.address);
    }
    if let Some(gateway) = route.gateway {
        ip(m, 5, gateway);
    }
    if let Some(link) = route.link {
        m.ne32(4, link);
    }
    if let Some(source) = route.source {
        ip(m, 7, source);
    }
}

fn neighbour(m: &mut Messages, (link, flags): (u32, u8), family: u8, address: IpAddr, mac: Option<&Mac>) {
    let permanent = 0x80_u16;
    m.raw(&[family, 0, 0, 0]);
    m.raw(&link.to_ne_bytes());
    m.raw(&permanent.to_ne_bytes());
    m.raw(&[flags, 0]);
    ip(m, 1, address);
    if let Some(mac) = mac {
        m.attribute(2, mac);
    }
}

fn ip(m: &mut Messages, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => m.attribute(kind, &address.octets()),
        IpAddr::V6(address) => m.attribute(kind, &address.octets()),
    }
}

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 2,
        IpAddr::V6(_) => 10,
    }
}

/// What a request asks for, to follow "refused to".
pub(super) fn describe(request: &Request) -> String {
    match request {
        Request::LinkAdd(link) => format!("make the link {}", link.name),
        Request::LinkDelete(name) => format!("remove the link {name}"),
        Request::LinkUp(index) => format!("bring link {index} up"),
        Request::LinkMtu(index, mtu) => format!("set the MTU of link {index} to {mtu}"),
        Request::BridgePort { link, .. } => format!("configure the bridge port {link}"),
        Request::AddressAdd(link, network) => {
            format!("give link {link} the address {}/{}", network.address, network.prefix)
        }
        Request::AddressDelete(link, network) => {
            format!("take the address {}/{} from link {link}", network.address, network.prefix)
        }
        Request::RouteSet(route) => {
            format!("set the route to {}/{}", route.destination.address, route.destination.prefix)
        }
        Request::RouteDelete(route) => {
            format!("remove the route to {}/{}", route.destination.address, route.destination.prefix)
        }
        Request::NeighbourSet(link, address, _) => format!("set the neighbour {address} on link {link}"),
        Request::NeighbourDelete(link, address) => format!("remove the neighbour {address} from link {link}"),
        Request::ForwardingSet(link, _, host) => format!("forward to {host} on link {link}"),
        Request::ForwardingDelete(link, _, host) => format!("stop forwarding to {host} on link {link}"),
    }
}
