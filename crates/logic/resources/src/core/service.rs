//! Services.
//!
//! Not here: the allocation of addresses and node ports, and the address families that follow from it.

use kind::Context;
use object::{Text, Value};

use crate::promises::{Promises, STATUS_RESETS};
use crate::tree::{blank, carry, default_text, default_to, each, empty, owned, put, same, text, unset, within};

/// Seconds for which a client stays with its pod.
const AFFINITY_SECONDS: i64 = 10_800;

/// A Service.
pub(crate) const SERVICE: Promises = Promises {
    name: service_name,
    default,
    create: |_, service| mirror_new_addresses(service),
    update,
    check_create: crate::check::service::create,
    check_update: crate::check::service::update,
    warn: crate::check::service::warnings,
    resets: STATUS_RESETS,
    selectable: &["spec.clusterIP", "spec.type"],
    select: |service| {
        vec![
            ("spec.clusterIP", owned(service, &["spec", "clusterIP"])),
            ("spec.type", owned(service, &["spec", "type"])),
        ]
    },
    columns: crate::print::network::SERVICE,
    cells: crate::print::network::service,
    ..Promises::STATUS.created_on_update()
};

/// KEP-5311: a Service is named as a DNS label, a digit may stand first.
fn service_name(name: &str) -> Vec<String> {
    object::names::dns_label(name)
}

/// The type of a service.
pub(crate) fn type_of(service: &Value) -> &str {
    text(service, &["spec", "type"])
}

fn default(service: &mut Value) {
    within(service, "spec", default_spec);
    if type_of(service) == "LoadBalancer" {
        crate::tree::at(service, &["status", "loadBalancer"], |balancer| {
            each(balancer, "ingress", |point| {
                if !blank(point.get("ip")) {
                    default_to(point, "ipMode", "VIP");
                }
            });
        });
    }
}

