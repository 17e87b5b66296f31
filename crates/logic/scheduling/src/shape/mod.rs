//! A pod as the scheduler sees it: everything of its specification that decides where it may and should stand.
//!
//! Pods made from one template are alike to the scheduler, so they share one compiled [`Shape`], and what was learnt about
//! nodes for one of them holds for the next. A shape holds the matchers it asks; [`Shapes::sweep`] gives them back.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use typed::api::core::v1::Pod;

use crate::ids::{LabelSetIx, MatcherIx, PairIx};
use crate::resources::Usage;
use crate::selector::Labels;
use crate::snapshot::Snapshot;
use crate::snapshot::columns::NodeTerm;
use crate::snapshot::nodes::HostPort;
use crate::snapshot::relations::Role;

mod affinity;
mod alike;
mod spec;
mod spread;

pub(crate) use affinity::Affinities;
pub(crate) use alike::controller;
pub(crate) use spec::{ClaimUse, Disk, Toleration, image_name, tolerates};
pub(crate) use spread::{SpreadConstraint, default_constraints};

/// Shapes kept before unused ones are looked for.
const SHAPES_BEFORE_SWEEP: usize = 1024;

/// A compiled pod template.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) id: u64,
    pub(crate) namespace: String,
    pub(crate) labels: Labels,
    pub(crate) label_set: LabelSetIx,
    pub(crate) usage: Usage,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) tolerations: Vec<Toleration>,
    /// `spec.nodeSelector`.
    pub(crate) node_selector: Option<NodeTerm>,
    /// Required node affinity: one of the terms must match.
    pub(crate) node_terms: Option<Vec<NodeTerm>>,
    /// Preferred node affinity with weights.
    pub(crate) node_preferences: Vec<(NodeTerm, i64)>,
    /// The only nodes that the required terms can match, when they name them.
    pub(crate) named_nodes: Option<Vec<String>>,
    /// The pod's own spread constraints.
    pub(crate) spread: Vec<SpreadConstraint>,
    pub(crate) affinity: Affinities,
    /// Images of all containers, normalised; how many containers there are is `images.len()`.
    pub(crate) images: Vec<String>,
    pub(crate) claims: Vec<ClaimUse>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) claims_devices: bool,
    pub(crate) features: Vec<&'static str>,
    matchers: Vec<MatcherIx>,
}

/// A pod in the scheduler's hands.
#[derive(Clone)]
pub struct Subject {
    pub(crate) object: Arc<Pod>,
    pub(crate) uid: Arc<str>,
    pub(crate) priority: i32,
    pub(crate) shape: Arc<Shape>,
    /// What the pod takes of the node it stands on.
    pub(crate) usage: Usage,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.namespace(), self.name(), self.uid)
    }
}

impl Subject {
    pub(crate) fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.shape.namespace
    }

    pub(crate) fn terminating(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    /// `status.nominatedNodeName`, when set.
    pub(crate) fn nominated(&self) -> Option<&str> {
        let name = self.object.status.as_ref()?.nominated_node_name.as_deref()?;
        (!name.is_empty()).then_some(name)
    }
}

/// The scheduling priority of a pod; 0 when none was admitted.
pub(crate) fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

/// A shape and one pod that has it.
type Known = (Arc<Pod>, Arc<Shape>);

/// All shapes in use.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    by_fingerprint: HashMap<u64, Vec<Known>>,
    count: usize,
    next: u64,
    sweep_at: usize,
}

impl Shapes {
    /// The shape of `pod`, compiled when no pod like it is known.
    pub(crate) fn of(&mut self, pod: &Arc<Pod>, snapshot: &mut Snapshot) -> Arc<Shape> {
        let fingerprint = alike::fingerprint(pod);
        let known = self.by_fingerprint.entry(fingerprint).or_default();
        if let Some((_, shape)) = known.iter().find(|(other, _)| alike::alike(other, pod)) {
            return Arc::clone(shape);
        }
        self.next += 1;
        let shape = Arc::new(spec::compile(pod, self.next, snapshot));
        known.push((Arc::clone(pod), Arc::clone(&shape)));
        self.count += 1;
        if self.count > self.sweep_at.max(SHAPES_BEFORE_SWEEP) {
            self.sweep(snapshot);
        }
        shape
    }

    /// Forgets the shapes that no pod has any more.
    pub(crate) fn sweep(&mut self, snapshot: &mut Snapshot) {
        let relations = &mut snapshot.relations;
        self.by_fingerprint.retain(|_, shapes| {
            shapes.retain(|(_, shape)| {
                let used = Arc::strong_count(shape) > 1;
                if !used {
                    shape.matchers.iter().for_each(|&matcher| relations.release_matcher(matcher));
                    relations.release_label_set(shape.label_set);
                }
                used
            });
            !shapes.is_empty()
        });
        self.count = self.by_fingerprint.values().map(Vec::len).sum();
        self.sweep_at = self.count * 2;
    }
}

impl Shape {
    /// Whether the required node affinity and the node selector admit the node.
    pub(crate) fn admits_node(&self, snapshot: &Snapshot, node: crate::ids::NodeIx) -> bool {
        let name = snapshot.nodes.name(node);
        let matches = |term: &NodeTerm| term.matches(&snapshot.columns, node, name);
        self.node_selector.as_ref().is_none_or(matches)
            && self.node_terms.as_ref().is_none_or(|terms| terms.iter().any(matches))
    }

    /// Whether any node passes [`Shape::admits_node`].
    pub(crate) fn admits_any_node(&self) -> bool {
        self.node_selector.is_none() && self.node_terms.is_none()
    }

    /// The terms that a pod of this shape brings along to its node.
    pub(crate) fn owned(&self) -> &[(PairIx, Role)] {
        &self.affinity.owned
    }
}
