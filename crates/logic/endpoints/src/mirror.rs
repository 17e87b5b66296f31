//! EndpointSlices mirrored from Endpoints that somebody wrote by hand for a Service without a selector.
//!
//! Rules: `kubernetes.io/docs/concepts/services-networking/service#endpointslice-mirroring`.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{Action, Index, Key, Plan, Step, View, controller_reference, is_controlled_by, meta};
use typed::api::core::v1::{EndpointAddress, Endpoints, Service};
use typed::api::discovery::v1::{Endpoint, EndpointConditions, EndpointSlice};
use typed::meta::ObjectMeta;

use crate::backend::{Family, Port};
use crate::packing::{self, Groups, Mould};
use crate::slices::{MANAGED_BY, SERVICE_NAME};

const OURSELVES: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

/// The most addresses taken from each list of a subset.
const ADDRESSES_MAX: usize = 1000;

/// What the mirroring controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Services.
    pub services: &'a dyn View<Service>,
    /// Endpoints.
    pub endpoints: &'a dyn View<Endpoints>,
    /// The slices.
    pub slices: &'a dyn View<EndpointSlice>,
}

/// Plans the Endpoints of one name. Slices of Endpoints that are gone go with them, by the owner reference.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>) -> Plan {
    let Some(endpoints) = world.endpoints.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let Some(service) = world.services.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let ours = |slice: &Arc<EndpointSlice>| {
        meta::label(&slice.metadata, MANAGED_BY) == Some(OURSELVES)
            && is_controlled_by(&slice.metadata, meta::uid(&endpoints.metadata))
            && !meta::is_deleting(&slice.metadata)
    };
    let by_service = world.slices.by(Index::Service, &format!("{}/{}", key.namespace, key.name));
    let mut existing: BTreeMap<String, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in by_service.into_iter().filter(ours) {
        existing.entry(slice.address_type.clone()).or_default().push(slice);
    }
    let mut steps = Vec::new();
    if is_mirrored(&endpoints, &service) {
        let mould = mould(&endpoints);
        for family in Family::ALL {
            let old = existing.remove(family.as_str()).unwrap_or_default();
            steps.extend(packing::pack(&mould, family, old, groups(&endpoints, family)));
        }
    }
    steps.extend(existing.into_values().flatten().map(|slice| Step::of(Action::delete(slice.as_ref()))));
    let mut plan = Plan::default();
    plan.then(steps);
    plan
}

fn is_mirrored(endpoints: &Endpoints, service: &Service) -> bool {
    let selects = service.spec.as_ref().is_some_and(|spec| spec.selector.is_some());
    let about = &endpoints.metadata;
    !selects
        && !meta::is_deleting(about)
        && meta::label(about, SKIP) != Some("true")
        && meta::annotation(about, LEADER).is_none()
}

fn mould(endpoints: &Endpoints) -> Mould {
    let name = meta::name(&endpoints.metadata);
    let mut metadata = ObjectMeta {
        generate_name: Some(format!("{name}-")),
        namespace: endpoints.metadata.namespace.clone(),
        labels: endpoints.metadata.labels.clone(),
        annotations: endpoints.metadata.annotations.clone(),
        owner_references: Some(vec![controller_reference(endpoints)]),
        ..ObjectMeta::default()
    };
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        annotations.remove("endpoints.kubernetes.io/last-change-trigger-time");
    }
    meta::set_label(&mut metadata, SERVICE_NAME, name);
    meta::set_label(&mut metadata, MANAGED_BY, OURSELVES);
    Mould { metadata, placeholder: false }
}

fn groups(endpoints: &Endpoints, family: Family) -> Groups {
    let mut groups = Groups::new();
    for subset in endpoints.subsets.iter().flatten() {
        let port = |port: &typed::api::core::v1::EndpointPort| Port {
            name: port.name.clone().unwrap_or_default(),
            number: port.port,
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            app_protocol: port.app_protocol.clone(),
        };
        let mut ports: Vec<Port> = subset.ports.iter().flatten().map(port).collect();
        ports.sort();
        let take = |list: &Option<Vec<EndpointAddress>>, ready: bool| -> Vec<Endpoint> {
            let of_family = |address: &&EndpointAddress| Family::of(&address.ip) == Some(family);
            let all = list.iter().flatten().filter(of_family).take(ADDRESSES_MAX);
            all.map(|address| endpoint(address, ready)).collect()
        };
        let group = groups.entry(ports).or_default();
        group.extend(take(&subset.addresses, true));
        group.extend(take(&subset.not_ready_addresses, false));
    }
    groups
}

fn endpoint(address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone(),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

#[cfg(test)]
mod tests;
