//! EndpointSlices, reduced to what the rules depend on, and the choice among their endpoints.

use std::net::IpAddr;

use typed::api::discovery::v1::{Endpoint as SliceEndpoint, EndpointSlice};

use crate::facts::Facts;
use crate::service::{Policy, Port, Protocol, positive_port};

/// Somebody who serves a Service port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

/// What a slice says of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    address: IpAddr,
    local: bool,
    readiness: Readiness,
    /// Hints to this node's zone, to this node; `None` without hints of that sort.
    for_zone: Option<bool>,
    for_node: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Ready,
    /// On its way out, and still answering: better than nothing.
    ServingWhileTerminating,
    Not,
}

/// What the rules depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    ports: Vec<(String, Protocol, u16)>,
    candidates: Vec<Candidate>,
}

/// The endpoints of a Service port, chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Chosen {
    /// What `Cluster` policies use.
    pub(crate) cluster: Vec<Endpoint>,
    /// What `Local` policies use.
    pub(crate) local: Vec<Endpoint>,
    /// The addresses of all that run on this node, for hairpins.
    pub(crate) here: Vec<IpAddr>,
}

/// `None` for slices of domain names.
pub(crate) fn read(slice: &EndpointSlice, facts: &Facts) -> Option<Slice> {
    if !matches!(slice.address_type.as_str(), "IPv4" | "IPv6") {
        return None;
    }
    let ports = slice.ports.iter().flatten().filter_map(|port| {
        let protocol = Protocol::parse(port.protocol.as_deref())?;
        Some((port.name.clone().unwrap_or_default(), protocol, positive_port(port.port?)?))
    });
    let endpoints = slice.endpoints.iter().flatten();
    Some(Slice {
        ports: ports.collect(),
        candidates: endpoints.filter_map(|endpoint| candidate(endpoint, facts)).collect(),
    })
}

/// A slice's endpoint is one pod; of its addresses, which are fungible, the first is used, as the API documents.
fn candidate(endpoint: &SliceEndpoint, facts: &Facts) -> Option<Candidate> {
    let address = endpoint.addresses.first()?.parse().ok()?;
    let conditions = endpoint.conditions.as_ref();
    let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    let serving = conditions.and_then(|conditions| conditions.serving).unwrap_or(ready);
    let terminating = conditions.and_then(|conditions| conditions.terminating).unwrap_or(false);
    let readiness = match (ready, serving && terminating) {
        (true, _) => Readiness::Ready,
        (false, true) => Readiness::ServingWhileTerminating,
        (false, false) => Readiness::Not,
    };
    let hints = endpoint.hints.as_ref();
    let zones = hints.and_then(|hints| hints.for_zones.as_ref()).filter(|zones| !zones.is_empty());
    let nodes = hints.and_then(|hints| hints.for_nodes.as_ref()).filter(|nodes| !nodes.is_empty());
    Some(Candidate {
        address,
        local: endpoint.node_name.as_deref() == Some(facts.node_name.as_str()),
        readiness,
        for_zone: zones.map(|zones| zones.iter().any(|zone| Some(&zone.name) == facts.zone.as_ref())),
        for_node: nodes.map(|nodes| nodes.iter().any(|node| node.name == facts.node_name)),
    })
}

/// Chooses for one port of one family, as the API documents the conditions and KEP-2433 and KEP-4444 the hints.
pub(crate) fn choose<'a>(
    slices: impl Iterator<Item = &'a Slice>,
    port: &Port,
    ipv4: bool,
    policies: &[Policy],
) -> Chosen {
    let mut all = Vec::new();
    for slice in slices {
        let matching =
            slice.ports.iter().filter(|(name, protocol, _)| *name == port.name && *protocol == port.protocol);
        for (_, _, number) in matching {
            let of_family = slice.candidates.iter().filter(|candidate| candidate.address.is_ipv4() == ipv4);
            all.extend(of_family.map(|candidate| (candidate, *number)));
        }
    }
    let mut chosen = Chosen { cluster: cluster_list(&all), ..Chosen::default() };
    if policies.contains(&Policy::Local) {
        let here: Vec<_> = all.iter().copied().filter(|(candidate, _)| candidate.local).collect();
        chosen.local = ready_or_terminating(&here, |_| true);
    }
    let used = all.iter().filter(|(candidate, _)| candidate.local && candidate.readiness != Readiness::Not);
    chosen.here = used.map(|(candidate, _)| candidate.address).collect();
    chosen.here.sort_unstable();
    chosen.here.dedup();
    chosen
}

/// Hints are followed only when every ready endpoint has them and one is for this place: else somebody is
/// half-way through writing them.
fn cluster_list(all: &[(&Candidate, u16)]) -> Vec<Endpoint> {
    let follow = |hint: fn(&Candidate) -> Option<bool>| {
        let mut ready = all.iter().filter(|(candidate, _)| candidate.readiness == Readiness::Ready).peekable();
        ready.peek().is_some()
            && ready.clone().all(|(candidate, _)| hint(candidate).is_some())
            && ready.any(|(candidate, _)| hint(candidate) == Some(true))
    };
    if follow(|candidate| candidate.for_node) {
        return ready_or_terminating(all, |candidate| candidate.for_node == Some(true));
    }
    if follow(|candidate| candidate.for_zone) {
        return ready_or_terminating(all, |candidate| candidate.for_zone == Some(true));
    }
    ready_or_terminating(all, |_| true)
}

fn ready_or_terminating(all: &[(&Candidate, u16)], fits: impl Fn(&Candidate) -> bool) -> Vec<Endpoint> {
    let pick = |readiness: Readiness| {
        let picked = all.iter().filter(|(candidate, _)| candidate.readiness == readiness && fits(candidate));
        let mut endpoints: Vec<_> =
            picked.map(|(candidate, port)| Endpoint { address: candidate.address, port: *port }).collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        endpoints
    };
    let ready = pick(Readiness::Ready);
    if ready.is_empty() { pick(Readiness::ServingWhileTerminating) } else { ready }
}

impl Slice {
    /// How many ready endpoints run on this node, for the load balancer's health check.
    pub(crate) fn ready_here(&self) -> impl Iterator<Item = IpAddr> {
        let here = self.candidates.iter().filter(|candidate| candidate.local);
        here.filter(|candidate| candidate.readiness == Readiness::Ready).map(|candidate| candidate.address)
    }
}
