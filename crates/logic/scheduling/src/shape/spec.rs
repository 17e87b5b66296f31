//! Compiling a pod's specification.

use std::sync::Arc;

use typed::api::core::v1::{Container, NodeAffinity, Pod, PodSpec, Taint, Volume};

use crate::ids::MatcherIx;
use crate::resources::{Usage, is_sidecar};
use crate::shape::{Shape, affinity, spread};
use crate::snapshot::Snapshot;
use crate::snapshot::columns::NodeTerm;
use crate::snapshot::nodes::HostPort;
use crate::snapshot::relations::LabelSetKey;

/// A toleration.
pub(crate) type Toleration = typed::api::core::v1::Toleration;

/// A claim that the pod mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimUse {
    /// `namespace/name`.
    pub(crate) key: String,
    pub(crate) name: String,
    /// Whether the claim is made from the pod's own template.
    pub(crate) ephemeral: bool,
}

/// A disk named in the pod itself that two pods cannot share freely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    kind: &'static str,
    id: String,
    places: Vec<String>,
    read_only: bool,
    shared_reads: bool,
}

impl Disk {
    /// Whether the two cannot be mounted on one node at once.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        let meets = |place: &String| other.places.contains(place);
        self.kind == other.kind
            && self.id == other.id
            && (self.places.is_empty() || self.places.iter().any(meets))
            && !(self.shared_reads && self.read_only && other.read_only)
    }
}

pub(super) fn compile(pod: &Arc<Pod>, id: u64, snapshot: &mut Snapshot) -> Shape {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let key = LabelSetKey { namespace: namespace.clone(), labels: labels.clone(), terminating: false };
    let label_set = snapshot.relations.hold_label_set(key);
    let constraints = spec.topology_spread_constraints.as_deref().unwrap_or_default();
    let spread = spread::compile(constraints, &namespace, &labels, snapshot);
    let mut matchers: Vec<MatcherIx> = spread.iter().map(|constraint| constraint.matcher).collect();
    let affinity = affinity::compile(spec, &namespace, snapshot, &mut matchers);
    let node_affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let node_terms = node_affinity.and_then(|affinity| required_terms(affinity, snapshot));
    let selector = spec.node_selector.as_ref().filter(|labels| !labels.is_empty());
    Shape {
        id,
        label_set,
        usage: Usage::wanted(pod, &mut snapshot.nodes),
        ports: host_ports(spec),
        tolerations: spec.tolerations.clone().unwrap_or_default(),
        node_selector: selector.map(|labels| NodeTerm::of_labels(labels, &mut snapshot.columns, &snapshot.nodes.rows)),
        named_nodes: node_terms.as_deref().and_then(named_nodes),
        node_terms,
        node_preferences: node_affinity.map(|affinity| preferred_terms(affinity, snapshot)).unwrap_or_default(),
        spread,
        affinity,
        images: containers(spec).filter_map(|container| container.image.as_deref()).map(image_name).collect(),
        claims: spec.volumes.iter().flatten().filter_map(|volume| claim(pod, &namespace, volume)).collect(),
        disks: spec.volumes.iter().flatten().filter_map(disk).collect(),
        claims_devices: spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()),
        features: features(spec),
        namespace,
        labels,
        matchers,
    }
}

fn required_terms(affinity: &NodeAffinity, snapshot: &mut Snapshot) -> Option<Vec<NodeTerm>> {
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let (columns, rows) = (&mut snapshot.columns, &snapshot.nodes.rows);
    Some(required.node_selector_terms.iter().map(|term| NodeTerm::new(term, columns, rows)).collect())
}

fn preferred_terms(affinity: &NodeAffinity, snapshot: &mut Snapshot) -> Vec<(NodeTerm, i64)> {
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    let (columns, rows) = (&mut snapshot.columns, &snapshot.nodes.rows);
    preferred.map(|term| (NodeTerm::new(&term.preference, columns, rows), i64::from(term.weight))).collect()
}

/// The union of the nodes that the terms name, if each of them names some.
fn named_nodes(terms: &[NodeTerm]) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for term in terms {
        all.extend_from_slice(term.names()?);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let running = spec.init_containers.iter().flatten().filter(|container| is_sidecar(container));
    let ports = running.chain(&spec.containers).flat_map(|container| container.ports.iter().flatten());
    let wanted = ports.filter_map(|port| {
        let number = port.host_port.filter(|&number| number > 0)?;
        let address = port.host_ip.clone().filter(|ip| !ip.is_empty()).unwrap_or_else(|| "0.0.0.0".to_owned());
        Some(HostPort { address, protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()), port: number })
    });
    wanted.collect()
}

/// An image without a tag is the one tagged `latest`.
pub(crate) fn image_name(image: &str) -> String {
    let tagged = image.rfind(':') > image.rfind('/');
    if tagged { image.to_owned() } else { format!("{image}:latest") }
}

fn claim(pod: &Pod, namespace: &str, volume: &Volume) -> Option<ClaimUse> {
    let (name, ephemeral) = if let Some(source) = &volume.persistent_volume_claim {
        (source.claim_name.clone(), false)
    } else {
        volume.ephemeral.as_ref()?;
        (format!("{}-{}", pod.metadata.name.as_deref().unwrap_or_default(), volume.name), true)
    };
    Some(ClaimUse { key: format!("{namespace}/{name}"), name, ephemeral })
}

fn disk(volume: &Volume) -> Option<Disk> {
    let plain = |kind, id: &str, read_only: Option<bool>, shared_reads| Disk {
        kind,
        id: id.to_owned(),
        places: Vec::new(),
        read_only: read_only.unwrap_or(false),
        shared_reads,
    };
    if let Some(disk) = &volume.gce_persistent_disk {
        return Some(plain("gce", &disk.pd_name, disk.read_only, true));
    }
    if let Some(disk) = &volume.aws_elastic_block_store {
        return Some(plain("ebs", &disk.volume_id, disk.read_only, false));
    }
    if let Some(disk) = &volume.iscsi {
        return Some(plain("iscsi", &disk.iqn, disk.read_only, true));
    }
    let disk = volume.rbd.as_ref()?;
    let id = format!("{}/{}", disk.pool.as_deref().unwrap_or("rbd"), disk.image);
    Some(Disk { places: disk.monitors.clone(), ..plain("rbd", &id, disk.read_only, true) })
}

/// Features that a node must declare for the pod (KEP-5328).
fn features(spec: &PodSpec) -> Vec<&'static str> {
    let mut needed = Vec::new();
    let mut rules = containers(spec).flat_map(|container| container.restart_policy_rules.iter().flatten());
    if rules.any(|rule| rule.action == "RestartAllContainers") {
        needed.push("RestartAllContainersOnContainerExits");
    }
    if spec.host_network == Some(true) && spec.host_users == Some(false) {
        needed.push("UserNamespacesHostNetworkSupport");
    }
    needed
}

/// Whether any of the tolerations puts up with the taint.
pub(crate) fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        let effect = toleration.effect.as_deref().unwrap_or_default();
        let key = toleration.key.as_deref().unwrap_or_default();
        let equal = || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
        (effect.is_empty() || effect == taint.effect)
            && (key.is_empty() || key == taint.key)
            && match toleration.operator.as_deref().unwrap_or_default() {
                "" | "Equal" => equal(),
                "Exists" => true,
                _ => false,
            }
    })
}
