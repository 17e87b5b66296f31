//! The state: what is wanted, what is programmed, and the plan from one to the other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nftables::{Bytes, Change, Element, KeyBuilder, Name, Table};
use typed::api::core::v1::Service;
use typed::api::discovery::v1::EndpointSlice;

use crate::balance::Balance;
use crate::facts::Facts;
use crate::render::{External, Item, MAPS, Programmed, Rendered, map_name};
use crate::service::{self, Port, Protocol, ServiceName, Wanted};
use crate::slice::{self, Slice};
use crate::{TABLE4, TABLE6, diff, layout};

const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// A front that two Services could both want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Address(IpAddr, Protocol, u16),
    NodePort { ipv4: bool, protocol: Protocol, port: u16 },
}

/// Elements that several Service ports may need at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shared {
    ClusterIp(IpAddr),
    Hairpin(IpAddr),
}

/// UDP flows that may be translated to endpoints that are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleUdp {
    /// Whether the flows are IPv4.
    pub ipv4: bool,
    /// The address they were sent to; `None` for node ports, which answer on many.
    pub address: Option<IpAddr>,
    /// The port they were sent to.
    pub port: u16,
    /// Who may answer them now.
    pub endpoints: Vec<(IpAddr, u16)>,
}

impl StaleUdp {
    /// Whether a UDP flow sent to `destination` that `answers` answers is to be forgotten.
    pub fn covers(&self, destination: (IpAddr, u16), answers: (IpAddr, u16)) -> bool {
        let addressed = match self.address {
            Some(address) => destination.0 == address,
            // Others use that port number elsewhere; only a translated flow is surely a node port's.
            None => destination.0.is_ipv4() == self.ipv4 && answers != destination,
        };
        addressed && destination.1 == self.port && !self.endpoints.contains(&answers)
    }
}

/// What a load balancer asks this node about a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// The Service.
    pub service: ServiceName,
    /// Where it asks.
    pub port: u16,
    /// How many ready endpoints run here; with none, the answer is 503.
    pub local_endpoints: usize,
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// For the packet filter, in order.
    pub changes: Vec<Change>,
    /// For connection tracking, after that.
    pub stale_udp: Vec<StaleUdp>,
}

/// The state.
#[derive(Debug)]
pub struct Model {
    facts: Facts,
    services: BTreeMap<ServiceName, Wanted>,
    slices: BTreeMap<ServiceName, BTreeMap<String, Slice>>,
    slice_owner: BTreeMap<ServiceName, ServiceName>,
    programmed: BTreeMap<ServiceName, Vec<Programmed>>,
    /// Who wants each front; the first has it.
    claims: BTreeMap<Claim, Vec<ServiceName>>,
    /// The fronts that a Service wants and another has.
    waiting: BTreeMap<ServiceName, BTreeSet<Claim>>,
    shared: BTreeMap<Shared, u32>,
    balances: BTreeSet<(bool, Balance)>,
    dirty: BTreeSet<ServiceName>,
    /// The tables have to be made first.
    fresh: bool,
}

#[derive(Default)]
struct Delta {
    gone: Vec<(bool, Item)>,
    come: Vec<(bool, Item)>,
    balances: Vec<(bool, Balance)>,
    /// What is shared, with how many needed it before.
    shared: BTreeMap<Shared, u32>,
    stale_udp: Vec<StaleUdp>,
}

