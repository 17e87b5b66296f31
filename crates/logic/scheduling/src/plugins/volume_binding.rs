//! VolumeBinding: bound volumes reach the node; unbound claims find a volume there, or can be provisioned there.
//!
//! Claims of classes that bind immediately must be bound before the pod is placed. For classes that wait for the first
//! consumer, the node is chosen first: the smallest fitting free volume of the node is promised, else the claim is told to
//! be provisioned for the node. The promises become writes that are done before the pod is bound.

use typed::api::core::v1::{PersistentVolume, PersistentVolumeClaim, TopologySelectorTerm};
use typed::resource::Quantity;

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory as Remembered, Overlay, Plugin, PreFilter, Reach, Verdict, Waking, Why};
use crate::ids::NodeIx;
use crate::plugins::volume_rules::{concerns, missing_claim, wanted_class};
use crate::quantity;
use crate::selector::{Labels, Selector};
use crate::storage::{Storage, VolumeStep, is_bound};

/// The bits of [`Why::Volumes`] and their words, in the order in which they are reported.
pub(crate) const REASONS: [&str; 4] = [
    "node(s) didn't match PersistentVolume's node affinity",
    "node(s) didn't find available persistent volumes to bind",
    "node(s) did not have enough free storage",
    "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
];
const NODE_CONFLICT: u8 = 1;
const NO_VOLUME: u8 = 2;
const NO_SPACE: u8 = 4;
const VOLUME_GONE: u8 = 8;

/// The class of claims that are never provisioned.
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The claims of the pod in hand.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bound: Vec<String>,
    waiting: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct VolumeBinding;

enum Fate {
    Bound,
    Waits,
    Immediate,
}

fn fate(storage: &Storage, claim: &PersistentVolumeClaim) -> Fate {
    if is_bound(claim) {
        return Fate::Bound;
    }
    let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).is_some_and(|name| !name.is_empty());
    let class = storage.class_of(claim).and_then(|class| class.volume_binding_mode.as_deref());
    if !named && class == Some("WaitForFirstConsumer") { Fate::Waits } else { Fate::Immediate }
}

fn trouble(cycle: &Cycle<'_>) -> Option<String> {
    for used in &cycle.shape.claims {
        let claim = cycle.storage.claim(&used.key)?;
        let name = &used.name;
        let lost = claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Lost");
        if lost {
            let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default();
            return Some(format!(
                "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{volume}\""
            ));
        }
        if claim.metadata.deletion_timestamp.is_some() {
            return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
        }
        let owned = claim.metadata.owner_references.iter().flatten().any(|owner| owner.uid == *cycle.subject.uid);
        if used.ephemeral && !owned {
            let pod = cycle.subject.name();
            let namespace = cycle.subject.namespace();
            return Some(format!(
                "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
            ));
        }
    }
    None
}

/// What a node offers to the claims: the steps to take, or the reasons against it.
fn plan(cycle: &Cycle<'_>, memory: &Memory, node: NodeIx) -> Result<Vec<VolumeStep>, u8> {
    let mut against = bound_volumes(cycle, memory, node);
    let mut steps = Vec::new();
    let mut taken: Vec<&str> = Vec::new();
    for key in &memory.waiting {
        let Some(claim) = cycle.storage.claim(key) else { continue };
        let name = &**cycle.snapshot.nodes.name(node);
        let selected = cycle.storage.selected_node(key, claim);
        if selected.is_some_and(|selected| selected != name) {
            against |= NO_VOLUME;
            continue;
        }
        let volume = if selected.is_some() { None } else { free_volume(cycle, (key, claim), node, &taken) };
        let (namespace, claim_name) = key.split_once('/').unwrap_or_default();
        let (namespace, claim_name) = (namespace.to_owned(), claim_name.to_owned());
        if let Some(volume) = volume {
            taken.push(volume);
            steps.push(VolumeStep::BindVolume { volume: volume.to_owned(), namespace, claim: claim_name });
            continue;
        }
        match provisionable(cycle, claim, node) {
            Ok(()) => steps.push(VolumeStep::Provision { namespace, claim: claim_name, node: name.to_owned() }),
            Err(reason) => against |= reason,
        }
    }
    if against == 0 { Ok(steps) } else { Err(against) }
}

