//! Host ports: ports of the node that lead to a pod, in tables of their own.

use std::net::IpAddr;

use netlink::PacketFilter;
use netlink::route::Network;
use nftables::{
    Base, Chain, ChainType, Change, Element, Expression, Family, Field, Hook, KeyBuilder, MetaKey, Name, Set, Table,
};

use crate::config::PortMapping;
use crate::rules::{End, family, load, to_this_host, translated, width, within};

static TABLES: [Table; 2] =
    [Table::new(Family::Ip4, "ferrokube-hostports"), Table::new(Family::Ip6, "ferrokube-hostports")];
/// Protocol, port → pod.
const ANYWHERE: &str = "anywhere";
/// Address, protocol, port → pod.
const AT_ADDRESS: &str = "at-address";
/// Pairs of a pod's address, for pods that reach themselves.
const HAIRPINS: &str = "hairpins";

/// A mapping as it stands in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Programmed {
    pub(crate) host: Option<IpAddr>,
    pub(crate) protocol: u8,
    pub(crate) host_port: u16,
    pub(crate) pod: IpAddr,
    pub(crate) pod_port: u16,
}

/// The mappings that lead to `pods`, one per mapping and fitting family.
pub(crate) fn wanted(mappings: &[PortMapping], pods: &[IpAddr]) -> Result<Vec<Programmed>, String> {
    let mut all = Vec::new();
    for mapping in mappings.iter().filter(|mapping| mapping.host_port > 0) {
        let protocol = match mapping.protocol.to_ascii_lowercase().as_str() {
            "" | "tcp" => 6,
            "udp" => 17,
            "sctp" => 132,
            other => return Err(format!("unknown protocol {other:?} of host port {}", mapping.host_port)),
        };
        let host = match mapping.host_ip.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|error| format!("host address {text:?}: {error}"))?),
        };
        let host = host.filter(|host: &IpAddr| !host.is_unspecified());
        let fitting = pods.iter().filter(|pod| host.is_none_or(|host| host.is_ipv4() == pod.is_ipv4()));
        all.extend(fitting.map(|pod| Programmed {
            host,
            protocol,
            host_port: mapping.host_port,
            pod: *pod,
            pod_port: mapping.container_port,
        }));
    }
    Ok(all)
}

/// Puts `mappings` in force. A host port that leads elsewhere already is refused.
pub(crate) fn add(filter: &mut PacketFilter, mappings: &[Programmed]) -> Result<(), netlink::Error> {
    if mappings.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::new();
    for table in &TABLES {
        if !filter.table_exists(table)? {
            changes.extend(base(table));
        }
    }
    changes.extend(mappings.iter().map(|mapping| mapping.change(true)));
    changes.extend(
        hairpins(mappings).map(|(table, element)| Change::ElementsAdd(table, Name::Borrowed(HAIRPINS), vec![element])),
    );
    filter.commit(&changes).map(|_| ())
}

