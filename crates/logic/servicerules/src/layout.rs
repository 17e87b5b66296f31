//! The part of the ruleset that does not depend on Services: maps, base chains, and the chains they share.

use nftables::{
    Base, Bytes, Chain, ChainType, Change, Comparison, CtKey, Expression, Family, Field, Hook, KeyBuilder, MetaKey,
    Name, Refusal, Set, Table, Verdict,
};

use crate::facts::{Facts, NodePortAddresses, Range};

/// Destination, protocol, port → balancing chain, or a policy's chain.
pub(crate) const SERVICES: &str = "services";
/// Protocol, node port → balancing chain, or a policy's chain.
pub(crate) const NODE_PORTS: &str = "node-ports";
/// Service port, index → endpoint.
pub(crate) const ENDPOINTS: &str = "endpoints";
/// External address and port → Service port.
pub(crate) const ALIASES: &str = "aliases";
/// Node port → Service port.
pub(crate) const NODE_PORT_ALIASES: &str = "node-port-aliases";
/// For fronts with the external policy `Local`: what pods and this node get.
pub(crate) const EXTERNAL_INSIDERS: &str = "external-insiders";
/// For fronts with the external policy `Local`: what everybody else gets.
pub(crate) const EXTERNAL_OUTSIDERS: &str = "external-outsiders";
/// As [`EXTERNAL_INSIDERS`], for node ports.
pub(crate) const NODE_PORT_INSIDERS: &str = "node-port-insiders";
/// As [`EXTERNAL_OUTSIDERS`], for node ports.
pub(crate) const NODE_PORT_OUTSIDERS: &str = "node-port-outsiders";
/// Fronts without endpoints.
pub(crate) const REFUSED: &str = "refused";
/// Node ports without endpoints.
pub(crate) const NODE_PORTS_REFUSED: &str = "node-ports-refused";
/// Fronts that only some sources may use.
pub(crate) const GUARDED: &str = "guarded";
/// Who may use them: source range, front.
pub(crate) const ALLOWED: &str = "allowed";
/// All cluster IPs.
pub(crate) const CLUSTER_IPS: &str = "cluster-ips";
/// Pairs of the same local address, for pods that reach themselves through a Service.
pub(crate) const HAIRPINS: &str = "hairpins";
/// Client, Service port → endpoint; filled by packets.
pub(crate) const AFFINITY: &str = "affinity";
/// Service port, endpoint: what may still be remembered.
pub(crate) const STICKY: &str = "sticky";
/// As [`STICKY`], for `Local` policies.
pub(crate) const STICKY_LOCAL: &str = "sticky-local";
/// The addresses node ports answer on, when listed.
const NODE_ADDRESSES: &str = "node-addresses";

/// Marks packets that do not come from pods for masquerading.
pub(crate) const MARK_OUTSIDERS: &str = "mark-outsiders";
/// Refuses.
pub(crate) const REJECT: &str = "reject";
/// Drops what comes from outside the cluster.
pub(crate) const DROP_OUTSIDERS: &str = "drop-outsiders";
/// Sorts the packets to fronts with the external policy `Local`.
pub(crate) const EXTERNAL_LOCAL: &str = "external-local";
/// As [`EXTERNAL_LOCAL`], for node ports.
pub(crate) const NODE_PORT_LOCAL: &str = "node-port-local";
const DISPATCH: &str = "dispatch";
const GATE: &str = "gate";
const STRAY: &str = "stray";

/// How many clients session affinity remembers.
const AFFINITY_CLIENTS_MAX: u32 = 1 << 18;
/// How the kernel numbers addresses of this host.
const LOCAL_ADDRESS: u32 = 2;
const CT_NEW: u32 = 8;
const CT_TRANSLATED: u32 = 0x20;

/// Where a family's facts about a packet stand: source, destination, protocol, port, then address and port of the
/// endpoint, so that each map's key is a run of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Registers {
    /// Registers of an address.
    width: u8,
}

