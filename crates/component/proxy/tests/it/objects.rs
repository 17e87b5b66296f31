//! Services and EndpointSlices for the tests.

use std::net::IpAddr;

use servicerules::{Facts, Range};
use typed::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Service, ServicePort, ServiceSpec, ServiceStatus};
use typed::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use typed::meta::ObjectMeta;

use crate::host::PORT;

pub(crate) const NODE: &str = "node-1";

pub(crate) fn facts() -> Facts {
    let ranges = ["10.1.0.0/16", "fd00:1::/32"];
    Facts {
        node_name: NODE.to_owned(),
        pod_ranges: ranges.iter().map(|range| range.parse::<Range>().unwrap()).collect(),
        ..Facts::default()
    }
}

/// A Service of port 80, TCP and UDP, in both families.
pub(crate) fn service(name: &str, cluster_ips: [&str; 2], change: impl FnOnce(&mut ServiceSpec)) -> Service {
    let port = |protocol: &str| ServicePort {
        name: Some(protocol.to_lowercase()),
        port: 80,
        protocol: Some(protocol.to_owned()),
        ..ServicePort::default()
    };
    let mut spec = ServiceSpec {
        cluster_ips: Some(cluster_ips.map(str::to_owned).to_vec()),
        ports: Some(vec![port("TCP"), port("UDP")]),
        ..ServiceSpec::default()
    };
    change(&mut spec);
    Service { metadata: metadata(name, None), spec: Some(spec), ..Service::default() }
}

pub(crate) fn node_port(spec: &mut ServiceSpec, port: i32) {
    spec.type_ = Some("NodePort".to_owned());
    for service_port in spec.ports.iter_mut().flatten() {
        service_port.node_port = Some(port);
    }
}

pub(crate) fn balanced(mut service: Service, ingress: &[&str]) -> Service {
    let ingress = ingress.iter().map(|ip| LoadBalancerIngress { ip: Some((*ip).to_owned()), ..Default::default() });
    let balancer = LoadBalancerStatus { ingress: Some(ingress.collect()) };
    service.status = Some(ServiceStatus { load_balancer: Some(balancer), ..ServiceStatus::default() });
    if let Some(spec) = &mut service.spec {
        spec.type_ = Some("LoadBalancer".to_owned());
    }
    service
}

pub(crate) enum State {
    Ready,
    Terminating,
}

/// A slice of one family; endpoints are (address, runs on this node, state).
pub(crate) fn slice(service: &str, endpoints: &[(IpAddr, bool, State)]) -> EndpointSlice {
    let ipv4 = endpoints.first().is_none_or(|(address, ..)| address.is_ipv4());
    let kind = if ipv4 { "IPv4" } else { "IPv6" };
    let port = |protocol: &str| EndpointPort {
        name: Some(protocol.to_lowercase()),
        port: Some(i32::from(PORT)),
        protocol: Some(protocol.to_owned()),
        ..EndpointPort::default()
    };
    let endpoint = |(address, here, state): &(IpAddr, bool, State)| {
        let ready = matches!(state, State::Ready);
        let conditions = EndpointConditions { ready: Some(ready), serving: Some(true), terminating: Some(!ready) };
        Endpoint {
            addresses: vec![address.to_string()],
            node_name: Some(if *here { NODE } else { "node-2" }.to_owned()),
            conditions: Some(conditions),
            ..Endpoint::default()
        }
    };
    EndpointSlice {
        address_type: kind.to_owned(),
        metadata: metadata(&format!("{service}-{kind}"), Some(service)),
        endpoints: Some(endpoints.iter().map(endpoint).collect()),
        ports: Some(vec![port("TCP"), port("UDP")]),
    }
}

fn metadata(name: &str, service: Option<&str>) -> ObjectMeta {
    let labels = service.map(|service| [("kubernetes.io/service-name".to_owned(), service.to_owned())].into());
    ObjectMeta { namespace: Some("default".to_owned()), name: Some(name.to_owned()), labels, ..ObjectMeta::default() }
}
