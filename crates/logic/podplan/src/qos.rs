//! Quality of service: Guaranteed, Burstable, BestEffort; and who dies first when memory is short.

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, Pod};
use typed::resource::Quantity;

use crate::plan::Role;
use crate::{quantity, spec};

/// A pod's quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Neither requests nor limits.
    BestEffort,
    /// Something in between.
    Burstable,
    /// Every container has limits for CPU and memory equal to its requests.
    Guaranteed,
}

impl Class {
    /// As in `status.qosClass`.
    pub fn text(self) -> &'static str {
        match self {
            Class::BestEffort => "BestEffort",
            Class::Burstable => "Burstable",
            Class::Guaranteed => "Guaranteed",
        }
    }
}

type Amounts = BTreeMap<String, Quantity>;

/// The class of a pod. Resources of the pod as a whole, where given, decide instead of those of its containers.
pub fn class(pod: &Pod) -> Class {
    let Some(pod_spec) = &pod.spec else { return Class::BestEffort };
    let whole = pod_spec.resources.as_ref().filter(|whole| whole.requests.is_some() || whole.limits.is_some());
    let parts: Vec<(Amounts, Amounts)> = match whole {
        Some(whole) => vec![(whole.requests.clone().unwrap_or_default(), whole.limits.clone().unwrap_or_default())],
        None => spec::containers(pod)
            .iter()
            .filter(|(role, _)| *role != Role::Ephemeral)
            .map(|(_, container)| amounts(container))
            .collect(),
    };
    let set = |amounts: &Amounts, name: &str| amounts.get(name).and_then(quantity::milli).filter(|amount| *amount != 0);
    let names = ["cpu", "memory"];
    let any = parts.iter().any(|(requests, limits)| {
        names.iter().any(|name| set(requests, name).is_some() || set(limits, name).is_some())
    });
    if !any {
        return Class::BestEffort;
    }
    let all = parts.iter().all(|(requests, limits)| {
        names.iter().all(|name| {
            let limit = set(limits, name);
            limit.is_some() && (set(requests, name).is_none() || set(requests, name) == limit)
        })
    });
    if all { Class::Guaranteed } else { Class::Burstable }
}

fn amounts(container: &Container) -> (Amounts, Amounts) {
    let resources = container.resources.clone().unwrap_or_default();
    (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default())
}

/// Priority from which on a pod is critical to its node (`system-node-critical`).
const PRIORITY_NODE_CRITICAL: i32 = 2_000_001_000;

/// The `oom_score_adj` of a container, on a node with `memory_bytes` of memory.
///
/// A burstable container is the safer the larger the share of the node's memory that it asks for (3 to 999). A sidecar
/// is never killed before the containers that it serves.
pub fn oom_score_adj(pod: &Pod, role: Role, container: &Container, memory_bytes: u64) -> i64 {
    let priority = pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default();
    if priority >= PRIORITY_NODE_CRITICAL {
        return -997;
    }
    match class(pod) {
        Class::Guaranteed => -997,
        Class::BestEffort => 1000,
        Class::Burstable => {
            let mut request = request_bytes(container) + pod_level_share(pod);
            if role == Role::Sidecar {
                let least = pod.spec.as_ref().and_then(|spec| spec.containers.iter().map(request_bytes).min());
                request = request.max(least.unwrap_or_default() + pod_level_share(pod));
            }
            let share = 1000 * i128::from(request) / i128::from(memory_bytes.max(1));
            i64::try_from(1000 - share).unwrap_or(3).clamp(3, 999)
        }
    }
}

/// What the pod asks for as a whole beyond its containers, per container.
fn pod_level_share(pod: &Pod) -> i64 {
    let Some(pod_spec) = &pod.spec else { return 0 };
    let Some(requests) = pod_spec.resources.as_ref().and_then(|whole| whole.requests.as_ref()) else { return 0 };
    let Some(whole) = requests.get("memory").and_then(quantity::value) else { return 0 };
    let parts: i64 = pod_spec.containers.iter().map(request_bytes).sum();
    let sidecars: i64 = spec::inits(pod_spec).iter().filter(|it| spec::is_sidecar(it)).map(request_bytes).sum();
    let count = i64::try_from(pod_spec.containers.len()).unwrap_or(1).max(1);
    (whole - parts - sidecars).max(0) / count
}

fn request_bytes(container: &Container) -> i64 {
    let (requests, limits) = amounts(container);
    requests.get("memory").or_else(|| limits.get("memory")).and_then(quantity::value).unwrap_or_default()
}
