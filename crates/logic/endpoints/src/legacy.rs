//! Endpoints: the older form, one object for each Service, of one address family.
//!
//! Rules: `kubernetes.io/docs/concepts/services-networking/service#endpoints`; at most a thousand addresses, the rest is cut
//! and the annotation `endpoints.kubernetes.io/over-capacity: truncated` says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{Action, Guard, Key, Kind, Plan, Step, Target, View, meta};
use typed::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use typed::meta::ObjectMeta;

use crate::backend::{self, Family, Port};

const ADDRESSES_MAX: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
pub(crate) const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const OURSELVES: &str = "endpoint-controller";

/// What the Endpoints controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Services.
    pub services: &'a dyn View<Service>,
    /// Pods.
    pub pods: &'a dyn View<Pod>,
    /// The Endpoints.
    pub endpoints: &'a dyn View<Endpoints>,
}

/// Ready and not ready addresses.
type Addresses = (Vec<EndpointAddress>, Vec<EndpointAddress>);

/// Plans one Service.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>) -> Plan {
    let existing = world.endpoints.get(&key.namespace, &key.name);
    let mut plan = Plan::default();
    let Some(service) = world.services.get(&key.namespace, &key.name) else {
        let ours = existing.filter(|old| meta::label(&old.metadata, MANAGED_BY) == Some(OURSELVES));
        if let Some(left) = ours.filter(|old| !meta::is_deleting(&old.metadata)) {
            let gone = Guard::Gone(Target::named(Service::RESOURCE, &key.namespace, &key.name));
            plan.then(vec![Step::of(Action::delete(left.as_ref())).guarded(gone)]);
        }
        return plan;
    };
    let Some(spec) = service.spec.as_ref().filter(|spec| spec.selector.is_some()) else { return plan };
    if spec.type_.as_deref() == Some("ExternalName") || meta::is_deleting(&service.metadata) {
        return plan;
    }
    let mine = backend::selected(&service, world.pods);
    let (subsets, truncated) = truncate(subsets(&service, &mine));
    let mut wanted = existing.as_deref().cloned().unwrap_or_else(|| Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        subsets: None,
    });
    wanted.metadata.labels = Some(backend::labels(&service, &[(MANAGED_BY, OURSELVES)]));
    wanted.subsets = (!subsets.is_empty()).then_some(subsets);
    match truncated {
        true => drop(meta::set_annotation(&mut wanted.metadata, OVER_CAPACITY, "truncated")),
        false => drop(wanted.metadata.annotations.as_mut().map(|annotations| annotations.remove(OVER_CAPACITY))),
    }
    if existing.as_deref() == Some(&wanted) {
        return plan;
    }
    let changed = backend::last_change(&service, mine.iter().map(AsRef::as_ref));
    meta::set_annotation(&mut wanted.metadata, backend::LAST_CHANGE, &changed);
    match existing {
        None => plan.then_do(Action::create(wanted)),
        Some(_) => plan.then_do(Action::update(wanted)),
    }
    plan
}

fn subsets(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let unready_too = backend::publishes_not_ready(service);
    let families = backend::families(service);
    let mut groups: BTreeMap<Vec<Port>, Addresses> = BTreeMap::new();
    for pod in pods {
        let leaving = meta::is_deleting(&pod.metadata) && !unready_too;
        if leaving || !backend::is_candidate(pod) {
            continue;
        }
        let Some(ip) = address(pod, &families) else { continue };
        let ports = backend::ports(service, pod);
        let portless = service.spec.as_ref().is_none_or(|spec| spec.ports.as_ref().is_none_or(Vec::is_empty));
        if ports.is_empty() && !(portless && backend::is_headless(service)) {
            continue;
        }
        let address = EndpointAddress {
            ip: ip.to_owned(),
            hostname: backend::hostname(pod, service),
            node_name: backend::node_name(pod),
            target_ref: Some(backend::target_ref(pod)),
        };
        let (ready, not_ready) = groups.entry(ports).or_default();
        if unready_too || backend::is_ready(pod) { ready.push(address) } else { not_ready.push(address) }
    }
    groups.into_iter().map(|(ports, addresses)| subset(&ports, addresses)).collect()
}

/// The pod's address of the Service's first family; of a Service without family, its first address.
fn address<'a>(pod: &'a Pod, families: &[Family]) -> Option<&'a str> {
    let all = backend::addresses(pod);
    match families {
        [primary] | [primary, _] => all.into_iter().find(|ip| Family::of(ip) == Some(*primary)),
        _ => all.into_iter().next(),
    }
}

fn subset(ports: &[Port], (mut ready, mut not_ready): Addresses) -> EndpointSubset {
    let by_ip = |a: &EndpointAddress, b: &EndpointAddress| a.ip.cmp(&b.ip);
    ready.sort_by(by_ip);
    not_ready.sort_by(by_ip);
    let port = |port: &Port| EndpointPort {
        name: Some(port.name.clone()).filter(|name| !name.is_empty()),
        port: port.number,
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    };
    EndpointSubset {
        addresses: (!ready.is_empty()).then_some(ready),
        not_ready_addresses: (!not_ready.is_empty()).then_some(not_ready),
        ports: (!ports.is_empty()).then(|| ports.iter().map(port).collect()),
    }
}

/// Keeps at most a thousand addresses, ready ones before others; whether anything was cut.
fn truncate(mut subsets: Vec<EndpointSubset>) -> (Vec<EndpointSubset>, bool) {
    let (mut room, mut cut) = (ADDRESSES_MAX, false);
    let mut keep = |list: &mut Option<Vec<EndpointAddress>>| {
        if let Some(addresses) = list {
            cut |= addresses.len() > room;
            addresses.truncate(room);
            room -= addresses.len();
        }
        list.take_if(|addresses| addresses.is_empty());
    };
    subsets.iter_mut().for_each(|subset| keep(&mut subset.addresses));
    subsets.iter_mut().for_each(|subset| keep(&mut subset.not_ready_addresses));
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    (subsets, cut)
}

#[cfg(test)]
mod tests;
