//! The storage objects that decide where a pod's volumes can be had, and what was promised but is not written yet.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use typed::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use typed::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass};

use crate::event::Diff;

/// Where a claim asks to be provisioned.
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// Set once a claim is bound for good.
pub(crate) const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";

/// A write that must be done, and have taken effect, before the pod is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeStep {
    /// Set the volume's `spec.claimRef` to the claim, and wait until both are bound.
    BindVolume {
        /// The persistent volume's name.
        volume: String,
        /// The claim's namespace.
        namespace: String,
        /// The claim's name.
        claim: String,
    },
    /// Set the claim's annotation `volume.kubernetes.io/selected-node`, and wait until the claim is bound.
    Provision {
        /// The claim's namespace.
        namespace: String,
        /// The claim's name.
        claim: String,
        /// The node's name.
        node: String,
    },
}

/// All storage objects, by `namespace/name` or name.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    pub(crate) claims: BTreeMap<String, Arc<PersistentVolumeClaim>>,
    pub(crate) volumes: BTreeMap<String, Arc<PersistentVolume>>,
    pub(crate) classes: BTreeMap<String, Arc<StorageClass>>,
    pub(crate) csi_nodes: BTreeMap<String, Arc<CSINode>>,
    pub(crate) csi_drivers: BTreeMap<String, Arc<CSIDriver>>,
    pub(crate) capacities: BTreeMap<String, Arc<CSIStorageCapacity>>,
    /// Volumes promised to a claim (`namespace/name`) by a binding under way.
    promised_volumes: HashMap<String, String>,
    /// Nodes that claims were promised to by a binding under way.
    promised_claims: HashMap<String, String>,
}

impl Storage {
    pub(crate) fn claim(&self, key: &str) -> Option<&PersistentVolumeClaim> {
        self.claims.get(key).map(Arc::as_ref)
    }

    pub(crate) fn volume(&self, name: &str) -> Option<&PersistentVolume> {
        self.volumes.get(name).map(Arc::as_ref)
    }

    /// The claim's class, if it names one that exists.
    pub(crate) fn class_of(&self, claim: &PersistentVolumeClaim) -> Option<&StorageClass> {
        self.classes.get(class_name(claim)?).map(Arc::as_ref)
    }

    /// The claim (`namespace/name`) that a volume is bound or promised to.
    pub(crate) fn holder(&self, name: &str, volume: &PersistentVolume) -> Option<String> {
        if let Some(claim) = self.promised_volumes.get(name) {
            return Some(claim.clone());
        }
        let claim = volume.spec.as_ref()?.claim_ref.as_ref()?;
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        Some(format!("{}/{}", part(&claim.namespace), part(&claim.name)))
    }

    /// The node that a claim was told to be provisioned for.
    pub(crate) fn selected_node<'a>(&'a self, key: &str, claim: &'a PersistentVolumeClaim) -> Option<&'a str> {
        let promised = self.promised_claims.get(key).map(String::as_str);
        promised.or_else(|| claim.metadata.annotations.as_ref()?.get(SELECTED_NODE).map(String::as_str))
    }

    /// Remembers what a binding under way will write.
    pub(crate) fn promise(&mut self, steps: &[VolumeStep]) {
        for step in steps {
            match step {
                VolumeStep::BindVolume { volume, namespace, claim } => {
                    self.promised_volumes.insert(volume.clone(), format!("{namespace}/{claim}"));
                }
                VolumeStep::Provision { namespace, claim, node } => {
                    self.promised_claims.insert(format!("{namespace}/{claim}"), node.clone());
                }
            }
        }
    }

    /// Forgets promises: the objects say it themselves now, or the binding failed.
    pub(crate) fn forget(&mut self, steps: &[VolumeStep]) {
        for step in steps {
            match step {
                VolumeStep::BindVolume { volume, .. } => drop(self.promised_volumes.remove(volume)),
                VolumeStep::Provision { namespace, claim, .. } => {
                    self.promised_claims.remove(&format!("{namespace}/{claim}"));
                }
            }
        }
    }
}

/// The class a claim asks for; an empty name is "no class".
pub(crate) fn class_name(claim: &PersistentVolumeClaim) -> Option<&str> {
    let old = claim.metadata.annotations.as_ref().and_then(|all| all.get("volume.beta.kubernetes.io/storage-class"));
    old.or(claim.spec.as_ref()?.storage_class_name.as_ref()).map(String::as_str)
}

/// Whether the claim is bound to a volume for good.
pub(crate) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).is_some_and(|name| !name.is_empty());
    named && claim.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(BIND_COMPLETED))
}

/// Puts an object in or takes it out, and tells what changed.
pub(crate) fn exchange<T>(into: &mut BTreeMap<String, Arc<T>>, key: String, new: Option<Arc<T>>) -> Diff<T> {
    let old = match &new {
        Some(new) => into.insert(key, Arc::clone(new)),
        None => into.remove(&key),
    };
    Diff { old, new }
}
