//! VolumeRestrictions, NodeVolumeLimits and VolumeZone: volumes that cannot be shared, counted or reached.

use std::collections::BTreeMap;

use typed::api::core::v1::PersistentVolumeClaim;
use typed::api::storage::v1::CSINode;

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory, Overlay, Plugin, PreFilter, Reach, Verdict, Waking, Why};
use crate::ids::NodeIx;
use crate::shape::{ClaimUse, Shape};
use crate::snapshot::nodes::NodeRow;
use crate::storage::{Storage, class_name};

/// Refuses a second user of a disk or of a `ReadWriteOncePod` claim.
#[derive(Debug)]
pub(crate) struct VolumeRestrictions;

fn one_pod_only(claim: &PersistentVolumeClaim) -> bool {
    let modes = claim.spec.as_ref().and_then(|spec| spec.access_modes.as_ref());
    modes.is_some_and(|modes| modes.iter().any(|mode| mode == "ReadWriteOncePod"))
}

fn disks_conflict(shape: &Shape, other: &Shape) -> bool {
    shape.disks.iter().any(|disk| other.disks.iter().any(|taken| disk.conflicts(taken)))
}

/// The first claim that does not exist, in the words of the API.
pub(super) fn missing_claim(cycle: &Cycle<'_>) -> Option<String> {
    let mut claims = cycle.shape.claims.iter();
    let missing = claims.find(|claim| cycle.storage.claim(&claim.key).is_none())?;
    Some(if missing.ephemeral {
        format!("waiting for ephemeral volume controller to create the persistentvolumeclaim \"{}\"", missing.name)
    } else {
        format!("persistentvolumeclaim \"{}\" not found", missing.name)
    })
}

impl VolumeRestrictions {
    fn exclusive<'a>(cycle: &'a Cycle<'_>) -> impl Iterator<Item = &'a ClaimUse> {
        let exclusive = |claim: &&ClaimUse| cycle.storage.claim(&claim.key).is_some_and(one_pod_only);
        cycle.shape.claims.iter().filter(exclusive)
    }
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> &'static str {
        "VolumeRestrictions"
    }

    fn reach(&self) -> Reach {
        Reach::Cluster
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if let Some(why) = missing_claim(cycle) {
            return PreFilter::Refuse(Code::Unresolvable, why);
        }
        let used = Self::exclusive(cycle).any(|claim| cycle.snapshot.claim_users(&claim.key) > 0);
        if cycle.shape.disks.is_empty() && !used { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, overlay: Overlay<'_>) -> Verdict {
        let row = cycle.snapshot.nodes.row(node);
        let mut staying = row.pods.iter().filter(|pod| !overlay.removed.contains(pod));
        let taken = staying.any(|&pod| disks_conflict(cycle.shape, &cycle.snapshot.pod(pod).subject.shape))
            || overlay.added.iter().any(|pod| disks_conflict(cycle.shape, &pod.shape));
        if taken {
            return Some((Code::Unschedulable, Why::Text("node(s) had no available disk")));
        }
        let still_used = |claim: &ClaimUse| {
            let uses = |shape: &Shape| shape.claims.iter().any(|other| other.key == claim.key);
            let gone = overlay.removed.iter().filter(|&&pod| uses(&cycle.snapshot.pod(pod).subject.shape)).count();
            cycle.snapshot.claim_users(&claim.key) > gone || overlay.added.iter().any(|pod| uses(&pod.shape))
        };
        let why = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
        Self::exclusive(cycle).any(still_used).then_some((Code::Unschedulable, Why::Text(why)))
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        match event {
            Event::Placed(aspects, subject) if aspects.deleted => {
                let shared = |claim: &ClaimUse| subject.shape.claims.iter().any(|other| other.key == claim.key);
                waking.shape.claims.iter().any(shared) || disks_conflict(waking.shape, &subject.shape)
            }
            Event::Node(aspects, _) => aspects.added,
            Event::Claim(diff) => concerns(waking.shape, diff.new.as_deref()),
            _ => false,
        }
    }
}

/// Whether the pod mounts the claim.
pub(super) fn concerns(shape: &Shape, claim: Option<&PersistentVolumeClaim>) -> bool {
    let Some(metadata) = claim.map(|claim| &claim.metadata) else { return false };
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    namespace == Some(&shape.namespace) && shape.claims.iter().any(|claim| Some(claim.name.as_str()) == name)
}

/// Refuses nodes to which a driver can attach no further volumes.
#[derive(Debug)]
pub(crate) struct NodeVolumeLimits;

/// CSI volumes by their unique name, with their driver.
fn attachments<'a>(shape: &Shape, storage: &'a Storage, into: &mut BTreeMap<String, &'a str>) {
    for claim in &shape.claims {
        let Some(object) = storage.claim(&claim.key) else { continue };
        let volume = object.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty());
        let csi = volume.and_then(|name| storage.volume(name)).and_then(|volume| volume.spec.as_ref()?.csi.as_ref());
        if let Some(csi) = csi {
            into.insert(format!("{}/{}", csi.driver, csi.volume_handle), &csi.driver);
        } else if volume.is_none()
            && let Some(class) = storage.class_of(object)
        {
            into.insert(format!("{}/{}", class.provisioner, claim.key), &class.provisioner);
        }
    }
}

