//! What is counted, under CoreDNS's names: the plugin `prometheus`.
//!
//! Counting must not slow an answer down: each server keeps the series that it has met.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use observe::metrics::{Counter, Family, Gauge, Histogram, Registry};

use crate::cache::Kind;
use crate::loops::HINFO;
use crate::wire::Code;

/// The upper bounds of durations, in seconds: 0.25 ms, and so on twofold.
const SECONDS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
];
/// The upper bounds of sizes, in bytes.
const BYTES: &[f64] = &[
    0.0, 100.0, 200.0, 300.0, 400.0, 511.0, 1_023.0, 2_047.0, 4_095.0, 8_291.0, 16_000.0, 32_000.0, 48_000.0, 64_000.0,
];
/// Types that are counted by name; all others are `other`.
const TYPES: [(u16, &str); 19] = [
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (12, "PTR"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (33, "SRV"),
    (35, "NAPTR"),
    (43, "DS"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (50, "NSEC3"),
    (52, "TLSA"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (255, "ANY"),
];
const OTHER: &str = "other";
const VIEW: &str = "";

/// A type in words.
pub(crate) fn type_text(kind: u16) -> String {
    let known = TYPES.iter().find(|(number, _)| *number == kind);
    match known {
        Some((_, name)) => (*name).to_owned(),
        // Asked in looking for loops alone; upstream counts it among the others.
        None if kind == HINFO => "HINFO".to_owned(),
        None => format!("TYPE{kind}"),
    }
}

/// A reply's code in words.
pub(crate) fn code_text(code: u8) -> &'static str {
    match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => OTHER,
    }
}

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
}

impl Way {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Way::Udp => "udp",
            Way::Tcp => "tcp",
        }
    }
}

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Counter>,
    responses: Family<Counter>,
    duration: Family<Histogram>,
    request_bytes: Family<Histogram>,
    response_bytes: Family<Histogram>,
    hits: Family<Counter>,
    misses: Family<Counter>,
    cache_requests: Family<Counter>,
    asked: Family<Histogram>,
    rejected: Family<Counter>,
    enabled: Family<Gauge>,
    hosts: Family<Gauge>,
    reload_failed: Family<Counter>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let registry = Registry::new();
        let counter = |name, help, labels| registry.counter(name, help, labels);
        let histogram = |name, help, labels, bounds| registry.histogram(name, help, labels, bounds);
        Metrics {
            requests: counter(
                "coredns_dns_requests_total",
                "Counter of DNS requests made per zone, protocol and family.",
                &["server", "zone", "view", "proto", "family", "type"],
            ),
            responses: counter(
                "coredns_dns_responses_total",
                "Counter of response status codes.",
                &["server", "zone", "view", "rcode", "plugin"],
            ),
            duration: histogram(
                "coredns_dns_request_duration_seconds",
                "Histogram of the time (in seconds) each request took per zone.",
                &["server", "zone", "view"],
                SECONDS,
            ),
            request_bytes: histogram(
                "coredns_dns_request_size_bytes",
                "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.",
                &["server", "zone", "view", "proto"],
                BYTES,
            ),
            response_bytes: histogram(
                "coredns_dns_response_size_bytes",
                "Size of the returned response in bytes.",
                &["server", "zone", "view", "proto"],
                BYTES,
            ),
            hits: counter("coredns_cache_hits_total", "The count of cache hits.", &["server", "type", "zones", "view"]),
            misses: counter("coredns_cache_misses_total", "The count of cache misses.", &["server", "zones", "view"]),
            cache_requests: counter(
                "coredns_cache_requests_total",
                "The count of cache requests.",
                &["server", "zones", "view"],
            ),
            asked: histogram(
                "coredns_proxy_request_duration_seconds",
                "Histogram of the time each request took.",
                &["proxy_name", "to", "rcode"],
                SECONDS,
            ),
            rejected: counter(
                "coredns_forward_max_concurrent_rejects_total",
                "Counter of the number of queries rejected because the concurrent queries were at maximum.",
                &[],
            ),
            enabled: registry.gauge(
                "coredns_plugin_enabled",
                "A metric that indicates whether a plugin is enabled on per server and zone basis.",
                &["server", "zone", "view", "name"],
            ),
            hosts: registry.gauge(
                "coredns_hosts_entries",
                "The combined number of entries in hosts and Corefile.",
                &[],
            ),
            reload_failed: counter(
                "coredns_reload_failed_total",
                "Counter of the number of failed reload attempts.",
                &[],
            ),
            registry,
        }
    }
}

