//! What a pod is to a Service.

use std::collections::BTreeSet;
use std::sync::Arc;

use plan::{Index, Key, View, label_value, meta, reference};
use typed::api::core::v1::{Container, ObjectReference, Pod, Service, ServicePort};
use typed::intstr::IntOrString;

/// IPv4 or IPv6, the two address types of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    pub(crate) fn of(address: &str) -> Option<Self> {
        match address.parse() {
            Ok(std::net::IpAddr::V4(_)) => Some(Self::V4),
            Ok(std::net::IpAddr::V6(_)) => Some(Self::V6),
            Err(_no_address) => None,
        }
    }
}

pub(crate) fn is_headless(service: &Service) -> bool {
    cluster_ip(service) == "None"
}

pub(crate) fn cluster_ip(service: &Service) -> &str {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or_default()
}

pub(crate) fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true)
}

/// The families that a Service serves, the primary one first.
pub(crate) fn families(service: &Service) -> Vec<Family> {
    let named = service.spec.iter().flat_map(|spec| spec.ip_families.iter().flatten());
    let families: Vec<Family> =
        named.filter_map(|name| Family::ALL.into_iter().find(|family| family.as_str() == name)).collect();
    match Family::of(cluster_ip(service)) {
        _ if !families.is_empty() => families,
        Some(family) => vec![family],
        // A headless Service made before dual stack says nothing: it takes whatever its pods have.
        None => Family::ALL.to_vec(),
    }
}

/// Whether a pod has not ended and has an address.
pub(crate) fn is_candidate(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let ended = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
    !ended && !addresses(pod).is_empty()
}

/// All addresses of a pod.
pub(crate) fn addresses(pod: &Pod) -> Vec<&str> {
    let Some(status) = &pod.status else { return Vec::new() };
    let all: Vec<&str> =
        status.pod_ips.iter().flatten().map(|one| one.ip.as_str()).filter(|ip| !ip.is_empty()).collect();
    match &status.pod_ip {
        Some(only) if all.is_empty() && !only.is_empty() => vec![only],
        _ => all,
    }
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The name under which DNS knows the pod, if its subdomain is this Service.
pub(crate) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let hostname = spec.hostname.clone().filter(|name| !name.is_empty())?;
    (spec.subdomain.as_deref() == service.metadata.name.as_deref()).then_some(hostname)
}

pub(crate) fn node_name(pod: &Pod) -> Option<String> {
    pod.spec.as_ref()?.node_name.clone().filter(|node| !node.is_empty())
}

/// The reference from an endpoint to its pod: who it is, not which revision.
pub(crate) fn target_ref(pod: &Pod) -> ObjectReference {
    ObjectReference { api_version: None, resource_version: None, ..reference(pod) }
}

/// The Services to plan because a pod came, changed or went. A change that no endpoint shows wakes nobody: most status updates
/// of pods are of that sort.
#[must_use]
pub fn services_to_wake(old: Option<&Pod>, new: Option<&Pod>, services: &dyn View<Service>) -> BTreeSet<Key> {
    fn shown(pod: &Pod) -> impl PartialEq {
        let spec = pod.spec.as_ref().map(|spec| (&spec.hostname, &spec.subdomain, &spec.node_name));
        let state = (is_ready(pod), is_candidate(pod), meta::is_deleting(&pod.metadata));
        (&pod.metadata.labels, &pod.metadata.uid, spec, addresses(pod), state)
    }
    if old.map(shown) == new.map(shown) {
        return BTreeSet::new();
    }
    let pods: Vec<&Pod> = [old, new].into_iter().flatten().collect();
    let Some(pod) = pods.last() else { return BTreeSet::new() };
    let namespace = meta::namespace(&pod.metadata);
    // Whoever selects a pod selects it by a label that it has, or asks for none.
    let labels = pods.iter().flat_map(|pod| pod.metadata.labels.iter().flatten());
    let pairs: BTreeSet<(&str, &str)> = labels.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let values = pairs.into_iter().chain([("", "")]).map(|(name, value)| label_value(namespace, name, value));
    let selects = |service: &Arc<Service>| {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|wanted| pods.iter().any(|pod| plan::carries(&pod.metadata, wanted)))
    };
    let selecting = values.flat_map(|value| services.by(Index::Selected, &value)).filter(selects);
    selecting.map(|service| Key::of(service.as_ref())).collect()
}

/// The pods that a Service selects.
pub(crate) fn selected(service: &Service, pods: &dyn View<Pod>) -> Vec<Arc<Pod>> {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.map(|labels| pods.labelled(meta::namespace(&service.metadata), labels)).unwrap_or_default()
}

/// A port of a Service on one pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) number: i32,
    pub(crate) protocol: String,
    pub(crate) app_protocol: Option<String>,
}

/// The Service's ports as this pod serves them; ports whose name the pod does not know are left out.
pub(crate) fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let wanted = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let found = wanted.filter_map(|port| {
        Some(Port {
            name: port.name.clone().unwrap_or_default(),
            number: target(port, pod)?,
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            app_protocol: port.app_protocol.clone(),
        })
    });
    let mut ports: Vec<Port> = found.collect();
    ports.sort();
    ports
}

fn target(port: &ServicePort, pod: &Pod) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
    let mut all = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let protocol = port.protocol.as_deref().unwrap_or("TCP");
    let found = all.find(|one| one.name.as_ref() == Some(name) && one.protocol.as_deref().unwrap_or("TCP") == protocol);
    found.map(|one| one.container_port)
}

/// The labels of an object made for a Service, with those it must have and without those it must not inherit.
pub(crate) fn labels(service: &Service, own: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.extend(own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    labels
}

pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";

/// `namespace/name`, the value of the Service index.
pub(crate) fn index_value(service: &Service) -> String {
    format!("{}/{}", meta::namespace(&service.metadata), meta::name(&service.metadata))
}

/// The annotation by which proxies measure how long a change took to reach them.
pub(crate) const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The last change among a Service and its pods that endpoints follow: creation, or a turn of readiness.
pub(crate) fn last_change<'a>(service: &Service, pods: impl IntoIterator<Item = &'a Pod>) -> String {
    let turned = |pod: &'a Pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions.into_iter().find(|condition| condition.type_ == "Ready");
        ready.and_then(|ready| ready.last_transition_time.as_ref()).map(|at| at.0)
    };
    let last = pods.into_iter().filter_map(turned).max();
    meta::time(last.unwrap_or_default().max(meta::created(&service.metadata))).0.to_string()
}