impl Registers {
    pub(crate) fn of(family: Family) -> Self {
        Self { width: if family == Family::Ip4 { 1 } else { 4 } }
    }

    pub(crate) fn source(self) -> u8 {
        0
    }

    pub(crate) fn destination(self) -> u8 {
        self.width
    }

    pub(crate) fn protocol(self) -> u8 {
        2 * self.width
    }

    pub(crate) fn port(self) -> u8 {
        self.protocol() + 1
    }

    /// The endpoint's address; before that is known, the index.
    pub(crate) fn address(self) -> u8 {
        self.port() + 1
    }

    pub(crate) fn endpoint_port(self) -> u8 {
        self.address() + self.width
    }

    pub(crate) fn load_source(self) -> Expression {
        let offset = if self.width == 1 { 12 } else { 8 };
        let length = u32::from(self.width) * 4;
        Expression::Payload { base: Base::Network, offset, length, register: self.source() }
    }

    fn load_destination(self) -> Expression {
        let offset = if self.width == 1 { 16 } else { 24 };
        let length = u32::from(self.width) * 4;
        Expression::Payload { base: Base::Network, offset, length, register: self.destination() }
    }

    pub(crate) fn load_port(self) -> [Expression; 2] {
        [
            Expression::Meta { key: MetaKey::Protocol, register: self.protocol() },
            Expression::Payload { base: Base::Transport, offset: 2, length: 2, register: self.port() },
        ]
    }

    pub(crate) fn load_destination_port(self) -> [Expression; 3] {
        let [protocol, port] = self.load_port();
        [self.load_destination(), protocol, port]
    }
}

pub(crate) fn lookup(set: &'static str, register: u8, target: u8) -> Expression {
    Expression::Lookup { set: Name::Borrowed(set), register, target }
}

fn dispatch(set: &'static str, register: u8) -> Expression {
    Expression::Dispatch { set: Name::Borrowed(set), register }
}

pub(crate) fn dnat(family: Family, registers: Registers) -> Expression {
    Expression::Dnat { family, address: registers.address(), port: Some(registers.endpoint_port()) }
}

/// Sets the mark's bit and leaves the others.
pub(crate) fn mark_rule(mark: u32) -> Vec<Expression> {
    let register = 0;
    vec![
        Expression::Meta { key: MetaKey::Mark, register },
        Expression::Bitwise { source: register, target: register, mask: number(!mark), xor: number(mark) },
        Expression::MetaSet { key: MetaKey::Mark, register },
    ]
}

fn number(number: u32) -> Bytes {
    KeyBuilder::new().number(number).build()
}

fn is(register: u8, value: u32) -> Expression {
    Expression::Compare { register, comparison: Comparison::Equal, bytes: number(value) }
}

/// The empty table: everything but Services.
pub(crate) fn base(table: &Table, facts: &Facts) -> Vec<Change> {
    let mut changes = Change::reset(table).to_vec();
    changes.extend(sets(table.family).into_iter().map(|set| Change::SetAdd(table.clone(), set)));
    let chains = chains(table.family, facts);
    changes.extend(chains.iter().map(|(chain, _)| Change::ChainAdd(table.clone(), chain.clone())));
    for (chain, rules) in chains {
        let rules = rules.into_iter().map(|rule| Change::RuleAdd(table.clone(), chain.name.clone(), rule));
        changes.extend(rules);
    }
    if let NodePortAddresses::Listed(addresses) = &facts.node_port_addresses {
        let own = addresses.iter().filter(|address| address.is_ipv4() == (table.family == Family::Ip4));
        let keys = own.map(|address| nftables::Element::key(KeyBuilder::new().address(*address).build()));
        changes.push(Change::ElementsAdd(table.clone(), Name::Borrowed(NODE_ADDRESSES), keys.collect()));
    }
    changes
}

