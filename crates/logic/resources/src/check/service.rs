//! Services.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kind::{Context, Problem};
use object::{Path, Value, names};

use super::spot::{Problems, Spot, internal};
use super::{addresses, formats, over};

const AFFINITY_SECONDS_MAX: i64 = 86_400;

/// What is wrong with a new service.
pub(crate) fn create(_context: &Context<'_>, service: &Value) -> Vec<Problem> {
    over(service, |service, out| check(&service.at("spec"), out))
}

/// What is wrong with a changed service.
pub(crate) fn update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let before = Spot::root(old).at("spec");
    over(new, |service, out| {
        let spec = service.at("spec");
        if context.subresource == "status" {
            balancer(service, out);
            return;
        }
        let addressed = |spec: &Spot<'_>| crate::core::service::has_cluster_address(spec.at("type").text());
        let (now, then) = (spec.at("clusterIPs"), before.at("clusterIPs"));
        if addressed(&spec) && addressed(&before) {
            if let (Some(now), Some(then)) = (now.items().next(), then.items().next())
                && now.text() != then.text()
            {
                now.invalid(out, "may not change once set");
            } else if now.is_empty() && !then.is_empty() {
                out.push(Problem::invalid(now.path.index(0), now.shown(), "primary clusterIP can not be unset"));
            }
        }
        let class = spec.at("loadBalancerClass");
        if spec.at("type").text() == "LoadBalancer"
            && before.at("type").text() == "LoadBalancer"
            && class.differs(&before.at("loadBalancerClass"))
        {
            class.invalid(out, "may not change once set");
        }
        check(&spec, out);
    })
}

fn check(spec: &Spot<'_>, out: &mut Problems) {
    let kind = spec.at("type").text();
    let addresses_of = spec.at("clusterIPs");
    let headless = addresses_of.texts().next() == Some("None");
    let ports = spec.at("ports");
    if ports.is_empty() && !headless && kind != "ExternalName" {
        ports.required(out, "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let detail = format!("may not be set to 'None' for {kind} services");
            out.push(Problem::invalid(addresses_of.path.index(0), "None", detail));
        }
        "ExternalName" => external_name(spec, out),
        _ => {}
    }
    let several = ports.len() > 1;
    let mut names = BTreeSet::new();
    for port in ports.items() {
        let name = port.at("name");
        if several && name.text().is_empty() {
            name.required(out, "");
        } else if !name.text().is_empty() {
            name.label(out);
            if !names.insert(name.text()) {
                name.duplicate(out);
            }
        }
        formats::port_number(&port.at("port"), out);
        port.at("protocol").choice(out, &["SCTP", "TCP", "UDP"]);
        formats::port(&port.at("targetPort"), out);
        if port.at("appProtocol").is_set() {
            port.at("appProtocol").qualified(out);
        }
    }
    formats::labels(&spec.at("selector"), out);
    affinity(spec, out);
    cluster_addresses(spec, headless, out);
    for address in spec.at("externalIPs").items() {
        let before = out.len();
        addresses::address(&address, out);
        if out.len() == before {
            addresses::ordinary_address(&address, out);
        }
    }
    spec.at("type").choice(out, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    distinct_ports(&ports, kind, out);
    balancing(spec, kind, out);
    traffic(spec, kind, out);
}

fn external_name(spec: &Spot<'_>, out: &mut Problems) {
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if !spec.at(field).is_empty() {
            spec.at(field).forbidden(out, "may not be set for ExternalName services");
        }
    }
    let name = spec.at("externalName");
    match name.text().strip_suffix('.').unwrap_or_else(|| name.text()) {
        "" => name.required(out, ""),
        text => {
            for complaint in names::dns_subdomain(text) {
                out.push(Problem::invalid(name.path.clone(), text, complaint));
            }
        }
    }
}

