//! Node pressure: when it begins, and whom it costs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use object::quantity::Format;
use typed::api::core::v1::Pod;

use crate::qos::{self, Class};
use crate::{quantity, resources};

/// What can run short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// `memory.available`.
    Memory,
    /// `nodefs.available`.
    NodeBytes,
    /// `nodefs.inodesFree`.
    NodeInodes,
    /// `imagefs.available`.
    ImageBytes,
    /// `imagefs.inodesFree`.
    ImageInodes,
    /// `pid.available`.
    Pids,
}

impl Signal {
    /// The node condition that it raises.
    pub fn condition(self) -> &'static str {
        match self {
            Signal::Memory => "MemoryPressure",
            Signal::Pids => "PIDPressure",
            Signal::NodeBytes | Signal::NodeInodes | Signal::ImageBytes | Signal::ImageInodes => "DiskPressure",
        }
    }

    /// The resource, as messages name it.
    pub fn resource(self) -> &'static str {
        match self {
            Signal::Memory => "memory",
            Signal::NodeBytes | Signal::ImageBytes => "ephemeral-storage",
            Signal::NodeInodes | Signal::ImageInodes => "inodes",
            Signal::Pids => "pids",
        }
    }

    /// Whether it is about bytes or inodes of a disk.
    pub fn is_of_disk(self) -> bool {
        self.condition() == "DiskPressure"
    }

    /// Whether throwing away dead containers and unused images may help; `apart`: images have a disk of their own.
    pub fn is_relieved_by_garbage(self, apart: bool) -> bool {
        match self {
            Signal::ImageBytes | Signal::ImageInodes => true,
            Signal::NodeBytes | Signal::NodeInodes => !apart,
            Signal::Memory | Signal::Pids => false,
        }
    }

    /// Its name, as settings and metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Memory => "memory.available",
            Signal::NodeBytes => "nodefs.available",
            Signal::NodeInodes => "nodefs.inodesFree",
            Signal::ImageBytes => "imagefs.available",
            Signal::ImageInodes => "imagefs.inodesFree",
            Signal::Pids => "pid.available",
        }
    }

    /// By name: `memory.available`.
    pub fn parse(name: &str) -> Option<Signal> {
        Some(match name {
            "memory.available" => Signal::Memory,
            "nodefs.available" => Signal::NodeBytes,
            "nodefs.inodesFree" => Signal::NodeInodes,
            "imagefs.available" => Signal::ImageBytes,
            "imagefs.inodesFree" => Signal::ImageInodes,
            "pid.available" => Signal::Pids,
            _ => return None,
        })
    }
}

/// A bound below which pods are evicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// So many bytes, inodes or processes.
    Amount(u64),
    /// Such a share of the capacity.
    Share(f64),
}

impl Bound {
    /// The bound in the signal's unit, `capacity` being what there is.
    pub fn amount(self, capacity: u64) -> u64 {
        match self {
            Bound::Amount(amount) => amount,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u64 fits one")]
            Bound::Share(share) => (capacity as f64 * share.clamp(0.0, 1.0)) as u64,
        }
    }
}

/// A threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Of what.
    pub signal: Signal,
    /// The bound.
    pub bound: Bound,
    /// How long it must last; zero for hard thresholds.
    pub grace: SignedDuration,
}

/// The hard thresholds of a node that configures none.
pub const HARD_DEFAULTS: [Threshold; 5] = [
    hard(Signal::Memory, Bound::Amount(100 << 20)),
    hard(Signal::NodeBytes, Bound::Share(0.10)),
    hard(Signal::NodeInodes, Bound::Share(0.05)),
    hard(Signal::ImageBytes, Bound::Share(0.15)),
    hard(Signal::ImageInodes, Bound::Share(0.05)),
];

const fn hard(signal: Signal, bound: Bound) -> Threshold {
    Threshold { signal, bound, grace: SignedDuration::ZERO }
}

/// A reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What is left.
    pub available: u64,
    /// What there is.
    pub capacity: u64,
}

