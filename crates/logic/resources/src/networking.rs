//! The kinds of the group `networking.k8s.io`.

use object::{Text, Value};

use crate::promises::Promises;
use crate::tree::{default_to, each, empty, put, unset, within};

/// An IngressClass.
pub(crate) const INGRESS_CLASS: Promises = Promises {
    default: |class| {
        within(class, "spec", |spec| {
            within(spec, "parameters", |parameters| default_to(parameters, "scope", "Cluster"))
        });
    },
    check_create: crate::check::networking::ingress_class,
    check_update: crate::check::networking::ingress_class_update,
    columns: crate::print::network::INGRESS_CLASS,
    cells: crate::print::network::ingress_class,
    ..Promises::COUNTED
};

/// An Ingress.
pub(crate) const INGRESS: Promises = Promises {
    check_create: crate::check::networking::ingress,
    check_update: crate::check::networking::ingress_update,
    warn: crate::check::warnings::ingress,
    columns: crate::print::network::INGRESS,
    cells: crate::print::network::ingress,
    ..Promises::WORKLOAD.created_on_update()
};

/// An IPAddress, named by its address.
pub(crate) const IP_ADDRESS: Promises = Promises {
    name: crate::check::addresses::address_name,
    check_create: crate::check::networking::ip_address,
    check_update: crate::check::networking::ip_address_update,
    selectable: &["spec.parentRef.group", "spec.parentRef.resource", "spec.parentRef.namespace", "spec.parentRef.name"],
    select: select_parent,
    columns: crate::print::network::IP_ADDRESS,
    cells: crate::print::network::ip_address,
    ..Promises::DATA
};

/// A NetworkPolicy.
pub(crate) const NETWORK_POLICY: Promises = Promises {
    default: |policy| within(policy, "spec", default_policy),
    check_create: crate::check::networking::network_policy,
    check_update: |context, new, _| crate::check::networking::network_policy(context, new),
    warn: crate::check::warnings::network_policy,
    columns: crate::print::network::NETWORK_POLICY,
    cells: crate::print::network::network_policy,
    ..Promises::COUNTED
};

/// A ServiceCIDR.
pub(crate) const SERVICE_CIDR: Promises = Promises {
    check_create: crate::check::networking::service_cidr,
    check_update: crate::check::networking::service_cidr_update,
    columns: crate::print::network::SERVICE_CIDR,
    cells: crate::print::network::service_cidr,
    ..Promises::STATUS
};

fn default_policy(spec: &mut Value) {
    for direction in ["ingress", "egress"] {
        each(spec, direction, |rule| each(rule, "ports", |port| default_to(port, "protocol", "TCP")));
    }
    if empty(spec.get("policyTypes")) {
        let both = !unset(spec.get("egress")) && !empty(spec.get("egress"));
        let types: Vec<&str> = if both { vec!["Ingress", "Egress"] } else { vec!["Ingress"] };
        put(spec, "policyTypes", types);
    }
}

fn select_parent(address: &Value) -> Vec<(&'static str, Text)> {
    const FIELDS: [(&str, &str); 4] = [
        ("spec.parentRef.group", "group"),
        ("spec.parentRef.resource", "resource"),
        ("spec.parentRef.namespace", "namespace"),
        ("spec.parentRef.name", "name"),
    ];
    FIELDS.into_iter().map(|(name, field)| (name, crate::tree::owned(address, &["spec", "parentRef", field]))).collect()
}