/// Ends `mappings`; those that do not exist are fine.
pub(crate) fn remove(filter: &mut PacketFilter, mappings: &[Programmed]) -> Result<(), netlink::Error> {
    let elements = mappings.iter().map(|mapping| mapping.change(false));
    let pairs = hairpins(mappings)
        .map(|(table, element)| Change::ElementsDelete(table, Name::Borrowed(HAIRPINS), vec![element]));
    for change in elements.chain(pairs) {
        match filter.commit(&[change]) {
            Err(error) if !error.is_absent() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The steps that remove the tables.
pub(crate) fn remove_all() -> impl Iterator<Item = Change> {
    TABLES.iter().flat_map(Change::remove)
}

fn hairpins(mappings: &[Programmed]) -> impl Iterator<Item = (Table, Element)> {
    let mut pods: Vec<IpAddr> = mappings.iter().map(|mapping| mapping.pod).collect();
    pods.sort_unstable();
    pods.dedup();
    pods.into_iter().map(|pod| (table(pod), Element::key(KeyBuilder::new().address(pod).address(pod).build())))
}

fn table(address: IpAddr) -> Table {
    let [four, six] = &TABLES;
    if address.is_ipv4() { four.clone() } else { six.clone() }
}

impl Programmed {
    fn change(&self, adding: bool) -> Change {
        let port = KeyBuilder::new().protocol(self.protocol).port(self.host_port).build();
        let (set, key) = match self.host {
            Some(host) => (AT_ADDRESS, KeyBuilder::new().address(host).bytes(&port).build()),
            None => (ANYWHERE, port),
        };
        let target = KeyBuilder::new().address(self.pod).port(self.pod_port).build();
        let (table, set, elements) = (table(self.pod), Name::Borrowed(set), vec![Element::data(key, target)]);
        if adding { Change::ElementsAdd(table, set, elements) } else { Change::ElementsDelete(table, set, elements) }
    }

    /// One line, for the record by which deletion finds it.
    pub(crate) fn write(&self) -> String {
        let host = self.host.map(|host| host.to_string()).unwrap_or_default();
        format!("{} {} {} {} {host}", self.protocol, self.host_port, self.pod, self.pod_port)
    }

    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let protocol = parts.next()?.parse().ok()?;
        let host_port = parts.next()?.parse().ok()?;
        let pod = parts.next()?.parse().ok()?;
        let pod_port = parts.next()?.parse().ok()?;
        let host = parts.next().and_then(|host| host.parse().ok());
        Some(Self { host, protocol, host_port, pod, pod_port })
    }
}

fn base(table: &Table) -> Vec<Change> {
    let address = if table.family == Family::Ip4 { Field::Address4 } else { Field::Address6 };
    let pod = [address, Field::Port];
    let sets = [
        Set::map(ANYWHERE, &[Field::Protocol, Field::Port], &pod),
        Set::map(AT_ADDRESS, &[address, Field::Protocol, Field::Port], &pod),
        Set::keys(HAIRPINS, &[address, address]),
    ];
    let nat = |name, hook, priority| Chain::base(name, ChainType::Nat, hook, priority);
    // Before Services, which share the ports of the node.
    let arriving = [nat("prerouting", Hook::Prerouting, -105), nat("output", Hook::Output, -105)];
    let mut changes = vec![Change::TableAdd(table.clone())];
    changes.extend(sets.into_iter().map(|set| Change::SetAdd(table.clone(), set)));
    for chain in arriving {
        changes.push(Change::ChainAdd(table.clone(), chain.clone()));
        for rule in arriving_rules(table.family) {
            changes.push(Change::RuleAdd(table.clone(), chain.name.clone(), rule));
        }
    }
    let leaving = nat("postrouting", Hook::Postrouting, 95);
    changes.push(Change::ChainAdd(table.clone(), leaving.clone()));
    for rule in leaving_rules(table.family) {
        changes.push(Change::RuleAdd(table.clone(), leaving.name.clone(), rule));
    }
    changes
}

fn arriving_rules(of: Family) -> [Vec<Expression>; 2] {
    let width = width(of);
    let (protocol, port) = (width, width + 1);
    let target = port + 1;
    let load_port = [
        Expression::Meta { key: MetaKey::Protocol, register: protocol },
        Expression::Payload { base: Base::Transport, offset: 2, length: 2, register: port },
    ];
    let translate = Expression::Dnat { family: of, address: target, port: Some(target + width) };
    let lookup = |set, register| Expression::Lookup { set: Name::Borrowed(set), register, target };
    let at_address = [
        &to_this_host()[..],
        &[load(of, End::Destination, 0)],
        &load_port,
        &[lookup(AT_ADDRESS, 0), translate.clone()],
    ];
    let anywhere = [&to_this_host()[..], &load_port, &[lookup(ANYWHERE, protocol), translate]];
    [at_address.concat(), anywhere.concat()]
}

fn leaving_rules(of: Family) -> Vec<Vec<Expression>> {
    let pair = [
        load(of, End::Source, 0),
        load(of, End::Destination, width(of)),
        Expression::Contained { set: Name::Borrowed(HAIRPINS), register: 0, inverted: false },
        Expression::Masquerade,
    ];
    let mut rules = vec![[&translated()[..], &pair].concat()];
    if of == Family::Ip4 {
        // From the node's loopback; no answer would find its way back to 127.0.0.1.
        let loopback = Network { address: IpAddr::from([127, 0, 0, 0]), prefix: 8 };
        let from_loopback = within(of, End::Source, loopback);
        rules.push([&translated()[..], &from_loopback, &[Expression::Masquerade]].concat());
    }
    debug_assert_eq!(family(IpAddr::from([127, 0, 0, 1])), Family::Ip4, "loopback is IPv4 here");
    rules
}
