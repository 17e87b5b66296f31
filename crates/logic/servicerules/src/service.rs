//! A Service, reduced to what the rules depend on.

use std::net::IpAddr;

use typed::api::core::v1::{Service, ServicePort};

use crate::facts::Range;

/// Which Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A transport protocol that Services carry, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Protocol(pub(crate) u8);

impl Protocol {
    pub(crate) const TCP: Self = Self(6);
    pub(crate) const UDP: Self = Self(17);
    const SCTP: Self = Self(132);

    pub(crate) fn parse(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("" | "TCP") => Some(Self::TCP),
            Some("UDP") => Some(Self::UDP),
            Some("SCTP") => Some(Self::SCTP),
            Some(_) => None,
        }
    }
}

/// Which endpoints a kind of traffic may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Those of the whole cluster.
    Cluster,
    /// Those of this node, with the client's address kept.
    Local,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) node_port: Option<u16>,
}

/// What the rules depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) cluster_ips: Vec<IpAddr>,
    pub(crate) external_ips: Vec<IpAddr>,
    pub(crate) balancer_ips: Vec<IpAddr>,
    pub(crate) source_ranges: Vec<Range>,
    pub(crate) ports: Vec<Port>,
    pub(crate) internal: Policy,
    pub(crate) external: Policy,
    /// Seconds for which a client keeps its endpoint.
    pub(crate) affinity_s: Option<u32>,
    pub(crate) health_port: Option<u16>,
}

/// The seconds that session affinity lasts unless the Service says otherwise.
const AFFINITY_S_DEFAULT: u32 = 10_800;
/// Another proxy takes care of a Service with this label.
const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// `None` for Services without an address of their own: headless, `ExternalName`, or somebody else's.
pub(crate) fn wanted(service: &Service) -> Option<Wanted> {
    let spec = service.spec.as_ref()?;
    let labelled = service.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(PROXY_NAME_LABEL));
    let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
    if labelled || kind == "ExternalName" {
        return None;
    }
    let listed = spec.cluster_ips.iter().flatten();
    let mut cluster_ips = addresses(listed);
    if cluster_ips.is_empty() {
        cluster_ips = addresses(spec.cluster_ip.iter());
    }
    if cluster_ips.is_empty() {
        return None;
    }
    let policy = |name: Option<&str>| if name == Some("Local") { Policy::Local } else { Policy::Cluster };
    let on_nodes = matches!(kind, "NodePort" | "LoadBalancer");
    let ranges = spec.load_balancer_source_ranges.iter().flatten();
    Some(Wanted {
        cluster_ips,
        external_ips: addresses(spec.external_ips.iter().flatten()),
        balancer_ips: if kind == "LoadBalancer" { balancer_ips(service) } else { Vec::new() },
        source_ranges: ranges.filter_map(|range| range.parse().ok()).collect(),
        ports: spec.ports.iter().flatten().filter_map(|port| read_port(port, on_nodes)).collect(),
        internal: policy(spec.internal_traffic_policy.as_deref()),
        external: policy(spec.external_traffic_policy.as_deref()),
        affinity_s: affinity_s(service),
        health_port: spec.health_check_node_port.and_then(positive_port),
    })
}

fn addresses<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<IpAddr> {
    texts.filter_map(|text| text.parse().ok()).collect()
}

/// The addresses of the load balancer that packets keep: with `ipMode: Proxy` the balancer puts the node's in their
/// place, and catching its own here would go around it (KEP-1860).
fn balancer_ips(service: &Service) -> Vec<IpAddr> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingresses = status.into_iter().flat_map(|balancer| balancer.ingress.iter().flatten());
    let kept = ingresses.filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"));
    addresses(kept.filter_map(|ingress| ingress.ip.as_ref()))
}

fn affinity_s(service: &Service) -> Option<u32> {
    let spec = service.spec.as_ref()?;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let client = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let seconds = client.and_then(|client| client.timeout_seconds).and_then(|seconds| u32::try_from(seconds).ok());
    Some(seconds.filter(|seconds| *seconds > 0).unwrap_or(AFFINITY_S_DEFAULT))
}

fn read_port(port: &ServicePort, on_nodes: bool) -> Option<Port> {
    Some(Port {
        name: port.name.clone().unwrap_or_default(),
        protocol: Protocol::parse(port.protocol.as_deref())?,
        port: positive_port(port.port)?,
        node_port: port.node_port.filter(|_| on_nodes).and_then(positive_port),
    })
}

pub(crate) fn positive_port(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|port| *port > 0)
}
