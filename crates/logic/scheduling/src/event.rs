//! What happened in the cluster, as far as it may let a refused pod pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use typed::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Taint};
use typed::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass};
use typed::resource::Quantity;

use crate::shape::Subject;

/// Old and new state of an object; an addition has no old state, a deletion no new one.
#[derive(Clone, Debug)]
pub(crate) struct Diff<T> {
    /// The state before.
    pub(crate) old: Option<Arc<T>>,
    /// The state after.
    pub(crate) new: Option<Arc<T>>,
}

/// Aspects of a node that filters look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeAspects {
    pub(crate) added: bool,
    pub(crate) deleted: bool,
    pub(crate) allocatable: bool,
    pub(crate) labels: bool,
    pub(crate) taints: bool,
    pub(crate) features: bool,
}

/// Aspects of a pod that filters look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodAspects {
    pub(crate) added: bool,
    pub(crate) deleted: bool,
    pub(crate) labels: bool,
    pub(crate) scaled_down: bool,
}

/// An event for the queue.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Node(NodeAspects, Diff<Node>),
    /// A pod on a node came, went or changed; the old state for deletions, else the new one.
    Placed(PodAspects, Arc<Subject>),
    /// The waiting pod itself changed.
    Target,
    Claim(Diff<PersistentVolumeClaim>),
    Volume(Diff<PersistentVolume>),
    StorageClass(Diff<StorageClass>),
    CsiNode(Diff<CSINode>),
    CsiDriver(Diff<CSIDriver>),
    CsiCapacity(Diff<CSIStorageCapacity>),
    /// Namespace labels changed who matches whom.
    Namespace,
    /// A volume attachment went.
    Detached,
}

impl NodeAspects {
    /// What changed between two states; `None` when nothing that a filter looks at did.
    pub(crate) fn between(diff: &Diff<Node>) -> Option<Self> {
        let (old, new) = match (&diff.old, &diff.new) {
            (None, Some(_)) => return Some(Self { added: true, ..Self::default() }),
            (Some(_), None) => return Some(Self { deleted: true, ..Self::default() }),
            (Some(old), Some(new)) => (old, new),
            (None, None) => return None,
        };
        let aspects = Self {
            allocatable: allocatable(old) != allocatable(new),
            labels: old.metadata.labels != new.metadata.labels,
            taints: taints(old) != taints(new),
            features: features(old) != features(new),
            ..Self::default()
        };
        (aspects != Self::default()).then_some(aspects)
    }
}

/// The node's taints and whether it is cordoned.
fn taints(node: &Node) -> (&[Taint], bool) {
    let Some(spec) = &node.spec else { return (&[], false) };
    (spec.taints.as_deref().unwrap_or_default(), spec.unschedulable.unwrap_or(false))
}

fn allocatable(node: &Node) -> Option<&BTreeMap<String, Quantity>> {
    node.status.as_ref()?.allocatable.as_ref()
}

fn features(node: &Node) -> &[String] {
    let features = node.status.as_ref().and_then(|status| status.declared_features.as_deref());
    features.unwrap_or_default()
}