impl Metrics {
    /// The text that is scraped.
    pub(crate) fn encode(&self) -> String {
        self.registry.encode()
    }

    /// A Corefile was not taken.
    pub(crate) fn reload_failed(&self) {
        self.reload_failed.with(&[]).inc();
    }

    /// How many names there are by hand.
    pub(crate) fn hosts(&self, entries: usize) {
        self.hosts.with(&[]).set(entries as f64);
    }
}

/// What is counted of one zone of one server.
#[derive(Debug)]
pub(crate) struct Counters {
    metrics: Arc<Metrics>,
    server: String,
    zone: String,
    duration: Arc<Histogram>,
    /// By protocol, family and type.
    requests: [[[OnceLock<Arc<Counter>>; TYPES.len() + 1]; 2]; 2],
    /// By code and by who answered.
    responses: [[OnceLock<Arc<Counter>>; PLUGINS.len()]; CODES],
    sizes: [OnceLock<(Arc<Histogram>, Arc<Histogram>)>; 2],
}

/// Who can answer.
pub(crate) const PLUGINS: [&str; 4] = ["", "hosts", "kubernetes", "forward"];
const CODES: usize = 16;

impl Counters {
    pub(crate) fn new(metrics: &Arc<Metrics>, server: &str, zone: &str, plugins: &[&str]) -> Counters {
        for name in plugins {
            metrics.enabled.with(&[server, zone, VIEW, name]).set(1.0);
        }
        Counters {
            duration: metrics.duration.with(&[server, zone, VIEW]),
            metrics: Arc::clone(metrics),
            server: server.to_owned(),
            zone: zone.to_owned(),
            requests: Default::default(),
            responses: Default::default(),
            sizes: Default::default(),
        }
    }

    /// A question was answered.
    pub(crate) fn answered(&self, asked: &Asked, reply: &[u8], plugin: usize, took: Duration) {
        let (server, zone, metrics) = (self.server.as_str(), self.zone.as_str(), &self.metrics);
        let proto = asked.way.text();
        let kind = TYPES.iter().position(|(number, _)| *number == asked.kind);
        let (way, family) = (usize::from(asked.way == Way::Tcp), usize::from(asked.is_ipv6));
        let counter = self.requests[way][family][kind.unwrap_or(TYPES.len())].get_or_init(|| {
            let (family, kind) = (if asked.is_ipv6 { "2" } else { "1" }, kind.map_or(OTHER, |kind| TYPES[kind].1));
            metrics.requests.with(&[server, zone, VIEW, proto, family, kind])
        });
        counter.inc();
        let code = reply.get(3).copied().unwrap_or(Code::ServerFailure as u8) & 0x0f;
        let counter = self.responses[usize::from(code)][plugin]
            .get_or_init(|| metrics.responses.with(&[server, zone, VIEW, code_text(code), PLUGINS[plugin]]));
        counter.inc();
        let (request_bytes, response_bytes) = self.sizes[way].get_or_init(|| {
            let labels = [server, zone, VIEW, proto];
            (metrics.request_bytes.with(&labels), metrics.response_bytes.with(&labels))
        });
        request_bytes.observe(asked.bytes as f64);
        response_bytes.observe(reply.len() as f64);
        self.duration.observe(took.as_secs_f64());
    }

    /// A resolver was asked, and answered.
    pub(crate) fn asked(&self, upstream: SocketAddr, answer: &[u8], took: Duration) {
        let code = code_text(answer.get(3).copied().unwrap_or_default() & 0x0f);
        self.metrics.asked.with(&["forward", &upstream.to_string(), code]).observe(took.as_secs_f64());
    }

    /// A question was refused because too many were on their way.
    pub(crate) fn rejected(&self) {
        self.metrics.rejected.with(&[]).inc();
    }

    /// The cache was asked, and knew an answer of that kind or none.
    pub(crate) fn looked_up(&self, found: Option<Kind>) {
        let labels = [self.server.as_str(), self.zone.as_str(), VIEW];
        self.metrics.cache_requests.with(&labels).inc();
        let kind = match found {
            Some(Kind::Success) => "success",
            Some(Kind::Denial) => "denial",
            None => return self.metrics.misses.with(&labels).inc(),
        };
        self.metrics.hits.with(&[labels[0], kind, labels[1], VIEW]).inc();
    }
}

/// A question, as far as it is counted and logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) way: Way,
    pub(crate) is_ipv6: bool,
    pub(crate) kind: u16,
    pub(crate) bytes: usize,
}
