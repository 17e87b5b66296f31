//! Balancing chains: the rules that pick an endpoint at random among a given number.

use nftables::{Chain, Change, Expression, Family, Name, Table, Verdict};

use crate::layout::{self, Registers, dnat, lookup, mark_rule};

/// From which list of a Service port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    /// What `Cluster` policies use.
    Cluster,
    /// What `Local` policies use.
    Local,
}

/// How the packet leads to the Service port's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Front {
    /// Its own destination is the key.
    ClusterIp,
    /// Its destination is an alias.
    Address,
    /// Its destination port is an alias.
    NodePort,
}

/// Who is masqueraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Masquerade {
    /// Nobody: the endpoint is here, or the client a pod.
    Never,
    /// Clients that are not pods.
    Outsiders,
    /// Everybody: the answer has to come back through this node.
    Always,
}

/// What a balancing chain does; its name says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Balance {
    /// Among how many.
    pub(crate) endpoints: u32,
    pub(crate) list: List,
    pub(crate) front: Front,
    pub(crate) masquerade: Masquerade,
    /// Seconds for which a client keeps its endpoint.
    pub(crate) affinity_s: Option<u32>,
}

impl List {
    /// The index of its first endpoint.
    pub(crate) fn offset(self) -> u32 {
        match self {
            List::Cluster => 0,
            List::Local => 1 << 31,
        }
    }

    /// The set of what is still an endpoint, for session affinity.
    pub(crate) fn members(self) -> &'static str {
        match self {
            List::Cluster => layout::STICKY,
            List::Local => layout::STICKY_LOCAL,
        }
    }
}

impl Balance {
    pub(crate) fn chain(&self) -> Name {
        let list = match self.list {
            List::Cluster => "any",
            List::Local => "local",
        };
        let front = match self.front {
            Front::ClusterIp => "cluster",
            Front::Address => "external",
            Front::NodePort => "nodeport",
        };
        let masquerade = match self.masquerade {
            Masquerade::Never => "",
            Masquerade::Outsiders => "-masq-outsiders",
            Masquerade::Always => "-masq",
        };
        let affinity = self.affinity_s.map(|seconds| format!("-sticky{seconds}s")).unwrap_or_default();
        format!("{front}-{list}{masquerade}{affinity}-{}", self.endpoints).into()
    }

    /// The chain with its rules.
    pub(crate) fn changes(&self, table: &Table, mark: u32) -> Vec<Change> {
        let name = self.chain();
        let mut rules = Vec::new();
        match self.masquerade {
            Masquerade::Never => {}
            Masquerade::Outsiders => rules.push(vec![Expression::Verdict(Verdict::jump(layout::MARK_OUTSIDERS))]),
            Masquerade::Always => rules.push(mark_rule(mark)),
        }
        if let Some(seconds) = self.affinity_s {
            rules.push(self.remembered(table.family, seconds));
            rules.push(self.picked(table.family, Some(seconds)));
        }
        // With affinity this is for when nobody else can be remembered: a rule ends where the map is full.
        rules.push(self.picked(table.family, None));
        let chain = Change::ChainAdd(table.clone(), Chain::regular(name.clone()));
        let rules = rules.into_iter().map(|rule| Change::RuleAdd(table.clone(), name.clone(), rule));
        std::iter::once(chain).chain(rules).collect()
    }

    /// A client that has an endpoint which still is one keeps it.
    fn remembered(&self, family: Family, seconds: u32) -> Vec<Expression> {
        let registers = Registers::of(family);
        let mut rule = vec![registers.load_source()];
        rule.extend(self.load_key(registers));
        rule.push(lookup(layout::AFFINITY, registers.source(), registers.address()));
        rule.push(Expression::Contained {
            set: Name::Borrowed(self.list.members()),
            register: registers.destination(),
            inverted: false,
        });
        rule.push(remember(registers, seconds));
        rule.push(dnat(family, registers));
        rule
    }

    /// A client gets any endpoint, and keeps it for `affinity_s`.
    fn picked(&self, family: Family, affinity_s: Option<u32>) -> Vec<Expression> {
        let registers = Registers::of(family);
        let mut rule = Vec::new();
        if affinity_s.is_some() {
            rule.push(registers.load_source());
        }
        rule.extend(self.load_key(registers));
        rule.push(Expression::Random {
            register: registers.address(),
            modulus: self.endpoints,
            offset: self.list.offset(),
        });
        rule.push(lookup(layout::ENDPOINTS, registers.destination(), registers.address()));
        if let Some(seconds) = affinity_s {
            // Whom the client remembered, if anybody, is no endpoint any more.
            rule.push(Expression::Forget {
                set: Name::Borrowed(layout::AFFINITY),
                key: registers.source(),
                data: Some(registers.address()),
            });
            rule.push(remember(registers, seconds));
        }
        rule.push(dnat(family, registers));
        rule
    }

    /// The Service port's key in the registers from the destination on.
    fn load_key(&self, registers: Registers) -> Vec<Expression> {
        let mut steps = Vec::new();
        match self.front {
            Front::ClusterIp => steps.extend(registers.load_destination_port()),
            Front::Address => {
                steps.extend(registers.load_destination_port());
                steps.push(lookup(layout::ALIASES, registers.destination(), registers.destination()));
            }
            Front::NodePort => {
                steps.extend(registers.load_port());
                steps.push(lookup(layout::NODE_PORT_ALIASES, registers.protocol(), registers.destination()));
            }
        }
        steps
    }
}

fn remember(registers: Registers, seconds: u32) -> Expression {
    Expression::Remember {
        set: Name::Borrowed(layout::AFFINITY),
        key: registers.source(),
        data: Some(registers.address()),
        timeout_ms: u64::from(seconds) * 1_000,
    }
}
