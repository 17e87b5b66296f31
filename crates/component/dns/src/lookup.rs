//! From a question to a reply: the Kubernetes DNS specification 1.1.0.

use std::net::IpAddr;

use crate::config::{Kubernetes, Pods, Zone, is_in};
use crate::index::{Index, Named, Reverse};
use crate::service::{Endpoint, Meaning, Port};
use crate::wire::{
    A, AAAA, CNAME, Code, INTERNET, NS, Owner, PTR, Query, Reply, SOA, SRV, Section, TXT, before_zone, is_within,
    labels,
};

const SPECIFICATION: &[u8] = b"1.1.0";
const REFRESH_S: u32 = 7_200;
const RETRY_S: u32 = 1_800;
const EXPIRE_S: u32 = 86_400;
/// The sum of the weights of the targets of a port.
const WEIGHT: usize = 100;

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is written.
    Answered,
    /// Others have to be asked.
    Forward,
    /// The reply with an alias is written; others have to be asked about the name it leads to, given as labels.
    Alias(Vec<u8>),
}

/// By which rules the cluster's names are answered.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Which names, and how.
    pub kubernetes: &'a Kubernetes,
    /// Whether addresses begin with another one each time, so that clients that take the first are spread.
    pub rotates: bool,
}

/// An index with the rules that hold for a question, and the zone that it is about.
struct Answering<'i> {
    index: &'i Index,
    rules: Rules<'i>,
    zone: &'i [u8],
}

