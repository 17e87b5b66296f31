//! Tables of the kinds that concern the network.

use kind::{AGE, Cell, Column, NAME};
use object::Value;

use super::{NONE, SELECTOR, UNKNOWN, UNSET, column, first_of, labels, name, number, selector_or_none, text_or};
use crate::tree::{empty, text, texts, unset};

/// Endpoints, hosts and ports that are shown; of more, only how many.
const SHOWN_MAX: usize = 3;

pub(crate) const SERVICE: &[Column] = &[
    NAME,
    column("Type", "string", "How the service can be reached."),
    column("Cluster-IP", "string", "Its address inside the cluster."),
    column("External-IP", "string", "Its addresses outside the cluster."),
    column("Port(s)", "string", "Its ports, with their node ports."),
    AGE,
    SELECTOR,
];

pub(crate) fn service(service: &Value) -> Vec<Cell> {
    let first = texts(service, &["spec", "clusterIPs"]).next();
    let address = first.unwrap_or_else(|| text(service, &["spec", "clusterIP"]));
    vec![
        name(service),
        Cell::from(text(service, &["spec", "type"])),
        Cell::from(if address.is_empty() { NONE } else { address }),
        Cell::from(external_addresses(service)),
        Cell::from(ports(service)),
        kind::age(service),
        Cell::from(labels(service.at(&["spec", "selector"]).and_then(Value::as_map))),
    ]
}

