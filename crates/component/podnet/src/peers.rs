//! The ways to the pods of other nodes: routes through their hosts, or a VXLAN where hosts are not neighbours.
//!
//! Nothing has to be exchanged for the VXLAN: the far end's hardware address follows from the host's address, so a
//! node's pod ranges and address, which its Node object tells, are enough.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use netlink::Routing;
use netlink::route::{LinkKind, Network, NewLink, Request, Route};

use crate::config::{mac, nth};

/// The VXLAN's link.
pub const OVERLAY: &str = "fkx0";
/// The VXLAN's UDP port, as flannel uses it.
const PORT: u16 = 8472;
const IDENTIFIER: u32 = 1;
/// In hardware addresses: an end of the VXLAN.
const OVERLAY_MAC: u8 = 0x58;

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its pod ranges.
    pub pod_ranges: Vec<Network>,
    /// Its host's addresses, at most one per family.
    pub hosts: Vec<IpAddr>,
}

/// How packets get to other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a route through the host, who must be on a common link.
    Direct,
    /// Through the VXLAN, which carries either family over one.
    Overlay {
        /// The VXLAN's link index.
        link: u32,
        /// Whether it was made with an IPv4 address of this host.
        ipv4: bool,
    },
}

/// The ways that are programmed.
#[derive(Debug)]
pub struct Ways {
    way: Way,
    programmed: BTreeMap<Network, IpAddr>,
}

impl Ways {
    /// None yet.
    pub fn new(way: Way) -> Self {
        Self { way, programmed: BTreeMap::new() }
    }

    /// What leads from the ways that are programmed to those to `peers`. The caller carries it out.
    pub fn plan(&mut self, peers: &[Peer]) -> Vec<Request> {
        let mut wanted = BTreeMap::new();
        for peer in peers {
            for range in &peer.pod_ranges {
                let ipv4 = match self.way {
                    Way::Direct => range.address.is_ipv4(),
                    Way::Overlay { ipv4, .. } => ipv4,
                };
                if let Some(host) = peer.hosts.iter().find(|host| host.is_ipv4() == ipv4) {
                    wanted.insert(*range, *host);
                }
            }
        }
        let before: BTreeSet<IpAddr> = self.programmed.values().copied().collect();
        let after: BTreeSet<IpAddr> = wanted.values().copied().collect();
        let gone = self.programmed.iter().filter(|(range, host)| wanted.get(range) != Some(host));
        let come = wanted.iter().filter(|(range, host)| self.programmed.get(range) != Some(host));
        let mut requests: Vec<Request> = gone.flat_map(|(range, host)| self.way.end(*range, *host)).collect();
        requests.extend(before.difference(&after).filter_map(|host| self.way.host_end(*host)));
        requests.extend(after.difference(&before).filter_map(|host| self.way.host_begin(*host)));
        requests.extend(come.flat_map(|(range, host)| self.way.begin(*range, *host)));
        self.programmed = wanted;
        requests
    }
}

impl Way {
    fn route(self, range: Network, host: IpAddr) -> Route {
        match self {
            Way::Direct => Route { destination: range, gateway: Some(host), link: None, onlink: false, source: None },
            Way::Overlay { link, .. } => {
                Route { destination: range, gateway: Some(nth(range, 0)), link: Some(link), onlink: true, source: None }
            }
        }
    }

    fn begin(self, range: Network, host: IpAddr) -> Vec<Request> {
        let route = Request::RouteSet(self.route(range, host));
        let Way::Overlay { link, .. } = self else { return vec![route] };
        vec![Request::NeighbourSet(link, nth(range, 0), mac(OVERLAY_MAC, host)), route]
    }

    fn end(self, range: Network, host: IpAddr) -> Vec<Request> {
        let route = Request::RouteDelete(self.route(range, host));
        let Way::Overlay { link, .. } = self else { return vec![route] };
        vec![route, Request::NeighbourDelete(link, nth(range, 0))]
    }

    fn host_begin(self, host: IpAddr) -> Option<Request> {
        let Way::Overlay { link, .. } = self else { return None };
        Some(Request::ForwardingSet(link, mac(OVERLAY_MAC, host), host))
    }

    fn host_end(self, host: IpAddr) -> Option<Request> {
        let Way::Overlay { link, .. } = self else { return None };
        Some(Request::ForwardingDelete(link, mac(OVERLAY_MAC, host), host))
    }
}

/// Makes the VXLAN that sends from `host`, unless it is there, and returns its index. `pod_ranges` are this node's.
pub fn overlay(host: IpAddr, pod_ranges: &[Network], mtu: Option<u32>) -> Result<u32, netlink::Error> {
    let mut routing = Routing::open()?;
    let kind = LinkKind::Vxlan { id: IDENTIFIER, port: PORT, local: host, underlay: None };
    let link = NewLink { name: OVERLAY.to_owned(), kind, mtu, mac: Some(mac(OVERLAY_MAC, host)), master: None };
    match routing.apply(&[Request::LinkAdd(link)]) {
        Err(error) if !error.is_present() => return Err(error),
        _ => {}
    }
    let index = routing.link(OVERLAY)?.map(|link| link.index).unwrap_or_default();
    // A source address for what the node itself sends through it.
    let own = pod_ranges.iter().map(|range| Request::AddressAdd(index, Network::host(nth(*range, 0))));
    routing.apply(&own.collect::<Vec<_>>())?;
    Ok(index)
}
