//! A Service and its slices, reduced to what names need.

use std::net::IpAddr;

use typed::api::core::v1::Service;
use typed::api::discovery::v1::EndpointSlice;

use crate::wire::encode_name;

/// A named port: the labels `_name` and `_protocol` without their underscores, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: Box<[u8]>,
    pub(crate) protocol: &'static [u8],
    pub(crate) number: u16,
}

/// What a Service's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Its own addresses.
    Addresses(Vec<IpAddr>),
    /// Its endpoints'.
    Endpoints,
    /// Another name.
    Alias(Vec<u8>),
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) meaning: Meaning,
    pub(crate) ports: Vec<Port>,
}

/// An endpoint of a headless Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: IpAddr,
    /// Its label under the Service's name: its hostname, or its address with dashes.
    pub(crate) label: Box<[u8]>,
    /// Whether the label is a hostname that somebody chose.
    pub(crate) named: bool,
}

/// A slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) ports: Vec<Port>,
    pub(crate) endpoints: Vec<Endpoint>,
}

/// `None` for Services without a name to serve.
pub(crate) fn entry(service: &Service) -> Option<Entry> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        let target = encode_name(spec.external_name.as_deref()?)?;
        return Some(Entry { meaning: Meaning::Alias(target), ports: Vec::new() });
    }
    let listed = spec.cluster_ips.iter().flatten();
    let texts: Vec<&String> = listed.chain(spec.cluster_ip.iter()).filter(|text| !text.is_empty()).collect();
    let headless = texts.iter().any(|text| text.as_str() == "None");
    let mut addresses: Vec<IpAddr> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let meaning = match (headless, addresses.is_empty()) {
        (true, _) => Meaning::Endpoints,
        (false, true) => return None,
        (false, false) => Meaning::Addresses(addresses),
    };
    let ports = spec.ports.iter().flatten();
    let ports = ports.filter_map(|port| read_port(port.name.as_deref(), port.protocol.as_deref(), port.port));
    Some(Entry { meaning, ports: ports.collect() })
}

/// `None` for slices of domain names.
pub(crate) fn slice(slice: &EndpointSlice) -> Option<Slice> {
    if !matches!(slice.address_type.as_str(), "IPv4" | "IPv6") {
        return None;
    }
    let mut endpoints = Vec::new();
    for endpoint in slice.endpoints.iter().flatten() {
        // Services that publish unready endpoints have them marked as ready in their slices.
        let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
        for address in endpoint.addresses.iter().filter(|_| ready) {
            let Ok(address) = address.parse::<IpAddr>() else { continue };
            let hostname = endpoint.hostname.as_deref().filter(|name| !name.is_empty());
            let label = hostname.map_or_else(|| dashed(address), str::to_ascii_lowercase);
            endpoints.push(Endpoint { address, label: label.into_bytes().into(), named: hostname.is_some() });
        }
    }
    let ports = slice.ports.iter().flatten();
    let ports = ports.filter_map(|port| read_port(port.name.as_deref(), port.protocol.as_deref(), port.port?));
    Some(Slice { ports: ports.collect(), endpoints })
}

fn dashed(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

fn read_port(name: Option<&str>, protocol: Option<&str>, number: i32) -> Option<Port> {
    let protocol: &'static [u8] = match protocol.unwrap_or("TCP") {
        "TCP" | "" => b"tcp",
        "UDP" => b"udp",
        "SCTP" => b"sctp",
        _ => return None,
    };
    let name = name.unwrap_or_default().to_ascii_lowercase().into_bytes();
    Some(Port { name: name.into(), protocol, number: u16::try_from(number).ok()? })
}