/// Whether a threshold is crossed at `now`, given since when the reading has been below it.
pub fn is_crossed(threshold: &Threshold, reading: Reading, below_since: Option<Timestamp>, now: Timestamp) -> bool {
    let below = reading.available < threshold.bound.amount(reading.capacity);
    let lasted = below_since.is_some_and(|since| now.duration_since(since) >= threshold.grace);
    below && (threshold.grace.is_zero() || lasted)
}

/// What a pod uses of the resource that runs short.
#[derive(Debug, Clone, Copy)]
pub struct Usage<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Bytes, inodes or processes in use.
    pub used: u64,
}

/// Puts pods in the order in which they are evicted: those above their request, then lower priority, then the most
/// above it. Critical pods (static ones, and those at system priority) are not in it.
pub fn rank<'a>(signal: Signal, pods: &[Usage<'a>]) -> Vec<&'a Pod> {
    let mut ranked: Vec<_> =
        pods.iter().filter(|usage| !is_critical(usage.pod)).map(|usage| (key(signal, usage), usage.pod)).collect();
    ranked.sort_by_key(|(key, _)| *key);
    ranked.into_iter().map(|(_, pod)| pod).collect()
}

fn key(signal: Signal, usage: &Usage<'_>) -> (bool, i32, i128) {
    let priority = usage.pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default();
    let asked = match signal {
        Signal::Memory => resources::totals(usage.pod).memory_request_bytes,
        Signal::NodeBytes | Signal::ImageBytes => {
            resources::requests(usage.pod).get(signal.resource()).and_then(quantity::value).unwrap_or_default()
        }
        Signal::NodeInodes | Signal::ImageInodes | Signal::Pids => 0,
    };
    let above = i128::from(usage.used) - i128::from(asked);
    (above <= 0, priority, -above)
}

/// Whether a pod is spared: static, or of system priority.
pub fn is_critical(pod: &Pod) -> bool {
    const PRIORITY_SYSTEM: i32 = 2_000_000_000;
    let priority = pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default();
    crate::identity::is_static(pod) || priority >= PRIORITY_SYSTEM
}

/// `The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. `
pub fn message(signal: Signal, threshold: &str, available: &str) -> String {
    format!(
        "The node was low on resource: {}. Threshold quantity: {threshold}, available: {available}. ",
        signal.resource()
    )
}

/// What is said besides of the containers that used more than they asked for; `used` is by container's name.
pub fn greedy(signal: Signal, pod: &Pod, used: &BTreeMap<String, u64>) -> String {
    let resource = signal.resource();
    let mut said = String::new();
    for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
        let Some(used) = used.get(&container.name).and_then(|used| i64::try_from(*used).ok()) else { continue };
        let asked = container.resources.as_ref().and_then(|it| it.requests.as_ref()?.get(resource));
        if used > asked.and_then(quantity::value).unwrap_or_default() {
            let (name, used) = (&container.name, object::Quantity::whole(used, Format::BinarySi));
            let asked = asked.and_then(|asked| object::Quantity::parse(&asked.0).ok());
            let asked = asked.map_or_else(|| "0".to_owned(), |asked| asked.text().to_string());
            let used = used.text();
            said += &format!(
                "Container {name} was using {used}, request is {asked}, has larger consumption of {resource}. "
            );
        }
    }
    said
}

/// Whether a new pod is turned away while the node is under pressure. Best-effort pods are under memory pressure, all but
/// critical ones otherwise.
pub fn refuses(pod: &Pod, memory: bool, disk: bool, pids: bool) -> Option<String> {
    if is_critical(pod) {
        return None;
    }
    let refused: Vec<&str> = [
        ("MemoryPressure", memory && qos::class(pod) == Class::BestEffort),
        ("DiskPressure", disk),
        ("PIDPressure", pids),
    ]
    .iter()
    .filter(|(_, holds)| *holds)
    .map(|(name, _)| *name)
    .collect();
    (!refused.is_empty()).then(|| format!("The node had condition: [{}]. ", refused.join(" ")))
}
