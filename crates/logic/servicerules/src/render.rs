//! A Service port as map elements.

use std::net::IpAddr;

use nftables::{Bytes, Element, KeyBuilder, Verdict};

use crate::balance::{Balance, Front, List, Masquerade};
use crate::facts::Range;
use crate::layout;
use crate::service::{Policy, Protocol};
use crate::slice::Endpoint;

/// The maps whose elements belong to one Service port, those that others lead to first: elements are added in this
/// order and deleted in the reverse one, so that even a split transaction never leads nowhere.
pub(crate) const MAPS: [&str; 14] = [
    layout::ENDPOINTS,
    layout::STICKY,
    layout::STICKY_LOCAL,
    layout::ALIASES,
    layout::NODE_PORT_ALIASES,
    layout::ALLOWED,
    layout::GUARDED,
    layout::EXTERNAL_INSIDERS,
    layout::EXTERNAL_OUTSIDERS,
    layout::NODE_PORT_INSIDERS,
    layout::NODE_PORT_OUTSIDERS,
    layout::SERVICES,
    layout::NODE_PORTS,
    // The two maps of refusals follow as one index each.
    layout::REFUSED,
];
/// The index of the map of refused node ports, after [`MAPS`].
const NODE_PORTS_REFUSED: u8 = 14;

/// The name of the map with index `map`.
pub(crate) fn map_name(map: u8) -> &'static str {
    MAPS.get(usize::from(map)).copied().unwrap_or(layout::NODE_PORTS_REFUSED)
}

fn index(name: &str) -> u8 {
    let index = MAPS.iter().position(|map| *map == name).expect("every map that is written stands in the list");
    u8::try_from(index).expect("the list is short")
}

/// An address besides the cluster IP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct External {
    pub(crate) address: IpAddr,
    /// Only the Service's source ranges may use it.
    pub(crate) guarded: bool,
}

/// A port of a Service in one address family, as it stands (or is to stand) in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Programmed {
    pub(crate) cluster_ip: IpAddr,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) node_port: Option<u16>,
    pub(crate) externals: Vec<External>,
    pub(crate) source_ranges: Vec<Range>,
    pub(crate) internal: Policy,
    pub(crate) external: Policy,
    pub(crate) affinity_s: Option<u32>,
    /// Endpoints in the order of their indices.
    pub(crate) cluster: Vec<Endpoint>,
    /// As `cluster`, for `Local` policies; empty where none is `Local`.
    pub(crate) local: Vec<Endpoint>,
    /// All endpoint addresses on this node.
    pub(crate) here: Vec<IpAddr>,
}

/// An element of the map with that index in [`MAPS`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) map: u8,
    pub(crate) element: Element,
}

/// What a Service port needs.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    pub(crate) items: Vec<Item>,
    pub(crate) balances: Vec<Balance>,
}

impl Rendered {
    fn put(&mut self, map: &str, element: Element) {
        self.items.push(Item { map: index(map), element });
    }

    fn goto(&mut self, map: &str, key: &Bytes, balance: Balance) {
        self.put(map, Element::verdict(key.clone(), Verdict::goto(balance.chain())));
        self.balances.push(balance);
    }
}

impl Programmed {
    pub(crate) fn render(&self, out: &mut Rendered) {
        let key = self.front(self.cluster_ip);
        self.render_endpoints(&key, out);
        self.render_cluster_ip(&key, out);
        for external in &self.externals {
            self.render_external(&key, external, out);
        }
        if let Some(node_port) = self.node_port {
            self.render_node_port(&key, node_port, out);
        }
    }

    /// Whether anything leads to this port besides its cluster IP.
    fn has_externals(&self) -> bool {
        self.node_port.is_some() || !self.externals.is_empty()
    }

    fn front(&self, address: IpAddr) -> Bytes {
        KeyBuilder::new().address(address).protocol(self.protocol.0).port(self.port).build()
    }

    fn balance(&self, list: List, front: Front, masquerade: Masquerade) -> Balance {
        let endpoints = match list {
            List::Cluster => &self.cluster,
            List::Local => &self.local,
        };
        let endpoints = u32::try_from(endpoints.len()).expect("endpoints of a Service are far fewer than 2^32");
        Balance { endpoints, list, front, masquerade, affinity_s: self.affinity_s }
    }

