//! What a node says of itself: labels, capacity, addresses, conditions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use typed::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus,
    NodeSystemInfo, Taint,
};
use typed::meta::{ObjectMeta, Time};
use typed::resource::Quantity;

use crate::eviction::{self, Reading, Signal, Threshold};

/// How many images a node names (`nodeStatusMaxImages`).
pub const IMAGES_MAX: usize = 50;

/// What this kubelet can do that others may not (KEP-5328), sorted: pods that need it come only to nodes that say so.
pub const DECLARED_FEATURES: [&str; 3] = [
    "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScalingInitContainers",
    "RestartAllContainersOnContainerExits",
];

/// Everything that a node's object is made of.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The node's name.
    pub name: String,
    /// Its host name.
    pub host_name: String,
    /// Its addresses, the primary one first.
    pub ips: Vec<String>,
    /// Labels beside the usual ones.
    pub labels: BTreeMap<String, String>,
    /// Taints at registration.
    pub taints: Vec<Taint>,
    /// CPUs.
    pub cpus: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of the file system that holds pods.
    pub storage_bytes: u64,
    /// Pods at most.
    pub pods_max: u32,
    /// What is kept from pods, by resource: whole bytes, thousandths of a core.
    pub reserved: BTreeMap<String, i64>,
    /// The kubelet's port.
    pub port: i32,
    /// Machine, kernel and versions.
    pub system: NodeSystemInfo,
    /// Images, the largest first.
    pub images: Vec<ContainerImage>,
    /// Why the node is not ready, in words; empty when it is.
    pub problems: Vec<String>,
    /// What is left of each resource that can run short.
    pub readings: BTreeMap<Signal, Reading>,
}

/// The node's object; transition times are taken over from `previous`.
pub fn node(facts: &Facts, thresholds: &[Threshold], previous: Option<&NodeStatus>, now: Timestamp) -> Node {
    let mut labels = facts.labels.clone();
    let usual =
        [("hostname", &facts.host_name), ("os", &facts.system.operating_system), ("arch", &facts.system.architecture)];
    for (name, value) in usual {
        labels.insert(format!("kubernetes.io/{name}"), value.clone());
        if name != "hostname" {
            labels.insert(format!("beta.kubernetes.io/{name}"), value.clone());
        }
    }
    let capacity = capacity(facts);
    let status = NodeStatus {
        allocatable: Some(allocatable(facts)),
        capacity: Some(capacity),
        addresses: Some(addresses(facts)),
        conditions: Some(conditions(facts, thresholds, previous, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port: facts.port }) }),
        declared_features: Some(DECLARED_FEATURES.map(str::to_owned).to_vec()),
        images: Some(facts.images.iter().take(IMAGES_MAX).cloned().collect()),
        node_info: Some(facts.system.clone()),
        ..Default::default()
    };
    Node {
        metadata: ObjectMeta { name: Some(facts.name.clone()), labels: Some(labels), ..Default::default() },
        spec: Some(NodeSpec { taints: (!facts.taints.is_empty()).then(|| facts.taints.clone()), ..Default::default() }),
        status: Some(status),
    }
}

type Amounts = BTreeMap<String, Quantity>;

fn capacity(facts: &Facts) -> Amounts {
    amounts([
        ("cpu", facts.cpus.to_string()),
        ("memory", format!("{}Ki", facts.memory_bytes / 1024)),
        ("ephemeral-storage", format!("{}Ki", facts.storage_bytes / 1024)),
        ("pods", facts.pods_max.to_string()),
    ])
}

fn allocatable(facts: &Facts) -> Amounts {
    let kept = |name: &str| facts.reserved.get(name).copied().unwrap_or_default();
    let left = |whole: u64, name: &str| i64::try_from(whole).unwrap_or(i64::MAX).saturating_sub(kept(name)).max(0);
    let milli = left(facts.cpus.saturating_mul(1000), "cpu");
    let cpu = if milli % 1000 == 0 { (milli / 1000).to_string() } else { format!("{milli}m") };
    amounts([
        ("cpu", cpu),
        ("memory", format!("{}Ki", left(facts.memory_bytes, "memory") / 1024)),
        ("ephemeral-storage", left(facts.storage_bytes, "ephemeral-storage").to_string()),
        ("pods", facts.pods_max.to_string()),
    ])
}