fn bound_volumes(cycle: &Cycle<'_>, memory: &Memory, node: NodeIx) -> u8 {
    let mut against = 0;
    for key in &memory.bound {
        let claim = cycle.storage.claim(key).and_then(|claim| claim.spec.as_ref());
        let volume = claim.and_then(|spec| spec.volume_name.as_deref()).and_then(|name| cycle.storage.volume(name));
        match volume {
            None => against |= VOLUME_GONE,
            Some(volume) if !reaches(cycle, volume, node) => against |= NODE_CONFLICT,
            Some(_) => {}
        }
    }
    against
}

/// Whether the volume's node affinity admits the node.
fn reaches(cycle: &Cycle<'_>, volume: &PersistentVolume, node: NodeIx) -> bool {
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref());
    let Some(required) = affinity.and_then(|affinity| affinity.required.as_ref()) else { return true };
    let row = cycle.snapshot.nodes.row(node);
    let empty = Labels::new();
    let labels = row.object.as_ref().and_then(|node| node.metadata.labels.as_ref()).unwrap_or(&empty);
    required.node_selector_terms.iter().any(|term| super::term_admits(term, labels, &row.name))
}

/// The smallest free volume that satisfies the claim on the node; one reserved for the claim goes first.
fn free_volume<'a>(
    cycle: &Cycle<'a>,
    (key, claim): (&str, &PersistentVolumeClaim),
    node: NodeIx,
    taken: &[&str],
) -> Option<&'a str> {
    let wanted = requested_storage(claim);
    let mut best: Option<(bool, i64, &'a str)> = None;
    for (name, volume) in &cycle.storage.volumes {
        let held = cycle.storage.holder(name, volume);
        let reserved = held.as_deref() == Some(key);
        let capacity = capacity_of(volume);
        if taken.contains(&name.as_str())
            || (held.is_some() && !reserved)
            || capacity < wanted
            || !suits(claim, volume)
            || !reaches(cycle, volume, node)
        {
            continue;
        }
        let candidate = (!reserved, capacity, name.as_str());
        if best.is_none_or(|best| candidate < best) {
            best = Some(candidate);
        }
    }
    best.map(|(_, _, name)| name)
}

/// Class, mode, access modes and labels agree, and the volume is free to be used.
fn suits(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    let (Some(wanted), Some(offered)) = (&claim.spec, &volume.spec) else { return false };
    let mode = |mode: &Option<String>| mode.as_deref().unwrap_or("Filesystem").to_owned();
    let phase = volume.status.as_ref().and_then(|status| status.phase.as_deref());
    let modes = offered.access_modes.as_deref().unwrap_or_default();
    let labels = volume.metadata.labels.clone().unwrap_or_default();
    volume.metadata.deletion_timestamp.is_none()
        && matches!(phase, None | Some("" | "Available" | "Pending" | "Bound"))
        && offered.storage_class_name.as_deref().unwrap_or_default() == wanted_class(claim)
        && mode(&wanted.volume_mode) == mode(&offered.volume_mode)
        && wanted.volume_attributes_class_name == offered.volume_attributes_class_name
        && wanted.access_modes.iter().flatten().all(|mode| modes.contains(mode))
        && wanted.selector.as_ref().is_none_or(|selector| Selector::new(Some(selector)).matches(&labels))
}

fn requested_storage(claim: &PersistentVolumeClaim) -> i64 {
    let requests = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    requests.and_then(|requests| requests.get("storage")).map_or(0, quantity::whole)
}

fn capacity_of(volume: &PersistentVolume) -> i64 {
    let capacity = volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref());
    capacity.and_then(|capacity| capacity.get("storage")).map_or(0, quantity::whole)
}

