//! What the name service is told.

use std::net::{IpAddr, SocketAddr};

use crate::lookup::is_zone;

/// The resolvers that are asked at most, as the C library has it.
const UPSTREAMS_MAX: usize = 3;
const PORT: u16 = 53;

/// What the name service is told; the defaults are those of the Corefile that kubeadm writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The cluster's zone.
    pub zone: String,
    /// How long answers about the cluster may be remembered.
    pub ttl_s: u32,
    /// Whether pods have names (`pods insecure`): whatever address is asked for, without looking whether it exists.
    pub pods: bool,
    /// The addresses of this name service, for `ns.dns` in the zone.
    pub own_addresses: Vec<IpAddr>,
    /// Who knows all other names.
    pub upstreams: Vec<SocketAddr>,
    /// Who knows the names in certain zones.
    pub stubs: Vec<Stub>,
    /// How long their answers are remembered at most; 0 for not at all.
    pub cache_s_max: u32,
    /// How many of their answers are remembered.
    pub cache_entries_max: usize,
    /// How many questions may be on their way to them; more are refused.
    pub forwards_max: usize,
    /// How many TCP connections may be open.
    pub connections_max: usize,
}

/// A zone with resolvers of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// The zone.
    pub zone: String,
    /// Who knows its names.
    pub upstreams: Vec<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            zone: "cluster.local".to_owned(),
            ttl_s: 30,
            pods: true,
            own_addresses: Vec::new(),
            upstreams: Vec::new(),
            stubs: Vec::new(),
            cache_s_max: 30,
            cache_entries_max: 9_984,
            forwards_max: 1_000,
            connections_max: 1_000,
        }
    }
}

/// A zone that is no domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a zone")]
pub struct NotAZone(String);

impl Config {
    /// With another zone.
    pub fn with_zone(self, zone: &str) -> Result<Self, NotAZone> {
        if is_zone(zone) { Ok(Self { zone: zone.to_owned(), ..self }) } else { Err(NotAZone(zone.to_owned())) }
    }
}

/// The resolvers that a `resolv.conf` names, without those in `own`: asking ourselves would go round for ever.
pub fn upstreams(resolv_conf: &str, own: &[IpAddr]) -> Vec<SocketAddr> {
    let lines = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let addresses = lines.filter_map(|rest| rest.split_whitespace().next()?.parse::<IpAddr>().ok());
    let others = addresses.filter(|address| !own.contains(address));
    others.map(|address| SocketAddr::new(address, PORT)).take(UPSTREAMS_MAX).collect()
}