impl Model {
    /// A model of which nothing is programmed yet: its first plan makes the tables.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            slice_owner: BTreeMap::new(),
            programmed: BTreeMap::new(),
            claims: BTreeMap::new(),
            waiting: BTreeMap::new(),
            shared: BTreeMap::new(),
            balances: BTreeSet::new(),
            dirty: BTreeSet::new(),
            fresh: true,
        }
    }

    /// Learns of a new or changed Service.
    pub fn service_set(&mut self, service: &Service) {
        let name = ServiceName {
            namespace: service.metadata.namespace.clone().unwrap_or_default(),
            name: service.metadata.name.clone().unwrap_or_default(),
        };
        match service::wanted(service) {
            Some(wanted) if self.services.get(&name) == Some(&wanted) => {}
            Some(wanted) => {
                self.services.insert(name.clone(), wanted);
                self.dirty.insert(name);
            }
            None => self.service_remove(&name),
        }
    }

    /// Learns that a Service is gone.
    pub fn service_remove(&mut self, name: &ServiceName) {
        if self.services.remove(name).is_some() {
            self.dirty.insert(name.clone());
        }
    }

    /// Learns of a new or changed EndpointSlice.
    pub fn slice_set(&mut self, slice: &EndpointSlice) {
        let namespace = slice.metadata.namespace.clone().unwrap_or_default();
        let name = slice.metadata.name.clone().unwrap_or_default();
        let owner = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_LABEL));
        let owner = owner.map(|owner| ServiceName { namespace: namespace.clone(), name: owner.clone() });
        let key = ServiceName { namespace, name };
        if self.slice_owner.get(&key) != owner.as_ref() {
            self.slice_remove(&key.namespace, &key.name);
        }
        let (Some(owner), Some(read)) = (owner, slice::read(slice, &self.facts)) else { return };
        let of_service = self.slices.entry(owner.clone()).or_default();
        if of_service.get(&key.name) != Some(&read) {
            of_service.insert(key.name.clone(), read);
            self.slice_owner.insert(key, owner.clone());
            self.dirty.insert(owner);
        }
    }

    /// Learns that an EndpointSlice is gone.
    pub fn slice_remove(&mut self, namespace: &str, name: &str) {
        let key = ServiceName { namespace: namespace.to_owned(), name: name.to_owned() };
        let Some(owner) = self.slice_owner.remove(&key) else { return };
        if let Some(of_service) = self.slices.get_mut(&owner) {
            of_service.remove(name);
            if of_service.is_empty() {
                self.slices.remove(&owner);
            }
        }
        self.dirty.insert(owner);
    }

    /// Forgets what is programmed: the next plan makes everything anew. For a refused commit, and for tables that
    /// somebody else has touched.
    pub fn restart(&mut self) {
        self.programmed.clear();
        self.claims.clear();
        self.waiting.clear();
        self.shared.clear();
        self.balances.clear();
        self.dirty = self.services.keys().cloned().collect();
        self.fresh = true;
    }

    /// How many elements each map of a family should hold by the last plan, for checks after foreign interference.
    /// Maps that packets fill are not among them.
    pub fn census(&self, ipv4: bool) -> BTreeMap<&'static str, usize> {
        let mut rendered = Rendered::default();
        let ports = self.programmed.values().flatten().filter(|port| port.cluster_ip.is_ipv4() == ipv4);
        ports.for_each(|port| port.render(&mut rendered));
        let mut census: BTreeMap<&'static str, usize> = (0_u8..).zip(MAPS).map(|(map, _)| (map_name(map), 0)).collect();
        for item in rendered.items {
            *census.entry(map_name(item.map)).or_default() += 1;
        }
        census
    }

    /// What each load balancer's health check is to be told.
    pub fn health_checks(&self) -> Vec<HealthCheck> {
        let checked = self.services.iter().filter_map(|(name, wanted)| {
            let port = wanted.health_port?;
            let slices = self.slices.get(name);
            let here = slices.into_iter().flat_map(BTreeMap::values).flat_map(Slice::ready_here);
            let here: BTreeSet<IpAddr> = here.collect();
            Some(HealthCheck { service: name.clone(), port, local_endpoints: here.len() })
        });
        checked.collect()
    }

    /// What leads from the last plan to what is wanted now. The caller must carry it out, or [`Model::restart`].
    pub fn plan(&mut self) -> Plan {
        let mut delta = Delta::default();
        while let Some(name) = self.dirty.pop_first() {
            self.program(&name, &mut delta);
        }
        let mut changes = Vec::new();
        if std::mem::take(&mut self.fresh) {
            for table in [&TABLE4, &TABLE6] {
                changes.extend(layout::base(table, &self.facts));
            }
        }
        for (ipv4, balance) in std::mem::take(&mut delta.balances) {
            if self.balances.insert((ipv4, balance)) {
                changes.extend(balance.changes(table(ipv4), self.facts.masquerade_mark));
            }
        }
        elements(&mut changes, &delta.gone, false);
        self.shared_elements(&mut changes, &delta.shared);
        elements(&mut changes, &delta.come, true);
        Plan { changes, stale_udp: delta.stale_udp }
    }

    fn program(&mut self, name: &ServiceName, delta: &mut Delta) {
        let old = self.programmed.remove(name).unwrap_or_default();
        let mut new = match self.services.get(name) {
            Some(wanted) => self.ports(name, wanted, &old),
            None => Vec::new(),
        };
        self.claim(name, &old, &mut new);
        self.compare(&old, &new, delta);
        if !new.is_empty() {
            self.programmed.insert(name.clone(), new);
        }
    }

    fn ports(&self, name: &ServiceName, wanted: &Wanted, old: &[Programmed]) -> Vec<Programmed> {
        let families = wanted.cluster_ips.iter();
        let each = families.flat_map(|cluster_ip| wanted.ports.iter().map(move |port| (*cluster_ip, port)));
        each.map(|(cluster_ip, port)| self.port(name, wanted, cluster_ip, port, old)).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "a port is a row of this table of facts; they have no other owner")]
    fn port(
        &self,
        name: &ServiceName,
        wanted: &Wanted,
        cluster_ip: IpAddr,
        port: &Port,
        old: &[Programmed],
    ) -> Programmed {
        let ipv4 = cluster_ip.is_ipv4();
        let slices = self.slices.get(name).into_iter().flat_map(BTreeMap::values);
        let chosen = slice::choose(slices, port, ipv4, &[wanted.internal, wanted.external]);
        let same =
            |old: &&Programmed| old.cluster_ip == cluster_ip && old.protocol == port.protocol && old.port == port.port;
        let old = old.iter().find(same);
        let place = |list: fn(&Programmed) -> &[slice::Endpoint], wanted: &[slice::Endpoint]| {
            diff::place(old.map(list).unwrap_or_default(), wanted)
        };
        let of_family = |addresses: &[IpAddr], guarded: bool| -> Vec<External> {
            let own = addresses.iter().filter(|address| address.is_ipv4() == ipv4);
            own.map(|address| External { address: *address, guarded }).collect()
        };
        let guarded = !wanted.source_ranges.is_empty();
        let mut externals = of_family(&wanted.balancer_ips, guarded);
        externals.extend(of_family(&wanted.external_ips, false));
        externals.dedup_by(|later, earlier| later.address == earlier.address);
        let ranges = wanted.source_ranges.iter().filter(|range| range.address.is_ipv4() == ipv4);
        Programmed {
            cluster_ip,
            protocol: port.protocol,
            port: port.port,
            node_port: port.node_port,
            externals,
            source_ranges: ranges.copied().collect(),
            internal: wanted.internal,
            external: wanted.external,
            affinity_s: wanted.affinity_s,
            cluster: place(|old| &old.cluster, &chosen.cluster),
            local: place(|old| &old.local, &chosen.local),
            here: chosen.here,
        }
    }

    /// Takes from `new` the fronts that another Service has, and gives back those of `old` that it does not want.
    fn claim(&mut self, name: &ServiceName, old: &[Programmed], new: &mut [Programmed]) {
        let wanted: BTreeSet<Claim> = new.iter().flat_map(claims).collect();
        let waited = self.waiting.remove(name).unwrap_or_default();
        let unwanted = old.iter().flat_map(claims).chain(waited).filter(|claim| !wanted.contains(claim));
        for claim in unwanted {
            let Some(claimants) = self.claims.get_mut(&claim) else { continue };
            claimants.retain(|claimant| claimant != name);
            match claimants.first() {
                Some(next) => _ = self.dirty.insert(next.clone()),
                None => _ = self.claims.remove(&claim),
            }
        }
        let mut refused = BTreeSet::new();
        for claim in wanted {
            let claimants = self.claims.entry(claim).or_default();
            if !claimants.contains(name) {
                claimants.push(name.clone());
            }
            if claimants.first() != Some(name) {
                refused.insert(claim);
            }
        }
        if refused.is_empty() {
            return;
        }
        for port in new {
            let (protocol, number, ipv4) = (port.protocol, port.port, port.cluster_ip.is_ipv4());
            port.externals.retain(|external| !refused.contains(&Claim::Address(external.address, protocol, number)));
            port.node_port =
                port.node_port.filter(|port| !refused.contains(&Claim::NodePort { ipv4, protocol, port: *port }));
        }
        self.waiting.insert(name.clone(), refused);
    }

    fn compare(&mut self, old: &[Programmed], new: &[Programmed], delta: &mut Delta) {
        if old == new {
            return;
        }
        for ipv4 in [true, false] {
            let (mut before, mut after) = (Rendered::default(), Rendered::default());
            old.iter().filter(|port| port.cluster_ip.is_ipv4() == ipv4).for_each(|port| port.render(&mut before));
            new.iter().filter(|port| port.cluster_ip.is_ipv4() == ipv4).for_each(|port| port.render(&mut after));
            let (gone, come) = diff::items(before.items, after.items);
            delta.gone.extend(gone.into_iter().map(|item| (ipv4, item)));
            delta.come.extend(come.into_iter().map(|item| (ipv4, item)));
            delta.balances.extend(after.balances.into_iter().map(|balance| (ipv4, balance)));
        }
        for port in new {
            self.count(port, delta, |count| count + 1);
        }
        for port in old {
            self.count(port, delta, |count| count - 1);
            let still = new.iter().find(|new| new.cluster_ip == port.cluster_ip && new.port == port.port);
            stale_udp(port, still, &mut delta.stale_udp);
        }
        for port in new.iter().filter(|port| port.protocol == Protocol::UDP && !port.cluster.is_empty()) {
            let known = old.iter().any(|old| old.cluster_ip == port.cluster_ip && !old.cluster.is_empty());
            if !known {
                stale_fronts(port, Some(port), &mut delta.stale_udp);
            }
        }
    }

    fn count(&mut self, port: &Programmed, delta: &mut Delta, step: fn(u32) -> u32) {
        let hairpins = port.here.iter().map(|address| Shared::Hairpin(*address));
        for shared in std::iter::once(Shared::ClusterIp(port.cluster_ip)).chain(hairpins) {
            let count = self.shared.entry(shared).or_default();
            delta.shared.entry(shared).or_insert(*count);
            *count = step(*count);
        }
    }

    fn shared_elements(&mut self, changes: &mut Vec<Change>, before: &BTreeMap<Shared, u32>) {
        let mut groups: BTreeMap<(bool, &'static str, bool), Vec<Element>> = BTreeMap::new();
        for (shared, before) in before {
            let after = self.shared.get(shared).copied().unwrap_or_default();
            if after == 0 {
                self.shared.remove(shared);
            }
            if (*before > 0) != (after > 0) {
                let (ipv4, set, key) = shared.element();
                groups.entry((ipv4, set, after > 0)).or_default().push(Element::key(key));
            }
        }
        for ((ipv4, set, adding), elements) in groups {
            push(changes, ipv4, set, elements, adding);
        }
    }
}