/// Whether the claim's class can make a volume for the node.
fn provisionable(cycle: &Cycle<'_>, claim: &PersistentVolumeClaim, node: NodeIx) -> Result<(), u8> {
    let Some(class) = cycle.storage.class_of(claim) else { return Err(NO_VOLUME) };
    if class.provisioner == NO_PROVISIONER || class.provisioner.is_empty() {
        return Err(NO_VOLUME);
    }
    let empty = Labels::new();
    let row = cycle.snapshot.nodes.row(node);
    let labels = row.object.as_ref().and_then(|node| node.metadata.labels.as_ref()).unwrap_or(&empty);
    let topologies = class.allowed_topologies.as_deref().unwrap_or_default();
    if !topologies.is_empty() && !topologies.iter().any(|term| topology_admits(term, labels)) {
        return Err(NO_VOLUME);
    }
    let driver = cycle.storage.csi_drivers.get(&class.provisioner);
    let tracked = driver.and_then(|driver| driver.spec.storage_capacity).unwrap_or(false);
    let class_name = class.metadata.name.as_deref().unwrap_or_default();
    if tracked && !has_capacity(cycle.storage, class_name, requested_storage(claim), labels) {
        return Err(NO_SPACE);
    }
    Ok(())
}

fn topology_admits(term: &TopologySelectorTerm, labels: &Labels) -> bool {
    let mut tests = term.match_label_expressions.iter().flatten();
    tests.all(|test| labels.get(&test.key).is_some_and(|value| test.values.contains(value)))
}

fn has_capacity(storage: &Storage, class: &str, wanted: i64, labels: &Labels) -> bool {
    storage.capacities.values().any(|capacity| {
        let limit: Option<&Quantity> = capacity.maximum_volume_size.as_ref().or(capacity.capacity.as_ref());
        capacity.storage_class_name == class
            && limit.is_some_and(|limit| quantity::whole(limit) >= wanted)
            && capacity.node_topology.as_ref().is_some_and(|topology| Selector::new(Some(topology)).matches(labels))
    })
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }

    fn reach(&self) -> Reach {
        Reach::Cluster
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, memory: &mut Remembered) -> PreFilter {
        let memory = &mut memory.volumes;
        memory.bound.clear();
        memory.waiting.clear();
        if cycle.shape.claims.is_empty() {
            return PreFilter::Skip;
        }
        if let Some(why) = missing_claim(cycle).or_else(|| trouble(cycle)) {
            return PreFilter::Refuse(Code::Unresolvable, why);
        }
        for used in &cycle.shape.claims {
            let Some(claim) = cycle.storage.claim(&used.key) else { continue };
            match fate(cycle.storage, claim) {
                Fate::Bound => memory.bound.push(used.key.clone()),
                Fate::Waits => memory.waiting.push(used.key.clone()),
                Fate::Immediate => {
                    let why = "pod has unbound immediate PersistentVolumeClaims";
                    return PreFilter::Refuse(Code::Unresolvable, why.to_owned());
                }
            }
        }
        PreFilter::Go
    }

    fn filter(&self, cycle: &Cycle<'_>, memory: &Remembered, node: NodeIx, _: Overlay<'_>) -> Verdict {
        let against = plan(cycle, &memory.volumes, node).err()?;
        Some((Code::Unresolvable, Why::Volumes(against)))
    }

    fn reserve(&self, cycle: &Cycle<'_>, memory: &Remembered, node: NodeIx) -> Vec<VolumeStep> {
        plan(cycle, &memory.volumes, node).unwrap_or_default()
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        match event {
            Event::StorageClass(diff) => match (&diff.old, &diff.new) {
                (None, Some(_)) => true,
                (Some(old), Some(new)) => old.allowed_topologies != new.allowed_topologies,
                _ => false,
            },
            Event::Claim(diff) => concerns(waking.shape, diff.new.as_deref()),
            Event::Volume(diff) => diff.new.is_some(),
            Event::Node(aspects, _) => aspects.added || aspects.labels,
            Event::CsiNode(diff) => diff.old.is_none(),
            Event::CsiDriver(diff) => diff.old.is_some() && diff.new.is_some(),
            Event::CsiCapacity(diff) => diff.new.is_some(),
            _ => false,
        }
    }
}