fn default_spec(spec: &mut Value) {
    default_text(spec, "sessionAffinity", "None");
    match text(spec, &["sessionAffinity"]) {
        "None" => drop(spec.remove(&["sessionAffinityConfig"])),
        "ClientIP" if unset(spec.at(&["sessionAffinityConfig", "clientIP", "timeoutSeconds"])) => {
            spec.set(&["sessionAffinityConfig", "clientIP", "timeoutSeconds"], AFFINITY_SECONDS);
        }
        _ => {}
    }
    default_text(spec, "type", "ClusterIP");
    each(spec, "ports", |port| {
        default_text(port, "protocol", "TCP");
        let aimless = match port.get("targetPort") {
            None | Some(Value::Null | Value::Int(0)) => true,
            Some(Value::String(name)) => name.is_empty(),
            Some(_) => false,
        };
        if aimless {
            let number = port.int_at(&["port"]).unwrap_or(0);
            put(port, "targetPort", number);
        }
    });
    let kind = Text::from(text(spec, &["type"]));
    if externally_reachable(spec) {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// Whether traffic from outside the cluster reaches the service.
pub(crate) fn externally_reachable(spec: &Value) -> bool {
    match text(spec, &["type"]) {
        "NodePort" | "LoadBalancer" => true,
        "ClusterIP" => !empty(spec.get("externalIPs")),
        _ => false,
    }
}

fn mirror_new_addresses(service: &mut Value) {
    within(service, "spec", |spec| {
        if !blank(spec.get("clusterIP")) && empty(spec.get("clusterIPs")) {
            let address = owned(spec, &["clusterIP"]);
            put(spec, "clusterIPs", vec![address]);
        }
    });
}

/// Whether services of a type have an address of the cluster.
pub(crate) fn has_cluster_address(kind: &str) -> bool {
    matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn has_node_ports(spec: &Value) -> bool {
    match text(spec, &["type"]) {
        "NodePort" => true,
        "LoadBalancer" => spec.at(&["allocateLoadBalancerNodePorts"]).and_then(Value::as_bool).unwrap_or(true),
        _ => false,
    }
}

fn has_health_port(spec: &Value) -> bool {
    text(spec, &["type"]) == "LoadBalancer" && text(spec, &["externalTrafficPolicy"]) == "Local"
}

fn update(context: &Context<'_>, new: &mut Value, old: &Value) {
    if !context.subresource.is_empty() {
        return;
    }
    let before = old.get("spec").cloned().unwrap_or_default();
    within(new, "spec", |spec| {
        keep_allocations(spec, &before);
        mirror_changed_addresses(spec, &before);
        drop_foreign_fields(spec, &before);
    });
    if type_of(new) != "LoadBalancer" {
        new.set(&["status", "loadBalancer"], Value::map());
    }
}

/// What was allocated stays when a client leaves it out.
fn keep_allocations(spec: &mut Value, before: &Value) {
    if has_cluster_address(text(before, &["type"])) && has_cluster_address(text(spec, &["type"])) {
        if blank(spec.get("clusterIP")) {
            carry(spec, before, &["clusterIP"]);
        }
        if empty(spec.get("clusterIPs")) && same(spec, before, &["clusterIP"]) {
            carry(spec, before, &["clusterIPs"]);
        }
    }
    if has_node_ports(before) && has_node_ports(spec) {
        keep_node_ports(spec, before);
    }
    let number = spec.int_at(&["healthCheckNodePort"]).unwrap_or(0);
    if number == 0 && has_health_port(before) && has_health_port(spec) {
        carry(spec, before, &["healthCheckNodePort"]);
    }
}

fn keep_node_ports(spec: &mut Value, before: &Value) {
    let key = |port: &Value| (owned(port, &["protocol"]), port.int_at(&["port"]));
    let taken: Vec<i64> = spec.list_at(&["ports"]).iter().filter_map(|port| port.int_at(&["nodePort"])).collect();
    each(spec, "ports", |port| {
        if port.int_at(&["nodePort"]).unwrap_or(0) != 0 {
            return;
        }
        let known = before.list_at(&["ports"]).iter().find(|known| key(known) == key(port));
        let number = known.and_then(|known| known.int_at(&["nodePort"])).unwrap_or(0);
        if number != 0 && !taken.contains(&number) {
            put(port, "nodePort", number);
        }
    });
}

/// A changed `clusterIP` is a changed first of `clusterIPs`, when the client did not touch the latter.
fn mirror_changed_addresses(spec: &mut Value, before: &Value) {
    if !same(spec, before, &["clusterIPs"]) || same(spec, before, &["clusterIP"]) {
        return;
    }
    match owned(spec, &["clusterIP"]) {
        address if address.is_empty() => drop(spec.remove(&["clusterIPs"])),
        address => put(spec, "clusterIPs", vec![address]),
    }
}

/// Fields that the old type needed and the new one does not go, unless the client changed them.
fn drop_foreign_fields(spec: &mut Value, before: &Value) {
    let (kind, old_kind) = (owned(spec, &["type"]), owned(before, &["type"]));
    if has_cluster_address(&old_kind) && !has_cluster_address(&kind) {
        if same(spec, before, &["clusterIPs"]) {
            spec.remove(&["clusterIP"]);
            spec.remove(&["clusterIPs"]);
        }
        drop_unchanged(spec, before, &["ipFamilies", "ipFamilyPolicy"]);
    }
    if has_node_ports(before) && !has_node_ports(spec) && same_node_ports(spec, before) {
        each(spec, "ports", |port| drop(port.remove(&["nodePort"])));
    }
    if has_health_port(before) && !has_health_port(spec) {
        drop_unchanged(spec, before, &["healthCheckNodePort"]);
    }
    if old_kind == "LoadBalancer" && kind != "LoadBalancer" {
        drop_unchanged(spec, before, &["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if externally_reachable(before) && !externally_reachable(spec) {
        drop_unchanged(spec, before, &["externalTrafficPolicy"]);
    }
    if old_kind != "ExternalName" && kind == "ExternalName" {
        drop_unchanged(spec, before, &["internalTrafficPolicy"]);
    }
}

fn drop_unchanged(spec: &mut Value, before: &Value, keys: &[&str]) {
    for key in keys {
        if same(spec, before, &[key]) {
            spec.remove(&[key]);
        }
    }
}

fn same_node_ports(spec: &Value, before: &Value) -> bool {
    let numbers = |spec: &Value| -> Vec<i64> {
        let mut numbers: Vec<i64> =
            spec.list_at(&["ports"]).iter().filter_map(|port| port.int_at(&["nodePort"])).collect();
        numbers.sort_unstable();
        numbers
    };
    numbers(spec) == numbers(before)
}
