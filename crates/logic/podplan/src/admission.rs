//! Whether a node takes a pod that was bound to it, or turns it away for good.
//!
//! The scheduler saw the same, a moment earlier; two of them, or a pod bound by hand, make the node look again.

use std::collections::BTreeMap;

use typed::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Pod};

use crate::plan::Role;
use crate::termination::EndingVerdict;
use crate::{eviction, resources, spec};

/// What the node has to give, and to whom it has given.
#[derive(Debug, Clone, Default)]
pub struct Room<'a> {
    /// The node's name.
    pub name: &'a str,
    /// The node's labels as the API has them; `None` while they are not known, and then nothing is held against them.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// Thousandths of a core for pods.
    pub cpu_milli: i64,
    /// Bytes of memory for pods.
    pub memory_bytes: i64,
    /// Pods at most.
    pub pods_max: u32,
    /// The pods that are here and not over.
    pub pods: Vec<&'a Pod>,
    /// Whether memory, disk, and process ids run short.
    pub pressure: [bool; 3],
}

/// Why the node turns `pod` away; `None` when it takes it. Reasons and messages are upstream's.
pub fn refuses(pod: &Pod, room: &Room<'_>) -> Option<EndingVerdict> {
    let (reason, message) = misfit(pod, room)?;
    Some(EndingVerdict { reason, message: format!("Pod was rejected: {message}") })
}

/// The reason and the message of what keeps `pod` from fitting into `room`.
pub(crate) fn misfit(pod: &Pod, room: &Room<'_>) -> Option<(String, String)> {
    // What keeps the node going has a place on it.
    if eviction::is_critical(pod) {
        return None;
    }
    let verdict = |reason: &str, message: String| Some((reason.to_owned(), message));
    let [memory, disk, pids] = room.pressure;
    if let Some(message) = eviction::refuses(pod, memory, disk, pids) {
        return verdict("Evicted", message);
    }
    if room.labels.is_some_and(|labels| !fits(pod, room.name, labels)) {
        let message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
        return verdict("NodeAffinity", message.to_owned());
    }
    let taken: Vec<HostPort> = room.pods.iter().flat_map(|pod| host_ports(pod)).collect();
    if host_ports(pod).iter().any(|wanted| taken.iter().any(|port| port.collides(wanted))) {
        let message = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports";
        return verdict("NodePorts", message.to_owned());
    }
    let asked = resources::totals(pod);
    let given = room.pods.iter().map(|pod| resources::held(pod));
    let (cpu, bytes) = given.fold((0_i64, 0_i64), |(cpu, bytes), one| {
        (cpu.saturating_add(one.cpu_request_milli), bytes.saturating_add(one.memory_request_bytes))
    });
    let count = i64::try_from(room.pods.len()).unwrap_or(i64::MAX);
    let checks = [
        ("pods", 1, count, i64::from(room.pods_max)),
        ("cpu", asked.cpu_request_milli, cpu, room.cpu_milli),
        ("memory", asked.memory_request_bytes, bytes, room.memory_bytes),
    ];
    let short = checks.iter().find(|(_, asked, used, most)| *asked > 0 && used.saturating_add(*asked) > *most);
    let (resource, asked, used, most) = short?;
    let message =
        format!("Node didn't have enough resource: {resource}, requested: {asked}, used: {used}, capacity: {most}");
    verdict(&format!("OutOf{resource}"), message)
}

/// A port of the node that a pod has for itself.
struct HostPort {
    address: String,
    protocol: String,
    number: i32,
}

impl HostPort {
    /// The same port of one address, or of all addresses and one.
    fn collides(&self, other: &HostPort) -> bool {
        let same = (self.number, &self.protocol) == (other.number, &other.protocol);
        same && (self.address == other.address || [&*self.address, &*other.address].contains(&EVERYWHERE))
    }
}

const EVERYWHERE: &str = "0.0.0.0";

/// The host ports of a pod's containers and sidecars.
fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let mut found = Vec::new();
    for (role, container) in spec::containers(pod) {
        if !matches!(role, Role::Regular | Role::Sidecar) {
            continue;
        }
        for port in container.ports.iter().flatten() {
            let address = port.host_ip.clone().filter(|address| !address.is_empty());
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            let number = port.host_port.filter(|number| *number > 0);
            found.extend(number.map(|number| HostPort {
                address: address.unwrap_or_else(|| EVERYWHERE.to_owned()),
                protocol,
                number,
            }));
        }
    }
    found
}

fn fits(pod: &Pod, node: &str, labels: &BTreeMap<String, String>) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let required = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = required.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|one| one.node_selector_terms.iter().any(|term| matches(term, node, labels)))
}

/// An empty term matches nothing.
fn matches(term: &NodeSelectorTerm, node: &str, labels: &BTreeMap<String, String>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    (!expressions.is_empty() || !fields.is_empty())
        && expressions.iter().all(|one| holds(one, labels.get(&one.key).map(String::as_str)))
        && fields.iter().all(|one| holds(one, (one.key == "metadata.name").then_some(node)))
}

fn holds(one: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = one.values.as_deref().unwrap_or_default();
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let bound = number(values.first().map(String::as_str));
    match one.operator.as_str() {
        "In" => value.is_some_and(|value| values.iter().any(|it| it == value)),
        "NotIn" => value.is_none_or(|value| values.iter().all(|it| it != value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number(value).zip(bound).is_some_and(|(value, bound)| value > bound),
        "Lt" => number(value).zip(bound).is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}