    fn render_endpoints(&self, key: &Bytes, out: &mut Rendered) {
        let uses_cluster = self.internal == Policy::Cluster || self.has_externals();
        let lists = [(List::Cluster, &self.cluster, uses_cluster), (List::Local, &self.local, true)];
        for (list, endpoints, used) in lists {
            for (index, endpoint) in (list.offset()..).zip(endpoints.iter().filter(|_| used)) {
                let place = KeyBuilder::new().bytes(key).number(index).build();
                let target = KeyBuilder::new().address(endpoint.address).port(endpoint.port).build();
                if self.affinity_s.is_some() {
                    let member = KeyBuilder::new().bytes(key).bytes(&target).build();
                    out.put(list.members(), Element::key(member));
                }
                out.put(layout::ENDPOINTS, Element::data(place, target));
            }
        }
    }

    fn render_cluster_ip(&self, key: &Bytes, out: &mut Rendered) {
        let (list, endpoints) = match self.internal {
            Policy::Cluster => (List::Cluster, &self.cluster),
            Policy::Local => (List::Local, &self.local),
        };
        if !endpoints.is_empty() {
            out.goto(layout::SERVICES, key, self.balance(list, Front::ClusterIp, Masquerade::Outsiders));
        } else if self.cluster.is_empty() {
            out.put(layout::REFUSED, Element::verdict(key.clone(), Verdict::goto(layout::REJECT)));
        } else {
            out.put(layout::REFUSED, Element::verdict(key.clone(), Verdict::Drop));
        }
    }

    fn render_external(&self, key: &Bytes, external: &External, out: &mut Rendered) {
        let front = self.front(external.address);
        out.put(layout::ALIASES, Element::data(front.clone(), key.clone()));
        if external.guarded {
            out.put(layout::GUARDED, Element::key(front.clone()));
            for range in &self.source_ranges {
                let (first, last) = range.ends();
                let bound = |address| Some(KeyBuilder::new().address(address).bytes(&front).build());
                let low = bound(first).unwrap_or_default();
                out.put(layout::ALLOWED, Element { key: low, key_end: bound(last), value: None });
            }
        }
        let maps = FrontMaps {
            front: Front::Address,
            direct: layout::SERVICES,
            by_policy: layout::EXTERNAL_LOCAL,
            insiders: layout::EXTERNAL_INSIDERS,
            outsiders: layout::EXTERNAL_OUTSIDERS,
            refused: index(layout::REFUSED),
        };
        self.render_front(&front, &maps, out);
    }

    fn render_node_port(&self, key: &Bytes, node_port: u16, out: &mut Rendered) {
        let front = KeyBuilder::new().protocol(self.protocol.0).port(node_port).build();
        out.put(layout::NODE_PORT_ALIASES, Element::data(front.clone(), key.clone()));
        let maps = FrontMaps {
            front: Front::NodePort,
            direct: layout::NODE_PORTS,
            by_policy: layout::NODE_PORT_LOCAL,
            insiders: layout::NODE_PORT_INSIDERS,
            outsiders: layout::NODE_PORT_OUTSIDERS,
            refused: NODE_PORTS_REFUSED,
        };
        self.render_front(&front, &maps, out);
    }

    fn render_front(&self, front: &Bytes, maps: &FrontMaps, out: &mut Rendered) {
        let refuse = |verdict| Item { map: maps.refused, element: Element::verdict(front.clone(), verdict) };
        if self.cluster.is_empty() && self.local.is_empty() {
            out.items.push(refuse(Verdict::goto(layout::REJECT)));
            return;
        }
        if self.external == Policy::Cluster {
            out.goto(maps.direct, front, self.balance(List::Cluster, maps.front, Masquerade::Always));
            return;
        }
        out.put(maps.direct, Element::verdict(front.clone(), Verdict::goto(maps.by_policy)));
        if !self.cluster.is_empty() {
            out.goto(maps.insiders, front, self.balance(List::Cluster, maps.front, Masquerade::Never));
        }
        if self.local.is_empty() {
            out.items.push(refuse(Verdict::goto(layout::DROP_OUTSIDERS)));
        } else {
            out.goto(maps.outsiders, front, self.balance(List::Local, maps.front, Masquerade::Never));
        }
    }
}

/// The maps of a kind of front.
struct FrontMaps {
    front: Front,
    direct: &'static str,
    by_policy: &'static str,
    insiders: &'static str,
    outsiders: &'static str,
    refused: u8,
}