/// What a name in the zone stands for.
enum Found<'i> {
    Zone,
    NameServer,
    Version,
    /// It exists because of what is below it.
    Between,
    Service(&'i Named),
    Ports(&'i Named, &'i [u8], &'i [u8]),
    Endpoint(&'i Named, &'i [u8]),
    Pod(IpAddr),
    Nothing,
}

impl Index {
    /// Writes the reply to `query` into `out`, at most `bytes_max` long, if `rules` make it the cluster's to answer.
    pub fn answer(&self, rules: Rules<'_>, query: &Query<'_>, out: &mut Vec<u8>, bytes_max: usize) -> Outcome {
        let (name, kubernetes) = (query.name(), rules.kubernetes);
        let of = |zones: &'_ [Zone]| zones.iter().position(|zone| is_within(name, zone));
        let (zone, is_reverse) = match (of(&kubernetes.zones), of(&kubernetes.reverse_zones)) {
            (Some(index), _) => (&kubernetes.zones[index], false),
            (None, Some(index)) => (&kubernetes.reverse_zones[index], true),
            (None, None) => return Outcome::Forward,
        };
        let reply = Reply::begin(query, out, bytes_max);
        if query.class != INTERNET {
            reply.finish(Code::Refused);
            return Outcome::Answered;
        }
        if !self.is_known {
            reply.finish(Code::ServerFailure);
            return Outcome::Answered;
        }
        let answering = Answering { index: self, rules, zone };
        let inside = before_zone(name, zone).unwrap_or_default();
        if is_reverse {
            answering.answer_reverse(query, inside, reply)
        } else {
            answering.answer_inside(query, inside, reply)
        }
    }
}

impl Answering<'_> {
    /// A name that an address has.
    fn answer_reverse(&self, query: &Query<'_>, inside: &[u8], mut reply: Reply<'_>) -> Outcome {
        let found = reverse_address(query.name()).and_then(|address| self.index.reverse.get(&address));
        if let Some(found) = found.filter(|_| query.kind == PTR) {
            for reverse in found {
                reply.record(Section::Answer, Owner::Question, (PTR, self.ttl_s()), |out| {
                    self.write_reverse(out, reverse);
                });
            }
            reply.finish(Code::NoError);
            return Outcome::Answered;
        }
        if is_in(query.name(), &self.rules.kubernetes.fallthrough) {
            return Outcome::Forward;
        }
        self.write_soa(Section::Authority, Owner::Suffix(inside.len()), &mut reply);
        reply.finish(if found.is_some() { Code::NoError } else { Code::NameError });
        Outcome::Answered
    }

    fn ttl_s(&self) -> u32 {
        self.rules.kubernetes.ttl_s
    }

    fn answer_inside(&self, query: &Query<'_>, inside: &[u8], mut reply: Reply<'_>) -> Outcome {
        let turn = if self.rules.rotates { usize::from(query.id) } else { 0 };
        let found = self.find(inside);
        if matches!(found, Found::Nothing) && is_in(query.name(), &self.rules.kubernetes.fallthrough) {
            return Outcome::Forward;
        }
        let written = match &found {
            Found::Zone => self.write_zone(query.kind, &mut reply),
            Found::NameServer => {
                self.write_addresses(query.kind, &self.rules.kubernetes.own_addresses, turn, &mut reply)
            }
            Found::Version => {
                query.kind == TXT && {
                    reply.record(Section::Answer, Owner::Question, (TXT, self.ttl_s()), |out| {
                        out.push(u8::try_from(SPECIFICATION.len()).unwrap_or_default());
                        out.extend_from_slice(SPECIFICATION);
                    });
                    true
                }
            }
            Found::Service(named) => {
                if let Some(Meaning::Alias(target)) = named.entry.as_ref().map(|entry| &entry.meaning) {
                    return self.answer_alias(query, target, reply);
                }
                self.write_service(query.kind, named, turn, &mut reply)
            }
            Found::Ports(named, port, protocol) => {
                query.kind == SRV && self.write_ports(named, (port, protocol), inside, &mut reply)
            }
            Found::Endpoint(named, label) => {
                let addresses: Vec<IpAddr> = endpoints(named)
                    .filter(|endpoint| *endpoint.label == **label)
                    .map(|endpoint| endpoint.address)
                    .collect();
                self.write_addresses(query.kind, &addresses, turn, &mut reply)
            }
            Found::Pod(address) => self.write_addresses(query.kind, &[*address], turn, &mut reply),
            Found::Between | Found::Nothing => false,
        };
        let code = if matches!(found, Found::Nothing) { Code::NameError } else { Code::NoError };
        if !written {
            self.write_soa(Section::Authority, Owner::Suffix(inside.len()), &mut reply);
        }
        reply.finish(code);
        Outcome::Answered
    }

    fn find<'i>(&'i self, inside: &'i [u8]) -> Found<'i> {
        let mut parts = [&[][..]; 6];
        let mut count = 0;
        for label in labels(inside) {
            let Some(part) = parts.get_mut(count) else { return Found::Nothing };
            *part = label;
            count += 1;
        }
        match &parts[..count] {
            [] => Found::Zone,
            [b"dns-version"] => Found::Version,
            [b"dns" | b"svc" | b"pod"] => Found::Between,
            [b"ns", b"dns"] => Found::NameServer,
            [namespace, b"svc"] => self.find_namespace(namespace),
            [namespace, b"pod"] if self.has_pods() => self.find_namespace(namespace),
            [address, namespace, b"pod"] => self.find_pod(address, namespace),
            [_, _, b"svc"] => self.service(inside, 0, 0).map_or(Found::Nothing, Found::Service),
            [protocol, _, _, b"svc"] if protocol.first() == Some(&b'_') => {
                let named = self.service(inside, protocol.len() + 1, 0);
                let named = named.filter(|named| ports(named).any(|port| port.protocol == &protocol[1..]));
                named.map_or(Found::Nothing, |_| Found::Between)
            }
            [label, _, _, b"svc"] => self.find_endpoint(inside, label),
            [port, protocol, _, _, b"svc"] => self.find_ports(inside, port, protocol),
            _ => Found::Nothing,
        }
    }

    fn has_pods(&self) -> bool {
        self.rules.kubernetes.pods != Pods::Disabled
    }

    fn find_namespace(&self, namespace: &[u8]) -> Found<'_> {
        if self.index.namespaces.contains_key(namespace) { Found::Between } else { Found::Nothing }
    }

    fn find_pod(&self, label: &[u8], namespace: &[u8]) -> Found<'_> {
        if !self.has_pods() || !self.index.namespaces.contains_key(namespace) {
            return Found::Nothing;
        }
        let address = std::str::from_utf8(label).ok().and_then(pod_address);
        let exists = |address: &IpAddr| {
            self.rules.kubernetes.pods != Pods::Verified
                || self.index.pods.get(namespace).is_some_and(|known| known.contains_key(address))
        };
        address.filter(exists).map_or(Found::Nothing, Found::Pod)
    }

    fn find_endpoint<'i>(&'i self, inside: &'i [u8], label: &'i [u8]) -> Found<'i> {
        let Some(named) = self.service(inside, label.len() + 1, 0) else { return Found::Nothing };
        let headless = matches!(named.entry.as_ref().map(|entry| &entry.meaning), Some(Meaning::Endpoints));
        if headless && endpoints(named).any(|endpoint| *endpoint.label == *label) {
            Found::Endpoint(named, label)
        } else {
            Found::Nothing
        }
    }

    fn find_ports<'i>(&'i self, inside: &'i [u8], port: &'i [u8], protocol: &'i [u8]) -> Found<'i> {
        let (Some((b'_', port)), Some((b'_', protocol))) = (port.split_first(), protocol.split_first()) else {
            return Found::Nothing;
        };
        let Some(named) = self.service(inside, port.len() + 2, protocol.len() + 2) else { return Found::Nothing };
        if ports(named).any(|known| *known.name == *port && known.protocol == protocol) {
            Found::Ports(named, port, protocol)
        } else {
            Found::Nothing
        }
    }

    /// The Service whose name and namespace stand in `inside` after `first + second` bytes.
    fn service(&self, inside: &[u8], first: usize, second: usize) -> Option<&Named> {
        let rest = inside.get(first + second..)?;
        // `svc` with its length is what follows.
        let key = rest.get(..rest.len().checked_sub(4)?)?;
        self.index.services.get(key).filter(|named| named.entry.is_some())
    }

    fn write_zone(&self, kind: u16, reply: &mut Reply<'_>) -> bool {
        match kind {
            SOA => self.write_soa(Section::Answer, Owner::Question, reply),
            NS => reply.record(Section::Answer, Owner::Question, (NS, self.ttl_s()), |out| self.write_name_server(out)),
            _ => return false,
        }
        true
    }

    fn write_service(&self, kind: u16, named: &Named, turn: usize, reply: &mut Reply<'_>) -> bool {
        match named.entry.as_ref().map(|entry| &entry.meaning) {
            Some(Meaning::Addresses(addresses)) => self.write_addresses(kind, addresses, turn, reply),
            Some(Meaning::Endpoints) => {
                let mut addresses: Vec<IpAddr> = endpoints(named).map(|endpoint| endpoint.address).collect();
                addresses.sort_unstable();
                addresses.dedup();
                self.write_addresses(kind, &addresses, turn, reply)
            }
            Some(Meaning::Alias(_)) | None => false,
        }
    }

    /// Writes those of the type asked for, beginning with the one whose turn it is.
    fn write_addresses(&self, kind: u16, addresses: &[IpAddr], turn: usize, reply: &mut Reply<'_>) -> bool {
        let fits = |address: &&IpAddr| (kind == A && address.is_ipv4()) || (kind == AAAA && address.is_ipv6());
        let start = if addresses.is_empty() { 0 } else { turn % addresses.len() };
        let (before, after) = addresses.split_at(start);
        let mut written = false;
        for address in after.iter().chain(before).filter(fits) {
            reply.address(Section::Answer, Owner::Question, *address, self.ttl_s());
            written = true;
        }
        written
    }

    fn write_ports(&self, named: &Named, wanted: (&[u8], &[u8]), inside: &[u8], reply: &mut Reply<'_>) -> bool {
        let (name, protocol) = wanted;
        let is_wanted = |port: &&Port| *port.name == *name && port.protocol == protocol;
        let Some(entry) = &named.entry else { return false };
        // The Service's own name follows the two labels of the port.
        let below_port = name.len() + protocol.len() + 4;
        let mut service = inside.get(below_port..).unwrap_or_default().to_vec();
        service.extend_from_slice(self.zone);
        let ttl = self.ttl_s();
        let srv = |reply: &mut Reply<'_>, weight: usize, port: u16, target: &[u8]| {
            reply.record(Section::Answer, Owner::Question, (SRV, ttl), |out| {
                let priority = 0_u16;
                out.extend_from_slice(&priority.to_be_bytes());
                out.extend_from_slice(&u16::try_from(weight).unwrap_or(1).to_be_bytes());
                out.extend_from_slice(&port.to_be_bytes());
                out.extend_from_slice(target);
            });
        };
        if let Meaning::Addresses(addresses) = &entry.meaning {
            for port in entry.ports.iter().filter(is_wanted) {
                srv(reply, WEIGHT, port.number, &service);
            }
            for address in addresses {
                reply.address(Section::Additional, Owner::Suffix(below_port), *address, ttl);
            }
            return true;
        }
        let targets: Vec<(&Endpoint, u16)> = named
            .slices
            .values()
            .flat_map(|slice| {
                let ports = slice.ports.iter().filter(is_wanted);
                ports.flat_map(|port| slice.endpoints.iter().map(|endpoint| (endpoint, port.number)))
            })
            .collect();
        let weight = (WEIGHT / targets.len().max(1)).max(1);
        let target = |endpoint: &Endpoint| {
            let length = u8::try_from(endpoint.label.len()).unwrap_or(u8::MAX);
            [&[length], &*endpoint.label, &service].concat()
        };
        for (endpoint, port) in &targets {
            srv(reply, weight, *port, &target(endpoint));
        }
        for (endpoint, _) in &targets {
            reply.address(Section::Additional, Owner::Name(&target(endpoint)), endpoint.address, ttl);
        }
        !targets.is_empty()
    }

    fn answer_alias(&self, query: &Query<'_>, target: &[u8], mut reply: Reply<'_>) -> Outcome {
        reply.record(Section::Answer, Owner::Question, (CNAME, self.ttl_s()), |out| out.extend_from_slice(target));
        let inside = before_zone(target, self.zone);
        if inside.is_none() && matches!(query.kind, A | AAAA) {
            reply.finish(Code::NoError);
            return Outcome::Alias(target.to_vec());
        }
        if let Some(inside) = inside
            && let Found::Service(named) = self.find(inside)
            && let Some(Meaning::Addresses(addresses)) = named.entry.as_ref().map(|entry| &entry.meaning)
        {
            let fits = |address: &&IpAddr| if query.kind == A { address.is_ipv4() } else { address.is_ipv6() };
            for address in addresses.iter().filter(fits).filter(|_| matches!(query.kind, A | AAAA)) {
                reply.address(Section::Answer, Owner::Name(target), *address, self.ttl_s());
            }
        }
        reply.finish(Code::NoError);
        Outcome::Answered
    }

    fn write_soa(&self, section: Section, owner: Owner<'_>, reply: &mut Reply<'_>) {
        reply.record(section, owner, (SOA, self.ttl_s()), |out| {
            self.write_name_server(out);
            out.extend_from_slice(b"\x0ahostmaster");
            out.extend_from_slice(self.zone);
            for number in [self.index.serial, REFRESH_S, RETRY_S, EXPIRE_S, self.ttl_s()] {
                out.extend_from_slice(&number.to_be_bytes());
            }
        });
    }

    fn write_name_server(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\x02ns\x03dns");
        out.extend_from_slice(self.zone);
    }

    fn write_reverse(&self, out: &mut Vec<u8>, reverse: &Reverse) {
        if let Some(hostname) = &reverse.hostname {
            out.push(u8::try_from(hostname.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(hostname);
        }
        out.extend_from_slice(&reverse.service);
        out.extend_from_slice(b"\x03svc");
        out.extend_from_slice(&self.rules.kubernetes.zones[0]);
    }
}

fn endpoints(named: &Named) -> impl Iterator<Item = &Endpoint> {
    named.slices.values().flat_map(|slice| &slice.endpoints)
}

/// The ports that have names of their own: a Service's, or for headless ones also their endpoints'.
fn ports(named: &Named) -> impl Iterator<Item = &Port> {
    let headless = matches!(named.entry.as_ref().map(|entry| &entry.meaning), Some(Meaning::Endpoints));
    let of_slices = named.slices.values().filter(move |_| headless).flat_map(|slice| &slice.ports);
    named.entry.iter().flat_map(|entry| &entry.ports).chain(of_slices).filter(|port| !port.name.is_empty())
}

/// `10-0-0-1`, or an IPv6 address with dashes for colons.
fn pod_address(label: &str) -> Option<IpAddr> {
    let dotted = label.replace('-', ".").parse::<std::net::Ipv4Addr>().map(IpAddr::V4);
    dotted.or_else(|_| label.replace('-', ":").parse::<std::net::Ipv6Addr>().map(IpAddr::V6)).ok()
}

/// The address that a name below `in-addr.arpa` or `ip6.arpa` stands for.
pub(crate) fn reverse_address(name: &[u8]) -> Option<IpAddr> {
    let parts: Vec<&[u8]> = labels(name).collect();
    let text = |part: &&[u8]| std::str::from_utf8(part).ok().map(str::to_owned);
    match parts.as_slice() {
        [d, c, b, a, b"in-addr", b"arpa"] => {
            let octets: Vec<String> = [a, b, c, d].into_iter().filter_map(text).collect();
            octets.join(".").parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4)
        }
        [digits @ .., b"ip6", b"arpa"] if digits.len() == 32 => {
            let mut number = 0_u128;
            for (shift, digit) in (0_u32..).step_by(4).zip(digits) {
                let value =
                    digit.first().filter(|_| digit.len() == 1).and_then(|byte| char::from(*byte).to_digit(16))?;
                number |= u128::from(value) << shift;
            }
            Some(IpAddr::V6(number.into()))
        }
        _ => None,
    }
}