fn external_addresses(service: &Value) -> String {
    let own: Vec<&str> = texts(service, &["spec", "externalIPs"]).collect();
    match text(service, &["spec", "type"]) {
        "ClusterIP" | "NodePort" if own.is_empty() => NONE.to_owned(),
        "ClusterIP" | "NodePort" => own.join(","),
        "LoadBalancer" => {
            let mut found = balanced_addresses(service);
            found.extend(own.iter().map(|address| (*address).to_owned()));
            if found.is_empty() { "<pending>".to_owned() } else { found.join(",") }
        }
        "ExternalName" => text(service, &["spec", "externalName"]).to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

/// Addresses at which load balancers answer, sorted.
fn balanced_addresses(object: &Value) -> Vec<String> {
    let points = object.list_at(&["status", "loadBalancer", "ingress"]).iter();
    let mut found: Vec<String> = points
        .map(|point| match text(point, &["ip"]) {
            "" => text(point, &["hostname"]),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn ports(service: &Value) -> String {
    let ports = service.list_at(&["spec", "ports"]).iter();
    let shown: Vec<String> = ports
        .map(|port| {
            let (number, protocol) = (number(port, &["port"]), text(port, &["protocol"]));
            match port.int_at(&["nodePort"]).unwrap_or(0) {
                0 => format!("{number}/{protocol}"),
                node => format!("{number}:{node}/{protocol}"),
            }
        })
        .collect();
    if shown.is_empty() { NONE.to_owned() } else { shown.join(",") }
}

pub(crate) const INGRESS: &[Column] = &[
    NAME,
    column("Class", "string", "Who implements the ingress."),
    column("Hosts", "string", "Hosts that it answers for."),
    column("Address", "string", "Addresses at which it answers."),
    column("Ports", "string", "Ports at which it answers."),
    AGE,
];

pub(crate) fn ingress(ingress: &Value) -> Vec<Cell> {
    let rules = ingress.list_at(&["spec", "rules"]).iter();
    let hosts: Vec<String> =
        rules.map(|rule| text(rule, &["host"])).filter(|host| !host.is_empty()).map(str::to_owned).collect();
    let encrypted = !empty(ingress.at(&["spec", "tls"]));
    vec![
        name(ingress),
        text_or(ingress, &["spec", "ingressClassName"], NONE),
        Cell::from(if hosts.is_empty() { "*".to_owned() } else { first_of(&hosts, SHOWN_MAX) }),
        Cell::from(balanced_addresses(ingress).join(",")),
        Cell::from(if encrypted { "80, 443" } else { "80" }),
        kind::age(ingress),
    ]
}

pub(crate) const INGRESS_CLASS: &[Column] = &[
    NAME,
    column("Controller", "string", "Who implements ingresses of the class."),
    column("Parameters", "string", "The object with the class's parameters."),
    AGE,
];

pub(crate) fn ingress_class(class: &Value) -> Vec<Cell> {
    let field = |name: &str| text(class, &["spec", "parameters", name]);
    let parameters = match (field("kind"), field("apiGroup"), field("name")) {
        _ if unset(class.at(&["spec", "parameters"])) => NONE.to_owned(),
        (kind, "", name) => format!("{kind}/{name}"),
        (kind, group, name) => format!("{kind}.{group}/{name}"),
    };
    let controller = Cell::from(text(class, &["spec", "controller"]));
    vec![name(class), controller, Cell::from(parameters), kind::age(class)]
}

pub(crate) const NETWORK_POLICY: &[Column] =
    &[NAME, column("Pod-Selector", "string", "Labels of the pods that the policy is for."), AGE];

pub(crate) fn network_policy(policy: &Value) -> Vec<Cell> {
    vec![name(policy), selector_or_none(policy.at(&["spec", "podSelector"])), kind::age(policy)]
}

pub(crate) const SERVICE_CIDR: &[Column] =
    &[NAME, column("CIDRs", "string", "Ranges from which addresses are given."), AGE];

pub(crate) fn service_cidr(range: &Value) -> Vec<Cell> {
    let ranges: Vec<&str> = texts(range, &["spec", "cidrs"]).collect();
    vec![name(range), Cell::from(ranges.join(",")), kind::age(range)]
}

pub(crate) const IP_ADDRESS: &[Column] =
    &[NAME, column("ParentRef", "string", "The object that the address was given to.")];

pub(crate) fn ip_address(address: &Value) -> Vec<Cell> {
    let field = |name: &str| text(address, &["spec", "parentRef", name]);
    let group = if field("group").is_empty() { String::new() } else { format!(".{}", field("group")) };
    let namespace = if field("namespace").is_empty() { String::new() } else { format!("/{}", field("namespace")) };
    let parent = match unset(address.at(&["spec", "parentRef"])) {
        true => NONE.to_owned(),
        false => format!("{}{}{namespace}/{}", field("resource"), group.to_lowercase(), field("name")),
    };
    vec![name(address), Cell::from(parent)]
}

pub(crate) const ENDPOINTS: &[Column] =
    &[NAME, column("Endpoints", "string", "Addresses and ports that take traffic."), AGE];

pub(crate) fn endpoints(endpoints: &Value) -> Vec<Cell> {
    let mut found = Vec::new();
    for subset in endpoints.list_at(&["subsets"]) {
        let addresses = || subset.list_at(&["addresses"]).iter().map(|address| text(address, &["ip"]));
        let ports = subset.list_at(&["ports"]);
        if ports.is_empty() {
            found.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            found.extend(addresses().map(|address| joined(address, number(port, &["port"]))));
        }
    }
    let none = endpoints.list_at(&["subsets"]).is_empty();
    let shown = if none { NONE.to_owned() } else { first_of(&found, SHOWN_MAX) };
    vec![name(endpoints), Cell::from(shown), kind::age(endpoints)]
}

fn joined(address: &str, port: i64) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

pub(crate) const ENDPOINT_SLICE: &[Column] = &[
    NAME,
    column("AddressType", "string", "What its addresses are."),
    column("Ports", "string", "Ports of all its endpoints."),
    column("Endpoints", "string", "Addresses of its endpoints."),
    AGE,
];

pub(crate) fn endpoint_slice(slice: &Value) -> Vec<Cell> {
    let ports: Vec<String> = slice
        .list_at(&["ports"])
        .iter()
        .map(|port| match (port.int_at(&["port"]), text(port, &["name"])) {
            (Some(number), _) => number.to_string(),
            (None, "") => "*".to_owned(),
            (None, name) => name.to_owned(),
        })
        .collect();
    let endpoints = slice.list_at(&["endpoints"]).iter();
    let addresses: Vec<String> =
        endpoints.flat_map(|endpoint| texts(endpoint, &["addresses"])).map(str::to_owned).collect();
    let shown = |items: &[String]| if items.is_empty() { UNSET.to_owned() } else { first_of(items, SHOWN_MAX) };
    vec![
        name(slice),
        Cell::from(text(slice, &["addressType"])),
        Cell::from(shown(&ports)),
        Cell::from(shown(&addresses)),
        kind::age(slice),
    ]
}
