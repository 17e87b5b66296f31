//! The kinds of the group `networking.k8s.io`.

use kind::{Context, Problem};
use object::{Value, names};

use super::spot::{Problems, Spot};
use super::{addresses, formats, frozen, over, service};

/// What is wrong with a NetworkPolicy.
pub(crate) fn network_policy(_context: &Context<'_>, policy: &Value) -> Vec<Problem> {
    over(policy, |policy, out| {
        let spec = policy.at("spec");
        formats::label_selector(&spec.at("podSelector"), out);
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            for rule in spec.at(direction).items() {
                for port in rule.at("ports").items() {
                    policy_port(&port, out);
                }
                for peer in rule.at(peers).items() {
                    policy_peer(&peer, out);
                }
            }
        }
        let types = spec.at("policyTypes");
        if types.len() > 2 {
            types.invalid(out, "may not specify more than two policyTypes");
        }
        for kind in types.items() {
            kind.or_empty().option(out, &["Ingress", "Egress"]);
        }
    })
}

fn policy_port(port: &Spot<'_>, out: &mut Problems) {
    let (protocol, number, end) = (port.at("protocol"), port.at("port"), port.at("endPort"));
    if protocol.is_set() {
        protocol.option(out, &["TCP", "UDP", "SCTP"]);
    }
    if number.is_set() {
        formats::port(&number, out);
    }
    let Some(last) = end.int() else { return };
    let Some(first) = number.int() else {
        let what = if number.is_set() { "non-numeric" } else { "not specified" };
        end.invalid(out, format!("may not be specified when `port` is {what}"));
        return;
    };
    if last < first {
        // The value that upstream shows here is the other one.
        out.push(Problem::invalid(end.path.clone(), first, "must be greater than or equal to `port`"));
    }
    formats::port_number(&end, out);
}

fn policy_peer(peer: &Spot<'_>, out: &mut Problems) {
    let (pods, namespaces, block) = (peer.at("podSelector"), peer.at("namespaceSelector"), peer.at("ipBlock"));
    formats::label_selector(&pods, out);
    formats::label_selector(&namespaces, out);
    let selected = pods.is_set() || namespaces.is_set();
    if !selected && !block.is_set() {
        peer.required(out, "must specify a peer");
    } else if selected && block.is_set() {
        peer.forbidden(out, "may not specify both ipBlock and another peer");
    }
    if !block.is_set() {
        return;
    }
    let cidr = block.at("cidr");
    if !cidr.need(out) {
        return;
    }
    addresses::cidr(&cidr, out);
    let Some((outer, length)) = addresses::range(cidr.text()) else { return };
    for except in block.at("except").items() {
        addresses::cidr(&except, out);
        if let Some((inner, inner_length)) = addresses::range(except.text())
            && !(inner.is_ipv4() == outer.is_ipv4() && inner_length > length && same_prefix(inner, outer, length))
        {
            except.invalid(out, format!("must be a strict subset of `cidr`: {:?}", cidr.text()));
        }
    }
}

fn same_prefix(left: std::net::IpAddr, right: std::net::IpAddr, length: u8) -> bool {
    use std::net::IpAddr;
    match (left, right) {
        (IpAddr::V4(left), IpAddr::V4(right)) => {
            (u32::from(left) ^ u32::from(right)).leading_zeros() >= u32::from(length)
        }
        (IpAddr::V6(left), IpAddr::V6(right)) => {
            (u128::from(left) ^ u128::from(right)).leading_zeros() >= u32::from(length)
        }
        _ => false,
    }
}

/// What is wrong with an Ingress.
pub(crate) fn ingress(_context: &Context<'_>, ingress: &Value) -> Vec<Problem> {
    over(ingress, |ingress, out| {
        let annotated =
            ingress.value.and_then(|object| object.str_at(&["metadata", "annotations", "kubernetes.io/ingress.class"]));
        let class = ingress.at("spec.ingressClassName");
        if let (Some(annotated), true) = (annotated, class.is_set())
            && annotated != class.text()
        {
            let path = object::Path::of("annotations").key("kubernetes.io/ingress.class");
            let detail = "must match `ingressClassName` when both are specified";
            out.push(Problem::invalid(path, annotated, detail));
        }
        ingress_spec(&ingress.at("spec"), out);
    })
}

