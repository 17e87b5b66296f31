//! What the name service is told, as a Corefile says it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::wire::{encode_name, is_within};

/// The resolvers that a `resolv.conf` names at most, as the C library has it.
const UPSTREAMS_MAX: usize = 3;
const PORT: u16 = 53;

/// A domain name as length-prefixed labels, in lower case.
pub type Zone = Vec<u8>;

/// Everything that a Corefile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who answers for which names.
    pub blocks: Vec<Block>,
    /// Where it says that it lives.
    pub health: Option<Health>,
    /// Where it says that it is ready.
    pub ready: Option<SocketAddr>,
    /// Where metrics are.
    pub metrics: Option<SocketAddr>,
    /// How often the Corefile is read again; `None` for never.
    pub reload: Option<Reload>,
}

/// `health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Where `/health` is served.
    pub address: SocketAddr,
    /// For how long it goes on serving names after it was told to end, unhealthy.
    pub lameduck: Duration,
}

/// `reload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// How often.
    pub interval: Duration,
    /// How much later or earlier at most, so that not all servers do it at once.
    pub jitter: Duration,
}

/// A server block: names, a port, and what is done about questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The zones that it answers for, as they are written, and as labels.
    pub zones: Vec<(String, Zone)>,
    /// The port.
    pub port: u16,
    /// Whether failures are logged.
    pub errors: bool,
    /// Which questions are logged; `None` for none.
    pub log: Option<Log>,
    /// Whether it is counted.
    pub prometheus: bool,
    /// The longest answer over UDP, if that is said.
    pub bufsize: Option<u16>,
    /// Whether loops among resolvers are looked for.
    pub detects_loops: bool,
    /// Whether addresses begin with another one each time.
    pub loadbalance: bool,
    /// What of others' answers is remembered.
    pub cache: Option<CacheRules>,
    /// Names by hand.
    pub hosts: Option<Hosts>,
    /// The cluster's names.
    pub kubernetes: Option<Kubernetes>,
    /// Whom to ask about all other names.
    pub forwards: Vec<Forward>,
}

/// `log`: which questions are logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Those about names in these zones.
    pub zones: Vec<Zone>,
    /// Whether good answers are among them, denials, and errors.
    pub success: bool,
    /// That there is no such name, or none of the type.
    pub denial: bool,
    /// Anything else.
    pub error: bool,
}

/// `cache`: what is remembered of answers of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// How many at most.
    pub entries_max: usize,
    /// For how long at most, and at least.
    pub seconds_max: u32,
    /// For how long at least.
    pub seconds_min: u32,
}

/// `cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRules {
    /// The zones whose names are remembered.
    pub zones: Vec<Zone>,
    /// Good answers.
    pub success: Kept,
    /// Denials.
    pub denial: Kept,
    /// Zones whose good answers are not remembered.
    pub success_off: Vec<Zone>,
    /// Zones whose denials are not.
    pub denial_off: Vec<Zone>,
}

/// `hosts`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// The zones that it knows about; without any, the block's.
    pub zones: Vec<Zone>,
    /// Addresses by name.
    pub addresses: HashMap<Zone, Vec<IpAddr>>,
    /// Names by address.
    pub names: HashMap<IpAddr, Vec<Zone>>,
    /// How long answers may be remembered.
    pub ttl_s: u32,
    /// What it does not know in these zones goes on to the next.
    pub fallthrough: Vec<Zone>,
}

/// Which pods have names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pods {
    /// None.
    #[default]
    Disabled,
    /// Whatever address is asked for, without looking whether it exists.
    Insecure,
    /// Those that exist in the namespace.
    Verified,
}

/// `kubernetes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubernetes {
    /// The cluster's zones, the first one that addresses lead back to.
    pub zones: Vec<Zone>,
    /// The zones of addresses that it answers for.
    pub reverse_zones: Vec<Zone>,
    /// How long answers may be remembered.
    pub ttl_s: u32,
    /// Which pods have names.
    pub pods: Pods,
    /// What it does not know in these zones goes on to the next.
    pub fallthrough: Vec<Zone>,
    /// The addresses of this name service, for `ns.dns` in the zone.
    pub own_addresses: Vec<IpAddr>,
}

/// In which order resolvers are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// Any first.
    #[default]
    Random,
    /// Each first in its turn.
    RoundRobin,
    /// As they are written.
    Sequential,
}

/// `forward`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Names in this zone.
    pub from: Zone,
    /// But not in these.
    pub except: Vec<Zone>,
    /// Whom to ask.
    pub upstreams: Vec<SocketAddr>,
    /// In which order.
    pub policy: Policy,
    /// How many questions may be on their way; more are refused.
    pub concurrent_max: usize,
    /// Whether they are asked over TCP alone.
    pub tcp_only: bool,
}

impl CacheRules {
    /// All answers, so many, and no longer than that.
    pub fn everything(entries_max: usize, seconds_max: u32) -> CacheRules {
        let kept = Kept { entries_max, seconds_max, seconds_min: 0 };
        CacheRules {
            zones: vec![vec![0]],
            success: kept,
            denial: kept,
            success_off: Vec::new(),
            denial_off: Vec::new(),
        }
    }
}

impl Forward {
    /// Whether questions about `name` go this way.
    pub(crate) fn takes(&self, name: &[u8]) -> bool {
        is_within(name, &self.from) && !is_in(name, &self.except)
    }
}

impl Kubernetes {
    /// The cluster's names in `zone`, as kubeadm's Corefile has them; `None` when that is no domain name.
    pub fn usual(zone: &str, own_addresses: Vec<IpAddr>) -> Option<Kubernetes> {
        let reverse: Vec<Zone> = ["in-addr.arpa", "ip6.arpa"].iter().filter_map(|zone| encode_name(zone)).collect();
        let zone = encode_name(zone).filter(|zone| zone.len() > 1)?;
        Some(Kubernetes {
            zones: vec![zone],
            reverse_zones: reverse.clone(),
            ttl_s: 30,
            pods: Pods::Insecure,
            fallthrough: reverse,
            own_addresses,
        })
    }
}

/// Whether `name` is in one of `zones`.
pub(crate) fn is_in(name: &[u8], zones: &[Zone]) -> bool {
    zones.iter().any(|zone| is_within(name, zone))
}

/// The resolvers that a `resolv.conf` names, without those in `own` and those on loopback, which in a pod are ourselves:
/// asking ourselves would go round for ever.
pub fn upstreams(resolv_conf: &str, own: &[IpAddr]) -> Vec<SocketAddr> {
    let lines = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = lines.filter_map(|rest| rest.split_whitespace().next()?.parse::<IpAddr>().ok());
    let others = addresses.filter(|address| !own.contains(address) && !address.is_loopback());
    others.map(|address| SocketAddr::new(address, PORT)).take(UPSTREAMS_MAX).collect()
}