fn affinity(spec: &Spot<'_>, out: &mut Problems) {
    let config = spec.at("sessionAffinityConfig");
    spec.at("sessionAffinity").choice(out, &["ClientIP", "None"]);
    match spec.at("sessionAffinity").text() {
        "ClientIP" => {
            let seconds = config.at("clientIP.timeoutSeconds");
            match seconds.int() {
                None => seconds.required(out, "when session affinity type is ClientIP"),
                Some(number) if !(1..=AFFINITY_SECONDS_MAX).contains(&number) => {
                    seconds.invalid(out, format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}"));
                }
                Some(_) => {}
            }
        }
        "None" if config.is_set() => config.forbidden(out, "must not be set when session affinity is None"),
        _ => {}
    }
}

fn cluster_addresses(spec: &Spot<'_>, headless: bool, out: &mut Problems) {
    let (one, many) = (spec.at("clusterIP"), spec.at("clusterIPs"));
    let first = many.texts().next().unwrap_or_default();
    if !one.text().is_empty() && many.is_empty() {
        many.required(out, "");
    } else if one.text() != first {
        one.or_empty().invalid(out, "must be the same as the first element of clusterIPs");
    }
    if many.len() > 2 {
        many.invalid(out, "may only hold up to 2 values");
    }
    let mut families = Vec::new();
    for address in many.items() {
        match address.text() {
            "None" if many.len() > 1 => address.invalid(out, "must not contain more than one value when set to 'None'"),
            "None" => {}
            "" => address.required(out, ""),
            _ => addresses::address(&address, out),
        }
        families.extend(address.text().parse::<IpAddr>().ok().map(|address| address.is_ipv4()));
    }
    if families.len() == 2 && families[0] == families[1] && !headless {
        many.invalid(out, "may specify no more than one IP for each IP family");
    }
    let mut seen = BTreeSet::new();
    for family in spec.at("ipFamilies").items() {
        family.option(out, &["IPv4", "IPv6"]);
        if !seen.insert(family.text()) {
            family.duplicate(out);
        }
    }
    spec.at("ipFamilyPolicy").option(out, &["PreferDualStack", "RequireDualStack", "SingleStack"]);
}

fn distinct_ports(ports: &Spot<'_>, kind: &str, out: &mut Problems) {
    let (mut nodes, mut own) = (BTreeSet::new(), BTreeSet::new());
    for port in ports.items() {
        let (node, protocol) = (port.at("nodePort"), port.at("protocol").text());
        let number = node.int().unwrap_or(0);
        if number != 0 && kind == "ClusterIP" {
            node.forbidden(out, "may not be used when `type` is 'ClusterIP'");
        }
        if number != 0 && !nodes.insert((protocol, number)) {
            node.duplicate(out);
        }
        let key = port.at("port").int().unwrap_or(0);
        if !own.insert((protocol, key)) {
            // Upstream shows the part of a port that it compares, by the names of its own fields.
            let shown = internal(&[
                ("Name", Value::from("")),
                ("Protocol", Value::from(protocol)),
                ("AppProtocol", Value::Null),
                ("Port", Value::from(key)),
                ("TargetPort", Value::from(0)),
                ("NodePort", Value::from(0)),
            ]);
            out.push(Problem::duplicate(port.path.clone(), shown));
        }
    }
}

fn balancing(spec: &Spot<'_>, kind: &str, out: &mut Problems) {
    let balanced = kind == "LoadBalancer";
    let ranges = spec.at("loadBalancerSourceRanges").moved(spec.path.field("LoadBalancerSourceRanges"));
    if !ranges.is_empty() && !balanced {
        ranges.forbidden(out, "may only be used when `type` is 'LoadBalancer'");
    }
    ranges.items().for_each(|range| addresses::cidr(&range, out));
    let allocate = spec.at("allocateLoadBalancerNodePorts");
    if allocate.is_set() && !balanced {
        allocate.forbidden(out, "may only be used when `type` is 'LoadBalancer'");
    } else if !allocate.is_set() && balanced {
        out.push(Problem::required(Path::of("allocateLoadBalancerNodePorts"), ""));
    }
    let class = spec.at("loadBalancerClass");
    if class.is_set() && !balanced {
        class.forbidden(out, "may only be used when `type` is 'LoadBalancer'");
    } else if class.is_set() {
        class.qualified(out);
    }
}

