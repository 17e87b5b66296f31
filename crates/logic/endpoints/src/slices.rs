//! EndpointSlices of Services with a selector.
//!
//! Rules: `kubernetes.io/docs/concepts/services-networking/endpoint-slices`; KEP-752, KEP-1672 (terminating endpoints),
//! KEP-4444 (traffic distribution).

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{Index, Key, Plan, View, controller_reference, meta};
use typed::api::core::v1::{Node, Pod, Service};
use typed::api::discovery::v1::{Endpoint, EndpointConditions, EndpointHints, EndpointSlice, ForNode, ForZone};
use typed::meta::ObjectMeta;

use crate::backend::{self, Family};
use crate::packing::{self, Groups, Mould};

pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
const OURSELVES: &str = "endpointslice-controller.k8s.io";
const ZONE: &str = "topology.kubernetes.io/zone";

/// What the EndpointSlice controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Services.
    pub services: &'a dyn View<Service>,
    /// Pods.
    pub pods: &'a dyn View<Pod>,
    /// Nodes, for zones.
    pub nodes: &'a dyn View<Node>,
    /// The slices.
    pub slices: &'a dyn View<EndpointSlice>,
}

/// Plans one Service. A Service that is gone is the garbage collector's business, by the owner reference.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>) -> Plan {
    let Some(service) = world.services.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let Some(spec) = &service.spec else { return Plan::nothing() };
    if spec.selector.is_none() || spec.type_.as_deref() == Some("ExternalName") || meta::is_deleting(&service.metadata)
    {
        return Plan::nothing();
    }
    let mut pods = backend::selected(&service, world.pods);
    pods.retain(|pod| backend::is_candidate(pod));
    let mut mould = mould(&service);
    let changed = backend::last_change(&service, pods.iter().map(AsRef::as_ref));
    meta::set_annotation(&mut mould.metadata, backend::LAST_CHANGE, &changed);
    let mut existing: BTreeMap<&str, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    let slices = world.slices.by(Index::Service, &backend::index_value(&service));
    for slice in slices.iter().filter(|slice| is_ours(slice)) {
        existing.entry(slice.address_type.as_str()).or_default().push(slice.clone());
    }
    let mut steps = Vec::new();
    for family in backend::families(&service) {
        let mut groups = Groups::new();
        for pod in &pods {
            if let Some(endpoint) = endpoint(pod, &service, family, world.nodes) {
                groups.entry(backend::ports(&service, pod)).or_default().push(endpoint);
            }
        }
        steps.extend(packing::pack(&mould, family, existing.remove(family.as_str()).unwrap_or_default(), groups));
    }
    steps.extend(existing.into_values().flatten().map(|slice| plan::Step::of(plan::Action::delete(slice.as_ref()))));
    let mut plan = Plan::default();
    plan.then(steps);
    plan
}

fn is_ours(slice: &EndpointSlice) -> bool {
    meta::label(&slice.metadata, MANAGED_BY) == Some(OURSELVES) && !meta::is_deleting(&slice.metadata)
}

fn mould(service: &Service) -> Mould {
    let name = meta::name(&service.metadata);
    let metadata = ObjectMeta {
        generate_name: Some(format!("{name}-")),
        namespace: service.metadata.namespace.clone(),
        labels: Some(backend::labels(service, &[(SERVICE_NAME, name), (MANAGED_BY, OURSELVES)])),
        owner_references: Some(vec![controller_reference(service)]),
        ..ObjectMeta::default()
    };
    Mould { metadata, placeholder: true }
}

fn endpoint(pod: &Pod, service: &Service, family: Family, nodes: &dyn View<Node>) -> Option<Endpoint> {
    let of_family = backend::addresses(pod).into_iter().filter(|address| Family::of(address) == Some(family));
    let addresses: Vec<String> = of_family.map(str::to_owned).collect();
    if addresses.is_empty() {
        return None;
    }
    let (serving, terminating) = (backend::is_ready(pod), meta::is_deleting(&pod.metadata));
    let ready = backend::publishes_not_ready(service) || (serving && !terminating);
    let node_name = backend::node_name(pod);
    let node = node_name.as_ref().and_then(|name| nodes.get("", name));
    let zone = node.as_ref().and_then(|node| meta::label(&node.metadata, ZONE)).map(str::to_owned);
    Some(Endpoint {
        addresses,
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        deprecated_topology: None,
        hints: hints(service, ready, zone.as_deref(), node_name.as_deref()),
        hostname: backend::hostname(pod, service),
        node_name,
        target_ref: Some(backend::target_ref(pod)),
        zone,
    })
}

/// Which zones and nodes should use a ready endpoint, for Services that prefer near ones.
fn hints(service: &Service, ready: bool, zone: Option<&str>, node: Option<&str>) -> Option<EndpointHints> {
    let zones = || zone.map(|name| vec![ForZone { name: name.to_owned() }]);
    let nodes = || node.map(|name| vec![ForNode { name: name.to_owned() }]);
    if !ready {
        return None;
    }
    let hints = match service.spec.as_ref()?.traffic_distribution.as_deref()? {
        "PreferClose" | "PreferSameZone" => EndpointHints { for_zones: zones(), for_nodes: None },
        "PreferSameNode" => EndpointHints { for_zones: zones(), for_nodes: nodes() },
        _ => return None,
    };
    (hints != EndpointHints::default()).then_some(hints)
}

#[cfg(test)]
pub(crate) mod tests;