fn sets(family: Family) -> Vec<Set> {
    let address = if family == Family::Ip4 { Field::Address4 } else { Field::Address6 };
    let front = [address, Field::Protocol, Field::Port];
    let node_port = [Field::Protocol, Field::Port];
    let endpoint = [address, Field::Port];
    let client_front = [address, address, Field::Protocol, Field::Port];
    let member = [address, Field::Protocol, Field::Port, address, Field::Port];
    let affinity =
        Set { dynamic: true, size_max: Some(AFFINITY_CLIENTS_MAX), ..Set::map(AFFINITY, &client_front, &endpoint) };
    vec![
        Set::map(ENDPOINTS, &[address, Field::Protocol, Field::Port, Field::Number], &endpoint),
        Set::map(ALIASES, &front, &front),
        Set::map(NODE_PORT_ALIASES, &node_port, &front),
        Set::verdicts(SERVICES, &front),
        Set::verdicts(NODE_PORTS, &node_port),
        Set::verdicts(EXTERNAL_INSIDERS, &front),
        Set::verdicts(EXTERNAL_OUTSIDERS, &front),
        Set::verdicts(NODE_PORT_INSIDERS, &node_port),
        Set::verdicts(NODE_PORT_OUTSIDERS, &node_port),
        Set::verdicts(REFUSED, &front),
        Set::verdicts(NODE_PORTS_REFUSED, &node_port),
        Set::keys(GUARDED, &front),
        Set { ranges: true, ..Set::keys(ALLOWED, &client_front) },
        Set::keys(CLUSTER_IPS, &[address]),
        Set::keys(HAIRPINS, &[address, address]),
        affinity,
        Set::keys(STICKY, &member),
        Set::keys(STICKY_LOCAL, &member),
        Set::keys(NODE_ADDRESSES, &[address]),
    ]
}

type Rules = Vec<Vec<Expression>>;

fn chains(family: Family, facts: &Facts) -> Vec<(Chain, Rules)> {
    let jump = |chain: &'static str| vec![vec![Expression::Verdict(Verdict::jump(chain))]];
    let new_only = |chain: &'static str| {
        let register = 0;
        let state = Expression::Ct { key: CtKey::State, register };
        let new = Expression::Bitwise { source: register, target: register, mask: number(CT_NEW), xor: number(0) };
        vec![vec![state, new, is(register, CT_NEW), Expression::Verdict(Verdict::jump(chain))]]
    };
    let filter = |name, hook, priority| Chain::base(name, ChainType::Filter, hook, priority);
    let nat = |name, hook, priority| Chain::base(name, ChainType::Nat, hook, priority);
    vec![
        (Chain::regular(MARK_OUTSIDERS), mark_outsiders(family, facts)),
        (Chain::regular(REJECT), reject_rules()),
        (Chain::regular(DROP_OUTSIDERS), drop_outsiders(family, facts)),
        (Chain::regular(EXTERNAL_LOCAL), local_policy(family, facts, Front::Address)),
        (Chain::regular(NODE_PORT_LOCAL), local_policy(family, facts, Front::NodePort)),
        (Chain::regular(DISPATCH), dispatch_rules(family, facts)),
        (Chain::regular(GATE), gate_rules(family, facts)),
        (Chain::regular(STRAY), stray_rules(family)),
        // Before destination NAT, while the packet still names the Service.
        (filter("filter-prerouting", Hook::Prerouting, -110), new_only(GATE)),
        (filter("filter-output", Hook::Output, -110), new_only(GATE)),
        (nat("nat-prerouting", Hook::Prerouting, -100), jump(DISPATCH)),
        (nat("nat-output", Hook::Output, -100), jump(DISPATCH)),
        // After it: what still goes to a cluster IP has no Service port.
        (filter("filter-forward", Hook::Forward, 0), new_only(STRAY)),
        (filter("filter-output-late", Hook::Output, 0), new_only(STRAY)),
        (nat("nat-postrouting", Hook::Postrouting, 100), postrouting(family, facts.masquerade_mark)),
    ]
}