fn traffic(spec: &Spot<'_>, kind: &str, out: &mut Problems) {
    let (external, internal) = (spec.at("externalTrafficPolicy"), spec.at("internalTrafficPolicy"));
    let health = spec.at("healthCheckNodePort");
    let reachable = spec.value.is_some_and(crate::core::service::externally_reachable);
    if reachable {
        external.choice(out, &["Cluster", "Local"]);
    } else if !external.is_empty() {
        let detail = "may only be set for externally-accessible services";
        out.push(Problem::invalid(external.path.clone(), external.text(), detail));
    }
    let number = health.int().unwrap_or(0);
    let checked = kind == "LoadBalancer" && external.text() == "Local";
    if checked && number != 0 {
        formats::port_number(&health, out);
    } else if number != 0 {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        health.invalid(out, detail);
    }
    if matches!(kind, "NodePort" | "LoadBalancer" | "ClusterIP") && !internal.is_set() {
        internal.required(out, "");
    }
    internal.option(out, &["Cluster", "Local"]);
    let distribution = spec.at("trafficDistribution");
    distribution.option(out, &["PreferClose", "PreferSameNode", "PreferSameZone"]);
}

/// What is wrong with what a load balancer reports.
pub(crate) fn balancer(object: &Spot<'_>, out: &mut Problems) {
    for point in object.at("status.loadBalancer.ingress").items() {
        let (ip, mode, host) = (point.at("ip"), point.at("ipMode"), point.at("hostname"));
        if !ip.text().is_empty() {
            addresses::address(&ip, out);
        }
        if mode.is_set() && ip.text().is_empty() {
            mode.forbidden(out, "may not be specified when `ip` is not set");
        } else {
            mode.option(out, &["Proxy", "VIP"]);
        }
        if !host.text().is_empty() {
            host.subdomain(out);
            if host.text().parse::<IpAddr>().is_ok() {
                host.invalid(out, "must be a DNS name, not an IP address");
            }
        }
    }
}

/// What clients should know about services that are accepted.
pub(crate) fn warnings(_context: &Context<'_>, service: &Value, _old: Option<&Value>) -> Vec<String> {
    let spec = Spot::root(service).at("spec");
    let mut warnings = Vec::new();
    let hints = "service.kubernetes.io/topology-aware-hints";
    if service.at(&["metadata", "annotations", hints]).is_some() {
        let newer = "service.kubernetes.io/topology-mode";
        warnings.push(format!("annotation {hints} is deprecated, please use {newer} instead"));
    }
    let (kind, external) = (spec.at("type").text(), !spec.at("externalIPs").is_empty());
    let headless = kind == "ClusterIP" && spec.at("clusterIP").text() == "None";
    spec.at("clusterIPs").items().for_each(|address| addresses::odd_address(&address, &mut warnings));
    for (is_set, field) in [
        (!spec.at("loadBalancerIP").text().is_empty(), "loadBalancerIP"),
        (external, "externalIPs"),
        (spec.at("sessionAffinity").text() != "None", "SessionAffinity"),
    ] {
        if headless && is_set {
            warnings.push(format!("spec.{field} is ignored for headless services"));
        }
    }
    spec.at("externalIPs").items().for_each(|address| addresses::odd_address(&address, &mut warnings));
    if external && !headless && kind != "ExternalName" {
        warnings.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    addresses::odd_address(&spec.at("loadBalancerIP"), &mut warnings);
    spec.at("loadBalancerSourceRanges").items().for_each(|range| addresses::odd_cidr(&range, &mut warnings));
    if external && kind == "ExternalName" {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if kind != "ExternalName" && !spec.at("externalName").text().is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if spec.at("trafficDistribution").text() == "PreferClose" {
        warnings.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned());
    }
    warnings
}
