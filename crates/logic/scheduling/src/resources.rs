//! What a pod asks of a node: containers, init containers, sidecars, overhead and pod-level resources.
//!
//! Source of the rules: KEP-753 (sidecars), KEP-2837 (pod-level resources), KEP-1287 (in-place resize).

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, ResourceRequirements};
use typed::resource::Quantity;

use crate::ids::Dim;
use crate::snapshot::nodes::{Nodes, amount_of};

/// The CPU column, in thousandths of a core.
pub(crate) const CPU: Dim = Dim(0);
/// The memory column, in bytes.
pub(crate) const MEMORY: Dim = Dim(1);
/// The column of the number of pods.
pub(crate) const PODS: Dim = Dim(3);

/// CPU that scoring assumes of a container that asks for none.
const ASSUMED_MILLI_CPU: i64 = 100;
/// Memory that scoring assumes of a container that asks for none.
const ASSUMED_MEMORY_BYTES: i64 = 200 << 20;

/// A pod's resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Amounts above zero, by column, ascending.
    pub(crate) requests: Vec<(Dim, i64)>,
    /// CPU and memory with the assumed minimum per container.
    pub(crate) nonzero: [i64; 2],
}

type Amounts = BTreeMap<Dim, i64>;

impl Usage {
    /// What a pod that waits for a node asks for.
    pub(crate) fn wanted(pod: &Pod, nodes: &mut Nodes) -> Self {
        Self::of(pod, nodes, false)
    }

    /// What a pod on a node holds: while it is being resized, the larger of what it asks for and what it still has.
    pub(crate) fn held(pod: &Pod, nodes: &mut Nodes) -> Self {
        Self::of(pod, nodes, true)
    }

    fn of(pod: &Pod, nodes: &mut Nodes, held: bool) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        let real = total(pod, spec, nodes, Assume { held, minimum: false });
        let assumed = total(pod, spec, nodes, Assume { held, minimum: true });
        let nonzero = [CPU, MEMORY].map(|dim| assumed.get(&dim).copied().unwrap_or(0));
        Self { requests: real.into_iter().filter(|&(dim, amount)| amount > 0 && dim != PODS).collect(), nonzero }
    }

    /// The amount asked of one resource.
    pub(crate) fn amount(&self, dim: Dim) -> i64 {
        self.requests.iter().find(|(other, _)| *other == dim).map_or(0, |&(_, amount)| amount)
    }
}

#[derive(Clone, Copy)]
struct Assume {
    held: bool,
    minimum: bool,
}

fn total(pod: &Pod, spec: &PodSpec, nodes: &mut Nodes, assume: Assume) -> Amounts {
    let mut sum = Amounts::new();
    for container in &spec.containers {
        add(&mut sum, &container_amounts(pod, container, nodes, assume, true));
    }
    let (mut sidecars, mut peak) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let sidecar = is_sidecar(container);
        let own = container_amounts(pod, container, nodes, assume, sidecar);
        if sidecar {
            add(&mut sum, &own);
            add(&mut sidecars, &own);
            raise(&mut peak, &sidecars);
        } else {
            let mut stage = sidecars.clone();
            add(&mut stage, &own);
            raise(&mut peak, &stage);
        }
    }
    raise(&mut sum, &peak);
    let pod_level = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let supported = |name: &String| name == "cpu" || name == "memory" || name.starts_with("hugepages-");
    let named = pod_level.into_iter().flatten().filter(|(name, _)| supported(name));
    let asked: Amounts =
        named.map(|(name, amount)| (nodes.dim(name), amount)).map(|(dim, it)| (dim, amount_of(dim, it))).collect();
    let mut whole = asked.clone();
    if assume.held && !asked.is_empty() {
        let status = pod.status.as_ref();
        let actuated = status.and_then(|status| status.resources.as_ref());
        raise_held(&mut whole, pod, actuated, status.and_then(|status| status.allocated_resources.as_ref()), nodes);
    }
    // Only what the pod asks for as a whole counts as a whole; the rest of its status is a sum.
    sum.extend(asked.keys().map(|dim| (*dim, whole.get(dim).copied().unwrap_or(0))));
    add(&mut sum, &amounts(spec.overhead.as_ref(), nodes));
    sum
}

/// Whether an init container keeps running beside the others.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn container_amounts(pod: &Pod, container: &Container, nodes: &mut Nodes, assume: Assume, running: bool) -> Amounts {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let mut own = amounts(requests, nodes);
    if assume.held && running {
        effective(&mut own, pod, &container.name, nodes);
    }
    if assume.minimum {
        own.entry(CPU).or_insert(ASSUMED_MILLI_CPU);
        own.entry(MEMORY).or_insert(ASSUMED_MEMORY_BYTES);
    }
    own
}

/// Raises `own` to what the kubelet reports of the container.
fn effective(own: &mut Amounts, pod: &Pod, container: &str, nodes: &mut Nodes) {
    let Some(status) = status_of(pod, container) else { return };
    raise_held(own, pod, status.resources.as_ref(), status.allocated_resources.as_ref(), nodes);
}

/// Raises `own` to what is allocated and actuated, when that is told. An infeasible resize counts as not asked for.
fn raise_held(
    own: &mut Amounts,
    pod: &Pod,
    actuated: Option<&ResourceRequirements>,
    allocated: Option<&BTreeMap<String, Quantity>>,
    nodes: &mut Nodes,
) {
    let Some(actuated) = actuated else { return };
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let resize = conditions.find(|condition| condition.type_ == "PodResizePending");
    if resize.is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible")) {
        own.clear();
    }
    let actuated = amounts(actuated.requests.as_ref(), nodes);
    raise(own, &actuated);
    let allocated = amounts(allocated, nodes);
    raise(own, &allocated);
}

fn status_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists = [&status.container_statuses, &status.init_container_statuses];
    lists.into_iter().flatten().flatten().find(|status| status.name == container)
}

fn amounts(list: Option<&BTreeMap<String, Quantity>>, nodes: &mut Nodes) -> Amounts {
    let read = |(name, amount): (&String, &Quantity)| {
        let dim = nodes.dim(name);
        (dim, amount_of(dim, amount))
    };
    list.into_iter().flatten().map(read).collect()
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (&dim, amount) in more {
        let sum = to.entry(dim).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn raise(to: &mut Amounts, at_least: &Amounts) {
    for (&dim, &amount) in at_least {
        let value = to.entry(dim).or_default();
        *value = amount.max(*value);
    }
}

#[cfg(test)]
mod tests;