#[derive(Clone, Copy)]
enum Front {
    Address,
    NodePort,
}

/// Steps that hold for packets from `range`.
fn from_range(registers: Registers, range: &Range) -> [Expression; 3] {
    let mask = Bytes::from_slice(&range.mask());
    let nothing = Bytes::from_elem(0, mask.len());
    let network = KeyBuilder::new().address(range.address).build();
    let register = registers.source();
    [
        registers.load_source(),
        Expression::Bitwise { source: register, target: register, mask, xor: nothing },
        Expression::Compare { register, comparison: Comparison::Equal, bytes: network },
    ]
}

fn pod_ranges(family: Family, facts: &Facts) -> impl Iterator<Item = &Range> {
    facts.pod_ranges.iter().filter(move |range| range.address.is_ipv4() == (family == Family::Ip4))
}

fn mark_outsiders(family: Family, facts: &Facts) -> Rules {
    if facts.masquerade_all {
        return vec![mark_rule(facts.masquerade_mark)];
    }
    let registers = Registers::of(family);
    let returns = |range| [&from_range(registers, range)[..], &[Expression::Verdict(Verdict::Return)]].concat();
    let mut rules: Rules = pod_ranges(family, facts).map(returns).collect();
    if !rules.is_empty() {
        rules.push(mark_rule(facts.masquerade_mark));
    }
    rules
}

fn from_this_node() -> [Expression; 2] {
    let register = 0;
    [Expression::SourceKind { register }, is(register, LOCAL_ADDRESS)]
}

fn drop_outsiders(family: Family, facts: &Facts) -> Rules {
    let registers = Registers::of(family);
    let passes = Expression::Verdict(Verdict::Return);
    let mut rules: Rules = pod_ranges(family, facts)
        .map(|range| [&from_range(registers, range)[..], std::slice::from_ref(&passes)].concat())
        .collect();
    rules.push([&from_this_node()[..], &[passes]].concat());
    rules.push(vec![Expression::Verdict(Verdict::Drop)]);
    rules
}

/// Pods, and this node, are inside: they get any endpoint, without a detour. Everybody else gets local ones, unmasqueraded.
fn local_policy(family: Family, facts: &Facts, front: Front) -> Rules {
    let registers = Registers::of(family);
    let (insiders, outsiders) = match front {
        Front::Address => (EXTERNAL_INSIDERS, EXTERNAL_OUTSIDERS),
        Front::NodePort => (NODE_PORT_INSIDERS, NODE_PORT_OUTSIDERS),
    };
    let by = |set| match front {
        Front::Address => [&registers.load_destination_port()[..], &[dispatch(set, registers.destination())]].concat(),
        Front::NodePort => [&registers.load_port()[..], &[dispatch(set, registers.protocol())]].concat(),
    };
    let mut rules: Rules = pod_ranges(family, facts)
        .map(|range| [&from_range(registers, range)[..], &by(insiders)[..]].concat())
        .collect();
    rules.push([&from_this_node()[..], &mark_rule(facts.masquerade_mark)[..]].concat());
    rules.push([&from_this_node()[..], &by(insiders)[..]].concat());
    rules.push(by(outsiders));
    rules
}

/// Holds for packets to addresses on which node ports answer.
fn to_node_address(family: Family, facts: &Facts) -> Vec<Expression> {
    let registers = Registers::of(family);
    let (destination, scratch) = (registers.destination(), registers.address());
    if matches!(facts.node_port_addresses, NodePortAddresses::Listed(_)) {
        let set = Name::Borrowed(NODE_ADDRESSES);
        return vec![
            registers.load_destination(),
            Expression::Contained { set, register: destination, inverted: false },
        ];
    }
    let different = |register, bytes: &[u8]| {
        let bytes = Bytes::from_slice(bytes);
        Expression::Compare { register, comparison: Comparison::Different, bytes }
    };
    let mut steps = vec![Expression::DestinationKind { register: scratch }, is(scratch, LOCAL_ADDRESS)];
    steps.push(registers.load_destination());
    if family == Family::Ip4 {
        let mask = Bytes::from_slice(&[255, 0, 0, 0]);
        steps.push(Expression::Bitwise { source: destination, target: scratch, mask, xor: number(0) });
        steps.push(different(scratch, &[127, 0, 0, 0]));
    } else {
        steps.push(different(destination, &std::net::Ipv6Addr::LOCALHOST.octets()));
    }
    steps
}