impl Shared {
    fn element(self) -> (bool, &'static str, Bytes) {
        match self {
            Shared::ClusterIp(address) => {
                (address.is_ipv4(), layout::CLUSTER_IPS, KeyBuilder::new().address(address).build())
            }
            Shared::Hairpin(address) => {
                let key = KeyBuilder::new().address(address).address(address).build();
                (address.is_ipv4(), layout::HAIRPINS, key)
            }
        }
    }
}

fn claims(port: &Programmed) -> Vec<Claim> {
    let externals = port.externals.iter().map(|external| Claim::Address(external.address, port.protocol, port.port));
    let (ipv4, protocol) = (port.cluster_ip.is_ipv4(), port.protocol);
    externals.chain(port.node_port.map(|port| Claim::NodePort { ipv4, protocol, port })).collect()
}

/// Flows to `old` are stale when an endpoint of it is gone.
fn stale_udp(old: &Programmed, new: Option<&Programmed>, out: &mut Vec<StaleUdp>) {
    let kept = |list: fn(&Programmed) -> &Vec<slice::Endpoint>| {
        let now = new.map(list);
        list(old).iter().all(|endpoint| now.is_some_and(|now| now.contains(endpoint)))
    };
    if old.protocol == Protocol::UDP && !(kept(|port| &port.cluster) && kept(|port| &port.local)) {
        stale_fronts(old, new, out);
    }
}