fn ingress_spec(spec: &Spot<'_>, out: &mut Problems) {
    let (rules, default) = (spec.at("rules"), spec.at("defaultBackend"));
    if rules.is_empty() && !default.is_set() {
        out.push(Problem::invalid(
            spec.path.clone(),
            Value::Null,
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    if default.is_set() {
        backend(&default, out);
    }
    for rule in rules.items() {
        let host = rule.at("host");
        if !host.text().is_empty() {
            check_host(&host, out);
        }
        let paths = rule.at("http.paths");
        if rule.at("http").is_set() && paths.is_empty() {
            paths.required(out, "");
        }
        for path in paths.items() {
            check_path(&path, out);
        }
    }
    for tls in spec.at("tls").items() {
        for host in tls.at("hosts").items() {
            check_host(&host, out);
        }
        if !tls.at("secretName").text().is_empty() {
            tls.at("secretName").subdomain(out);
        }
    }
    let class = spec.at("ingressClassName");
    if class.is_set() {
        class.subdomain(out);
    }
}

fn check_host(host: &Spot<'_>, out: &mut Problems) {
    if host.text().parse::<std::net::IpAddr>().is_ok() {
        host.invalid(out, "must be a DNS name, not an IP address");
    }
    match host.text().strip_prefix("*.") {
        Some(rest) => host.complain(out, names::dns_subdomain(rest)),
        None => host.subdomain(out),
    }
}

fn check_path(path: &Spot<'_>, out: &mut Problems) {
    let (kind, text) = (path.at("pathType"), path.at("path"));
    if !kind.is_set() {
        kind.required(out, "pathType must be specified");
        return;
    }
    match kind.text() {
        "Exact" | "Prefix" => {
            if !text.text().starts_with('/') {
                text.or_empty().invalid(out, "must be an absolute path");
            }
            for sequence in ["//", "/./", "/../", "%2f", "%2F"] {
                if text.text().contains(sequence) {
                    text.invalid(out, format!("must not contain '{sequence}'"));
                }
            }
            for suffix in ["/..", "/."] {
                if text.text().ends_with(suffix) {
                    text.invalid(out, format!("cannot end with '{suffix}'"));
                }
            }
        }
        "ImplementationSpecific" => {
            if !text.text().is_empty() && !text.text().starts_with('/') {
                text.invalid(out, "must be an absolute path");
            }
        }
        _ => kind.option(out, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    backend(&path.at("backend"), out);
}

fn backend(backend: &Spot<'_>, out: &mut Problems) {
    let (resource, service) = (backend.at("resource"), backend.at("service"));
    match (resource.is_set(), service.is_set()) {
        (true, true) => whole(backend, "cannot set both resource and service backends", out),
        (true, false) => {
            for field in ["kind", "name"] {
                resource.at(field).need(out);
            }
        }
        (false, true) => {
            let name = service.at("name");
            if name.need(out) {
                name.label(out);
            }
            let (port_name, number) = (service.at("port.name"), service.at("port.number"));
            match (!port_name.text().is_empty(), number.int().unwrap_or(0) != 0) {
                (true, true) => whole(backend, "cannot set both port name & port number", out),
                (false, false) => backend.required(out, "port name or number is required"),
                (true, false) => port_name.complain(out, formats::port_name(port_name.text())),
                (false, true) => formats::port_number(&number, out),
            }
        }
        (false, false) => whole(backend, "resource or service backend is required", out),
    }
}

/// A complaint about all of a backend, of which upstream shows nothing.
fn whole(backend: &Spot<'_>, detail: &str, out: &mut Problems) {
    out.push(Problem::invalid(backend.path.clone(), "", detail));
}

/// What is wrong with a changed Ingress.
pub(crate) fn ingress_update(context: &Context<'_>, new: &Value, _old: &Value) -> Vec<Problem> {
    match context.subresource {
        "status" => over(new, service::balancer),
        _ => over(new, |ingress, out| ingress_spec(&ingress.at("spec"), out)),
    }
}

/// What is wrong with an IngressClass.
pub(crate) fn ingress_class(_context: &Context<'_>, class: &Value) -> Vec<Problem> {
    over(class, |class, out| {
        let (controller, parameters) = (class.at("spec.controller"), class.at("spec.parameters"));
        if controller.text().len() > 250 {
            out.push(Problem::too_long(controller.path.clone(), 250));
        }
        match controller.text().split_once('/') {
            _ if controller.text().is_empty() => controller.required(out, ""),
            Some((domain, path)) if !path.is_empty() => controller.complain(out, names::dns_subdomain(domain)),
            _ => controller.invalid(out, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
        }
        if !parameters.is_set() {
            return;
        }
        for field in ["kind", "name"] {
            parameters.at(field).need(out);
        }
        let (scope, namespace) = (parameters.at("scope"), parameters.at("namespace"));
        if !scope.is_set() {
            scope.required(out, "");
        }
        scope.option(out, &["Cluster", "Namespace"]);
        if scope.text() == "Namespace" && namespace.is_empty() {
            namespace.required(out, "`parameters.scope` is set to 'Namespace'");
        } else if scope.text() == "Cluster" && namespace.is_set() {
            namespace.forbidden(out, "`parameters.scope` is set to 'Cluster'");
        }
    })
}

/// What is wrong with a changed IngressClass.
pub(crate) fn ingress_class_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Vec::new();
    frozen(new, old, &["spec.controller"], &mut out);
    out
}

/// What is wrong with an IPAddress.
pub(crate) fn ip_address(_context: &Context<'_>, address: &Value) -> Vec<Problem> {
    over(address, |address, out| {
        let parent = address.at("spec.parentRef");
        if !parent.is_set() {
            parent.required(out, "");
            return;
        }
        if !parent.at("group").text().is_empty() {
            parent.at("group").subdomain(out);
        }
        for (field, needed) in [("resource", true), ("name", true), ("namespace", false)] {
            let spot = parent.at(field);
            if spot.is_empty() && needed {
                spot.required(out, "");
            }
            spot.complain(out, names::path_segment(spot.text()));
        }
    })
}

/// What is wrong with a changed IPAddress.
pub(crate) fn ip_address_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Vec::new();
    frozen(new, old, &["spec.parentRef"], &mut out);
    out
}

/// What is wrong with a ServiceCIDR.
pub(crate) fn service_cidr(_context: &Context<'_>, range: &Value) -> Vec<Problem> {
    over(range, |range, out| {
        let ranges = range.at("spec.cidrs");
        if ranges.is_empty() {
            ranges.required(out, "at least one CIDR required");
        }
        if ranges.len() > 2 {
            ranges.invalid(out, "may only hold up to 2 values");
        }
        ranges.items().for_each(|range| addresses::cidr(&range, out));
        let families: Vec<bool> =
            ranges.texts().filter_map(addresses::range).map(|(address, _)| address.is_ipv4()).collect();
        if families.len() == 2 && families[0] == families[1] {
            ranges.invalid(
                out,
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            );
        }
    })
}

/// What is wrong with a changed ServiceCIDR: it may only get the other address family.
pub(crate) fn service_cidr_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let (now, then) = (Spot::root(new).at("spec.cidrs"), Spot::root(old).at("spec.cidrs"));
    let mut out = Problems::new();
    let grown = then.len() == 1 && now.len() == 2 && now.texts().next() == then.texts().next();
    if now.differs(&then) && !grown {
        now.invalid(&mut out, "field is immutable");
    }
    out
}
