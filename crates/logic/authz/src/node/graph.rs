//! Which node needs which object.
//!
//! A pod ties what it refers to to its node; a volume ties itself and its secrets to the claim it is bound to. Each
//! object is kept with its nodes, counted, so that a question is one look-up (two for volumes and their secrets) and a
//! change costs what the changed object refers to.

use std::collections::{BTreeSet, HashMap};

use object::Text;
use typed::Kind;
use typed::api::core::v1::{PersistentVolume, Pod};
use typed::api::resource::v1::ResourceSlice;
use typed::api::storage::v1::VolumeAttachment;

use super::references;

const MIRROR: &str = "kubernetes.io/config.mirror";

/// What nodes are tied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Thing {
    Attachment,
    Claim,
    ConfigMap,
    Pod,
    ResourceClaim,
    Secret,
    ServiceAccount,
    Slice,
    Volume,
}

/// An object by what it is, its namespace and its name.
pub(super) type ObjectKey = (Thing, Text, Text);

/// The nodes of every object that some node needs.
#[derive(Debug, Default)]
pub struct NodeGraph {
    /// How often each node needs an object.
    nodes: HashMap<ObjectKey, HashMap<Text, u32>>,
    /// What each pod, attachment or slice has tied to its node, so that it can be untied.
    ties: HashMap<ObjectKey, (Text, Vec<ObjectKey>)>,
    /// Bound volumes.
    volumes: HashMap<Text, Bound>,
    /// The volumes that need a secret.
    volumes_of_secret: HashMap<ObjectKey, BTreeSet<Text>>,
}

#[derive(Debug)]
struct Bound {
    claim: ObjectKey,
    secrets: Vec<ObjectKey>,
}

impl NodeGraph {
    /// A graph in which no node needs anything.
    pub fn new() -> NodeGraph {
        NodeGraph::default()
    }

    /// Adds or replaces a pod. A pod without a node changes nothing.
    pub fn upsert_pod(&mut self, pod: &Pod) {
        let spec = pod.spec.as_ref();
        let Some(node) = spec.and_then(|spec| spec.node_name.as_deref()).filter(|node| !node.is_empty()) else {
            return;
        };
        let key = (Thing::Pod, pod.namespace().into(), pod.name().into());
        // A node makes mirror pods itself, and must not come by other objects that way.
        let is_mirror = pod.meta().annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR));
        let mut needed: Vec<ObjectKey> = if is_mirror { Vec::new() } else { references::of_pod(pod) };
        needed.push(key.clone());
        self.tie(key, node, needed);
    }

    /// Takes a pod away.
    pub fn remove_pod(&mut self, namespace: &str, name: &str) {
        self.untie(&(Thing::Pod, namespace.into(), name.into()));
    }

    /// Adds or replaces a volume.
    pub fn upsert_volume(&mut self, volume: &PersistentVolume) {
        self.remove_volume(volume.name());
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        let Some(claim) = claim else { return };
        let namespace: Text = claim.namespace.as_deref().unwrap_or_default().into();
        let claim = (Thing::Claim, namespace, Text::from(claim.name.as_deref().unwrap_or_default()));
        let bound = Bound { claim, secrets: references::of_volume(volume) };
        for secret in &bound.secrets {
            self.volumes_of_secret.entry(secret.clone()).or_default().insert(volume.name().into());
        }
        self.volumes.insert(volume.name().into(), bound);
    }

    /// Takes a volume away.
    pub fn remove_volume(&mut self, name: &str) {
        let Some(bound) = self.volumes.remove(name) else { return };
        for secret in &bound.secrets {
            if let Some(volumes) = self.volumes_of_secret.get_mut(secret) {
                volumes.remove(name);
                if volumes.is_empty() {
                    self.volumes_of_secret.remove(secret);
                }
            }
        }
    }

    /// Adds or replaces an attachment.
    pub fn upsert_attachment(&mut self, attachment: &VolumeAttachment) {
        let key = (Thing::Attachment, Text::default(), attachment.name().into());
        self.tie(key.clone(), &attachment.spec.node_name, vec![key]);
    }

    /// Takes an attachment away.
    pub fn remove_attachment(&mut self, name: &str) {
        self.untie(&(Thing::Attachment, Text::default(), name.into()));
    }

    /// Adds or replaces a slice; one of no single node is tied to none.
    pub fn upsert_slice(&mut self, slice: &ResourceSlice) {
        let key = (Thing::Slice, Text::default(), slice.name().into());
        match slice.spec.node_name.as_deref().unwrap_or_default() {
            "" => self.untie(&key),
            node => self.tie(key.clone(), node, vec![key]),
        }
    }

    /// Takes a slice away.
    pub fn remove_slice(&mut self, name: &str) {
        self.untie(&(Thing::Slice, Text::default(), name.into()));
    }

    /// Whether `node` needs the object.
    pub(super) fn reaches(&self, node: &str, thing: Thing, namespace: &str, name: &str) -> bool {
        let needs = |key: &ObjectKey| self.nodes.get(key).is_some_and(|nodes| nodes.contains_key(node));
        let has_volume = |name: &str| self.volumes.get(name).is_some_and(|bound| needs(&bound.claim));
        if thing == Thing::Volume {
            return has_volume(name);
        }
        let key = (thing, namespace.into(), name.into());
        needs(&key)
            || (thing == Thing::Secret
                && self.volumes_of_secret.get(&key).is_some_and(|volumes| volumes.iter().any(|name| has_volume(name))))
    }

    fn tie(&mut self, by: ObjectKey, node: &str, needed: Vec<ObjectKey>) {
        self.untie(&by);
        for key in &needed {
            *self.nodes.entry(key.clone()).or_default().entry(node.into()).or_default() += 1;
        }
        self.ties.insert(by, (node.into(), needed));
    }

    fn untie(&mut self, by: &ObjectKey) {
        let Some((node, needed)) = self.ties.remove(by) else { return };
        for key in needed {
            let Some(nodes) = self.nodes.get_mut(&key) else { continue };
            if let Some(count) = nodes.get_mut(&node) {
                *count -= 1;
                if *count == 0 {
                    nodes.remove(&node);
                }
            }
            if nodes.is_empty() {
                self.nodes.remove(&key);
            }
        }
    }
}
