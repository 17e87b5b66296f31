//! What goes into the scheduler and what comes out: plain data.

use std::sync::Arc;

use typed::api::apps::v1::{ReplicaSet, StatefulSet};
use typed::api::core::v1::{
    Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ReplicationController, Service,
};
use typed::api::policy::v1::PodDisruptionBudget;
use typed::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment};

use crate::shape::Subject;
use crate::storage::VolumeStep;

/// An object as it is now, or as it was when it went.
#[derive(Clone, Debug)]
pub enum Change<T> {
    /// It was created or changed.
    Set(Arc<T>),
    /// It was deleted.
    Gone(Arc<T>),
}

impl<T> Change<T> {
    /// The object and whether it is still there.
    pub(crate) fn split(self) -> (Arc<T>, bool) {
        match self {
            Self::Set(object) => (object, true),
            Self::Gone(object) => (object, false),
        }
    }
}

/// Something the scheduler must know.
#[derive(Clone, Debug)]
pub enum Input {
    /// A pod of any scheduler, placed or not.
    Pod(Change<Pod>),
    /// A node.
    Node(Change<Node>),
    /// A namespace, for its labels.
    Namespace(Change<Namespace>),
    /// A claim.
    Claim(Change<PersistentVolumeClaim>),
    /// A volume.
    Volume(Change<PersistentVolume>),
    /// A storage class.
    StorageClass(Change<StorageClass>),
    /// A node's CSI drivers.
    CsiNode(Change<CSINode>),
    /// A CSI driver.
    CsiDriver(Change<CSIDriver>),
    /// Room that a CSI driver has left.
    CsiCapacity(Change<CSIStorageCapacity>),
    /// An attachment; its end may make room under a node's limit.
    Attachment(Change<VolumeAttachment>),
    /// A disruption budget.
    Budget(Change<PodDisruptionBudget>),
    /// A service, for its selector.
    Service(Change<Service>),
    /// A replication controller, for its selector.
    ReplicationController(Change<ReplicationController>),
    /// A replica set, for its selector.
    ReplicaSet(Change<ReplicaSet>),
    /// A stateful set, for its selector.
    StatefulSet(Change<StatefulSet>),
    /// An [`Output::Bind`] was carried out.
    Bound {
        /// The pod.
        uid: String,
    },
    /// An [`Output::Bind`] could not be carried out.
    BindFailed {
        /// The pod.
        uid: String,
        /// Why.
        message: String,
    },
    /// An [`Output::Evict`] was carried out, or the victim was gone already.
    Evicted {
        /// The victim.
        uid: String,
    },
    /// An [`Output::Evict`] could not be carried out.
    EvictFailed {
        /// The victim.
        uid: String,
    },
}

/// Names one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRef {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The identity; writes must not touch another pod of the same name.
    pub uid: String,
}

impl From<&Subject> for PodRef {
    fn from(subject: &Subject) -> Self {
        Self {
            namespace: subject.namespace().to_owned(),
            name: subject.name().to_owned(),
            uid: subject.uid.to_string(),
        }
    }
}

/// A change of `status.nominatedNodeName`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nomination {
    /// Leave it.
    Keep,
    /// Remove it.
    Clear,
    /// Set it to this node.
    Node(String),
}

/// Something to do. Each is independent of the others, except that one pod's are in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Take the steps, wait until they took effect, then create the pod's Binding; answer [`Input::Bound`] or
    /// [`Input::BindFailed`].
    Bind {
        /// The pod.
        pod: PodRef,
        /// The node's name.
        node: String,
        /// What comes before the binding.
        steps: Vec<VolumeStep>,
        /// How often a node was looked for until one was found, for `scheduler_pod_scheduling_attempts`.
        attempts: u32,
    },
    /// Patch the pod's status: condition `PodScheduled=False` with this reason and message, and the nomination.
    Refuse {
        /// The pod.
        pod: PodRef,
        /// `Unschedulable`, `SchedulingGated` or `SchedulerError`.
        reason: &'static str,
        /// The message.
        message: String,
        /// What becomes of the nomination.
        nomination: Nomination,
    },
    /// Patch the pod's status: remove the nomination.
    Unnominate {
        /// The pod.
        pod: PodRef,
    },
    /// Patch the victim's condition `DisruptionTarget=True` with reason `PreemptionByScheduler` and this message, delete it,
    /// answer [`Input::Evicted`] or [`Input::EvictFailed`].
    Evict {
        /// The pod that goes.
        victim: PodRef,
        /// The condition's message.
        message: String,
    },
    /// Record an event.
    Event {
        /// The pod it is about.
        regarding: PodRef,
        /// Another pod that has to do with it.
        related: Option<PodRef>,
        /// `Warning`; otherwise `Normal`.
        warning: bool,
        /// The reason.
        reason: &'static str,
        /// The action.
        action: &'static str,
        /// The note, at most 1,024 bytes.
        note: String,
    },
}