fn dispatch_rules(family: Family, facts: &Facts) -> Rules {
    let registers = Registers::of(family);
    let by_address = [&registers.load_destination_port()[..], &[dispatch(SERVICES, registers.destination())]].concat();
    let by_port = [
        &to_node_address(family, facts)[..],
        &registers.load_port()[..],
        &[dispatch(NODE_PORTS, registers.protocol())],
    ]
    .concat();
    vec![by_address, by_port]
}

fn gate_rules(family: Family, facts: &Facts) -> Rules {
    let registers = Registers::of(family);
    let refused = [&registers.load_destination_port()[..], &[dispatch(REFUSED, registers.destination())]].concat();
    let contained = |set, register, inverted| Expression::Contained { set: Name::Borrowed(set), register, inverted };
    let guarded = [
        &registers.load_destination_port()[..],
        &[
            contained(GUARDED, registers.destination(), false),
            registers.load_source(),
            contained(ALLOWED, registers.source(), true),
            Expression::Verdict(Verdict::Drop),
        ],
    ]
    .concat();
    let ports = [
        &to_node_address(family, facts)[..],
        &registers.load_port()[..],
        &[dispatch(NODE_PORTS_REFUSED, registers.protocol())],
    ]
    .concat();
    vec![refused, guarded, ports]
}

/// A local TCP client drops an ICMP error that arrives while it is still sending its first packet, and tries again a
/// second later; a reset it keeps. Nor are resets rate-limited.
fn reject_rules() -> Rules {
    const TCP: u8 = 6;
    let register = 0;
    let is_tcp = [
        Expression::Meta { key: MetaKey::Protocol, register },
        Expression::Compare { register, comparison: Comparison::Equal, bytes: Bytes::from_slice(&[TCP]) },
        Expression::Reject(Refusal::Reset),
    ];
    vec![is_tcp.to_vec(), vec![Expression::Reject(Refusal::PortUnreachable)]]
}

fn stray_rules(family: Family) -> Rules {
    let registers = Registers::of(family);
    let register = registers.destination();
    vec![vec![
        registers.load_destination(),
        Expression::Contained { set: Name::Borrowed(CLUSTER_IPS), register, inverted: false },
        Expression::Verdict(Verdict::goto(REJECT)),
    ]]
}

fn postrouting(family: Family, mark: u32) -> Rules {
    let registers = Registers::of(family);
    let (mark_register, scratch) = (0, 1);
    let marked = vec![
        Expression::Meta { key: MetaKey::Mark, register: mark_register },
        Expression::Bitwise { source: mark_register, target: scratch, mask: number(mark), xor: number(0) },
        is(scratch, mark),
        // The mark has done its work; a tunnel that the packet enters next must not see it.
        Expression::Bitwise { source: mark_register, target: mark_register, mask: number(!mark), xor: number(0) },
        Expression::MetaSet { key: MetaKey::Mark, register: mark_register },
        Expression::Masquerade,
    ];
    let translated = CT_TRANSLATED;
    let hairpin = vec![
        Expression::Ct { key: CtKey::Status, register: scratch },
        Expression::Bitwise { source: scratch, target: scratch, mask: number(translated), xor: number(0) },
        is(scratch, translated),
        registers.load_source(),
        registers.load_destination(),
        Expression::Contained { set: Name::Borrowed(HAIRPINS), register: registers.source(), inverted: false },
        Expression::Masquerade,
    ];
    vec![marked, hairpin]
}