fn stale_fronts(fronts: &Programmed, new: Option<&Programmed>, out: &mut Vec<StaleUdp>) {
    let now = new.into_iter().flat_map(|port| port.cluster.iter().chain(&port.local));
    let endpoints: Vec<_> = now.map(|endpoint| (endpoint.address, endpoint.port)).collect();
    let ipv4 = fronts.cluster_ip.is_ipv4();
    let externals = fronts.externals.iter().map(|external| external.address);
    for address in std::iter::once(fronts.cluster_ip).chain(externals) {
        out.push(StaleUdp { ipv4, address: Some(address), port: fronts.port, endpoints: endpoints.clone() });
    }
    if let Some(port) = fronts.node_port {
        out.push(StaleUdp { ipv4, address: None, port, endpoints });
    }
}

fn table(ipv4: bool) -> &'static Table {
    static TABLES: [Table; 2] = [TABLE6, TABLE4];
    &TABLES[usize::from(ipv4)]
}

/// Groups items by table and map, in the order of [`MAPS`], or its reverse for deletions.
fn elements(changes: &mut Vec<Change>, items: &[(bool, Item)], adding: bool) {
    let count = MAPS.len() + 1;
    for ipv4 in [true, false] {
        let mut groups: Vec<Vec<Element>> = vec![Vec::new(); count];
        for (_, item) in items.iter().filter(|(of, _)| *of == ipv4) {
            groups[usize::from(item.map)].push(item.element.clone());
        }
        let mut order: Vec<_> = (0_u8..).zip(groups).filter(|(_, elements)| !elements.is_empty()).collect();
        if !adding {
            order.reverse();
        }
        for (map, elements) in order {
            push(changes, ipv4, map_name(map), elements, adding);
        }
    }
}

fn push(changes: &mut Vec<Change>, ipv4: bool, set: &'static str, elements: Vec<Element>, adding: bool) {
    let (table, set) = (table(ipv4).clone(), Name::Borrowed(set));
    changes.push(if adding {
        Change::ElementsAdd(table, set, elements)
    } else {
        Change::ElementsDelete(table, set, elements)
    });
}