fn amounts<const N: usize>(pairs: [(&str, String); N]) -> Amounts {
    pairs.into_iter().map(|(name, amount)| (name.to_owned(), Quantity(amount))).collect()
}

fn addresses(facts: &Facts) -> Vec<NodeAddress> {
    let address = |type_: &str, address: &String| NodeAddress { type_: type_.to_owned(), address: address.clone() };
    let ips = facts.ips.iter().map(|ip| address("InternalIP", ip));
    ips.chain([address("Hostname", &facts.host_name)]).collect()
}

/// A pressure condition in upstream's words: type, when it holds, when it does not.
const PRESSURES: [(&str, [&str; 2], [&str; 2]); 3] = [
    (
        "MemoryPressure",
        ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
        ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    ),
    (
        "DiskPressure",
        ["KubeletHasDiskPressure", "kubelet has disk pressure"],
        ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    ),
    (
        "PIDPressure",
        ["KubeletHasInsufficientPID", "kubelet has insufficient PID available"],
        ["KubeletHasSufficientPID", "kubelet has sufficient PID available"],
    ),
];

fn conditions(
    facts: &Facts,
    thresholds: &[Threshold],
    previous: Option<&NodeStatus>,
    now: Timestamp,
) -> Vec<NodeCondition> {
    let before = previous.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let condition = |type_: &str, holds: bool, [reason, message]: [&str; 2]| {
        let status = if holds { "True" } else { "False" };
        let same = before.iter().find(|old| old.type_ == type_ && old.status == status);
        NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: same.and_then(|old| old.last_transition_time.clone()).or(Some(Time(now))),
        }
    };
    let short = |name: &str| {
        thresholds.iter().filter(|threshold| threshold.signal.condition() == name).any(|threshold| {
            let reading = facts.readings.get(&threshold.signal);
            reading.is_some_and(|reading| eviction::is_crossed(threshold, *reading, None, now))
        })
    };
    let mut result: Vec<NodeCondition> = PRESSURES
        .iter()
        .map(|(type_, yes, no)| {
            let holds = short(type_);
            condition(type_, holds, if holds { *yes } else { *no })
        })
        .collect();
    let problems = format!("[{}]", facts.problems.join(", "));
    let problems = if facts.problems.len() == 1 { &facts.problems[0] } else { &problems };
    result.push(if facts.problems.is_empty() {
        condition("Ready", true, ["KubeletReady", "kubelet is posting ready status"])
    } else {
        condition("Ready", false, ["KubeletNotReady", problems])
    });
    result
}

/// The reasons of the events that a node tells of when its conditions change. Of what was not known before, only
/// pressures are told, as upstream does.
pub fn transitions(before: Option<&NodeStatus>, after: &NodeStatus) -> Vec<&'static str> {
    let status = |of: &NodeStatus, type_: &str| {
        let found = of.conditions.iter().flatten().find(|condition| condition.type_ == type_);
        found.map(|condition| condition.status.clone())
    };
    let told = [
        ("MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
        ("DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
        ("PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"),
        ("Ready", "NodeReady", "NodeNotReady"),
    ];
    let reason = |(type_, yes, no): &(&str, &'static str, &'static str)| {
        let (was, is) = (before.and_then(|before| status(before, type_)), status(after, type_)?);
        let is_news = was.as_ref() != Some(&is) && (was.is_some() || *type_ != "Ready");
        is_news.then_some(if is == "True" { *yes } else { *no })
    };
    told.iter().filter_map(reason).collect()
}

/// Whether two statuses differ in more than their heartbeats: then the second is written at once.
pub fn changed(before: &NodeStatus, after: &NodeStatus) -> bool {
    let still = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    still(before) != still(after)
}