fn limit(node: &CSINode, driver: &str) -> Option<usize> {
    let driver = node.spec.drivers.iter().find(|other| other.name == driver)?;
    usize::try_from(driver.allocatable.as_ref()?.count?).ok()
}

impl Plugin for NodeVolumeLimits {
    fn name(&self) -> &'static str {
        "NodeVolumeLimits"
    }

    fn reach(&self) -> Reach {
        Reach::Cluster
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if cycle.shape.claims.is_empty() { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, overlay: Overlay<'_>) -> Verdict {
        let csi_node = cycle.storage.csi_nodes.get(&**cycle.snapshot.nodes.name(node))?;
        let mut wanted = BTreeMap::new();
        attachments(cycle.shape, cycle.storage, &mut wanted);
        wanted.retain(|_, driver| limit(csi_node, driver).is_some());
        if wanted.is_empty() {
            return None;
        }
        let mut present = BTreeMap::new();
        let row = cycle.snapshot.nodes.row(node);
        for pod in row.pods.iter().filter(|pod| !overlay.removed.contains(pod)) {
            attachments(&cycle.snapshot.pod(*pod).subject.shape, cycle.storage, &mut present);
        }
        overlay.added.iter().for_each(|pod| attachments(&pod.shape, cycle.storage, &mut present));
        let full = wanted.values().any(|driver| {
            let on_node = present.values().filter(|other| *other == driver).count();
            let more = wanted.iter().filter(|(name, other)| *other == driver && !present.contains_key(*name)).count();
            more > 0 && limit(csi_node, driver).is_some_and(|limit| on_node + more > limit)
        });
        full.then_some((Code::Unschedulable, Why::Text("node(s) exceed max volume count")))
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        match event {
            Event::CsiNode(diff) => diff.new.is_some(),
            Event::Placed(aspects, subject) => aspects.deleted && !subject.shape.claims.is_empty(),
            Event::Claim(diff) => concerns(waking.shape, diff.new.as_deref()),
            Event::Detached => true,
            _ => false,
        }
    }
}

/// Refuses nodes outside the zone or region that a bound volume carries as a label.
#[derive(Debug)]
pub(crate) struct VolumeZone;

/// Labels of volumes and nodes that must agree, the newer ones first.
const ZONE_LABELS: [&str; 4] = [
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
];

fn zone_labels<'a>(cycle: &'a Cycle<'_>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let volumes = cycle.shape.claims.iter().filter_map(|claim| {
        let name = cycle.storage.claim(&claim.key)?.spec.as_ref()?.volume_name.as_deref()?;
        cycle.storage.volume(name)?.metadata.labels.as_ref()
    });
    volumes.flatten().map(|(key, value)| (key.as_str(), value.as_str())).filter(|(key, _)| ZONE_LABELS.contains(key))
}

/// The label's beta or stable twin.
fn twin(label: &str) -> &'static str {
    let at = ZONE_LABELS.iter().position(|other| *other == label).unwrap_or(0);
    ZONE_LABELS[(at + 2) % 4]
}

fn in_zone(row: &NodeRow, key: &str, zones: &str) -> bool {
    let labels = row.object.as_ref().and_then(|node| node.metadata.labels.as_ref());
    let Some(labels) = labels else { return false };
    let value = labels.get(key).or_else(|| labels.get(twin(key)));
    value.is_some_and(|value| zones.split("__").any(|zone| zone == value))
}

impl Plugin for VolumeZone {
    fn name(&self) -> &'static str {
        "VolumeZone"
    }

    fn reach(&self) -> Reach {
        Reach::Cluster
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        if zone_labels(cycle).next().is_none() { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, _: Overlay<'_>) -> Verdict {
        let row = cycle.snapshot.nodes.row(node);
        let labels = row.object.as_ref().and_then(|node| node.metadata.labels.as_ref());
        let zoned = |key: &str| labels.is_some_and(|labels| labels.contains_key(key));
        if !ZONE_LABELS.iter().any(|key| zoned(key)) {
            // A node without any zone is taken to be in a cluster with one zone only.
            return None;
        }
        let refused = zone_labels(cycle).any(|(key, zones)| !in_zone(row, key, zones));
        refused.then_some((Code::Unresolvable, Why::Text("node(s) had no available volume zone")))
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        match event {
            Event::StorageClass(diff) => diff.old.is_none(),
            Event::Node(aspects, _) => aspects.added || aspects.labels,
            Event::Claim(diff) => concerns(waking.shape, diff.new.as_deref()),
            Event::Volume(diff) => {
                let labels = |volume: &typed::api::core::v1::PersistentVolume| volume.metadata.labels.clone();
                diff.new.is_some() && diff.old.as_deref().map(labels) != diff.new.as_deref().map(labels)
            }
            _ => false,
        }
    }
}

/// The class name of an unbound claim, for the binder.
pub(super) fn wanted_class(claim: &PersistentVolumeClaim) -> &str {
    class_name(claim).unwrap_or_default()
}
