//! What the scheduler believes about nodes and the pods on them, kept up to date change by change.
//!
//! It includes pods that were assumed onto a node and are still being bound. Nothing here is copied per decision: a
//! decision reads the same tables that events write, because both happen in one thread, one after the other.
//!
//! Invariants: `requested` and the counters of [`relations`] are exactly what the entries of `pods` add up to; a node's
//! domains are entered before its pods are counted and left after they are taken out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use typed::api::core::v1::{ContainerImage, Node};

use crate::ids::{LabelSetIx, MatcherIx, NodeIx, PairIx, PodIx};
use crate::selector::Labels;
use crate::shape::Subject;

pub(crate) mod columns;
pub(crate) mod images;
pub(crate) mod nodes;
pub(crate) mod relations;

use columns::Columns;
use images::Images;
use nodes::Nodes;
use relations::{LabelSetKey, Relations, Slab};

/// Changes remembered for those who keep tables of nodes; who falls further behind computes anew.
const CHANGES_MAX: usize = 16_384;

/// A pod on a node.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) subject: Arc<Subject>,
    pub(crate) node: NodeIx,
    label_set: LabelSetIx,
}

/// Nodes, pods on them and everything that is counted about them.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) nodes: Nodes,
    pub(crate) columns: Columns,
    pub(crate) relations: Relations,
    pub(crate) images: Images,
    pods: Slab<Placed>,
    /// How many pods on nodes mount each claim (`namespace/name`).
    claim_users: HashMap<String, usize>,
    changes: Changes,
}

/// A node's state before and after; absent while it does not exist.
struct Relabelling<'a> {
    old: Option<&'a Node>,
    new: Option<&'a Node>,
}

/// The nodes that changed, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    log: VecDeque<NodeIx>,
    forgotten: u64,
}

impl Changes {
    fn push(&mut self, node: NodeIx) {
        if self.log.len() == CHANGES_MAX {
            self.log.pop_front();
            self.forgotten += 1;
        }
        self.log.push_back(node);
    }

    /// The position after the newest change.
    pub(crate) fn now(&self) -> u64 {
        self.forgotten + self.log.len() as u64
    }

    /// The nodes changed since `position`; `None` when that is too long ago.
    pub(crate) fn since(&self, position: u64) -> Option<impl Iterator<Item = NodeIx>> {
        let skip = usize::try_from(position.checked_sub(self.forgotten)?).ok()?;
        Some(self.log.iter().skip(skip).copied())
    }
}

// === impl Snapshot: nodes ===

impl Snapshot {
    /// Takes a new or changed node in.
    pub(crate) fn set_node(&mut self, object: Arc<Node>) -> NodeIx {
        let name = object.metadata.name.clone().unwrap_or_default();
        let node = self.slot(&name);
        let before = self.nodes.row(node).object.clone();
        let same_labels = before.as_ref().is_some_and(|before| before.metadata.labels == object.metadata.labels);
        if before.as_deref().is_none_or(|before| images(before) != images(&object)) {
            self.images.set(node, &mut self.nodes.rows[node.0].images, &object);
        }
        if same_labels {
            self.nodes.enter(node, object);
        } else {
            let change = Relabelling { old: before.as_deref(), new: Some(&object) };
            self.relabel(node, &change, |nodes| nodes.enter(node, Arc::clone(&object)));
        }
        self.changes.push(node);
        node
    }

    /// Takes a node out. Pods on it stay counted until they are removed.
    pub(crate) fn drop_node(&mut self, name: &str) {
        let Some(node) = self.nodes.find(name) else { return };
        if let Some(object) = self.nodes.row(node).object.clone() {
            self.images.clear(node, &mut self.nodes.rows[node.0].images);
            let change = Relabelling { old: Some(&object), new: None };
            self.relabel(node, &change, |nodes| nodes.leave(node));
        }
        self.changes.push(node);
        self.nodes.retire(node);
    }

    /// Moves a node from its old labels to the new ones, with the pods that stand on it.
    fn relabel(&mut self, node: NodeIx, labels: &Relabelling<'_>, change: impl FnOnce(&mut Nodes)) {
        let pods = self.nodes.row(node).pods.clone();
        pods.iter().for_each(|&pod| self.count(pod, -1));
        if let Some(old) = labels.old {
            self.columns.leave(node, old.metadata.labels.as_ref());
        }
        change(&mut self.nodes);
        if let Some(new) = labels.new {
            self.columns.enter(node, new.metadata.labels.as_ref());
        }
        pods.iter().for_each(|&pod| self.count(pod, 1));
    }

    fn slot(&mut self, name: &str) -> NodeIx {
        let before = self.nodes.slots();
        let node = self.nodes.slot(name);
        if self.nodes.slots() > before {
            self.columns.grow(self.nodes.slots());
            self.relations.grow(self.nodes.slots());
        }
        node
    }

    /// The pair of a matcher and a topology key.
    pub(crate) fn pair(&mut self, matcher: MatcherIx, topology_key: &str) -> PairIx {
        let column = self.columns.of_key(topology_key, &self.nodes.rows);
        self.relations.pair_of(matcher, column, &self.columns)
    }

    /// All slots of live nodes.
    pub(crate) fn live_nodes(&self) -> impl Iterator<Item = NodeIx> {
        self.nodes.rows.iter().enumerate().filter(|(_, row)| row.live()).map(|(slot, _)| NodeIx(slot))
    }

    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }
}

fn images(node: &Node) -> &[ContainerImage] {
    let images = node.status.as_ref().and_then(|status| status.images.as_deref());
    images.unwrap_or_default()
}

// === impl Snapshot: pods ===

impl Snapshot {
    /// Puts a pod on a node, which need not be known yet.
    pub(crate) fn place(&mut self, subject: Arc<Subject>, node_name: &str) -> PodIx {
        let node = self.slot(node_name);
        let key = LabelSetKey {
            namespace: subject.shape.namespace.clone(),
            labels: subject.shape.labels.clone(),
            terminating: subject.terminating(),
        };
        let label_set = self.relations.hold_label_set(key);
        self.nodes.charge(node, &subject.usage, 1);
        let row = &mut self.nodes.rows[node.0];
        row.ports.extend_from_slice(&subject.shape.ports);
        *row.priorities.entry(subject.priority).or_default() += 1;
        for claim in &subject.shape.claims {
            *self.claim_users.entry(claim.key.clone()).or_default() += 1;
        }
        let pod = PodIx(self.pods.insert(Placed { subject, node, label_set }));
        self.nodes.rows[node.0].pods.push(pod);
        self.count(pod, 1);
        self.changes.push(node);
        pod
    }

    /// Takes a pod off its node.
    pub(crate) fn remove(&mut self, pod: PodIx) {
        self.count(pod, -1);
        let Placed { subject, node, label_set } = self.pods.remove(pod.0);
        self.relations.release_label_set(label_set);
        self.nodes.charge(node, &subject.usage, -1);
        let row = &mut self.nodes.rows[node.0];
        row.pods.retain(|&other| other != pod);
        for port in &subject.shape.ports {
            if let Some(at) = row.ports.iter().position(|other| other == port) {
                row.ports.swap_remove(at);
            }
        }
        if let Some(count) = row.priorities.get_mut(&subject.priority) {
            *count -= 1;
            if *count == 0 {
                row.priorities.remove(&subject.priority);
            }
        }
        for claim in &subject.shape.claims {
            if let Some(users) = self.claim_users.get_mut(&claim.key) {
                *users -= 1;
                if *users == 0 {
                    self.claim_users.remove(&claim.key);
                }
            }
        }
        self.changes.push(node);
        self.nodes.retire(node);
    }

    /// Replaces the object of a pod that counts the same as before; returns whether it does.
    pub(crate) fn refresh(&mut self, pod: PodIx, subject: &Arc<Subject>) -> bool {
        let placed = self.pods.get_mut(pod.0);
        let before = &placed.subject;
        let same = Arc::ptr_eq(&before.shape, &subject.shape)
            && before.usage == subject.usage
            && before.priority == subject.priority
            && before.terminating() == subject.terminating();
        if same {
            placed.subject = Arc::clone(subject);
        }
        same
    }

    fn count(&mut self, pod: PodIx, sign: i64) {
        let placed = self.pods.get(pod.0);
        let (relations, columns) = (&mut self.relations, &self.columns);
        if sign > 0 {
            relations.pod_enters(pod, placed.label_set, placed.node, columns);
        } else {
            relations.pod_leaves(pod, placed.label_set, placed.node, columns);
        }
        for &term in placed.subject.shape.owned() {
            relations.count_owner(term, placed.node, columns, sign);
        }
    }

    /// Takes a namespace's labels in; returns whether that changed who matches whom.
    pub(crate) fn namespace_changes(&mut self, name: &str, labels: Option<Labels>) -> bool {
        self.relations.namespace_changes(name, labels, &self.columns)
    }

    pub(crate) fn pod(&self, pod: PodIx) -> &Placed {
        self.pods.get(pod.0)
    }

    /// The label set under which a placed pod is counted.
    pub(crate) fn label_set(&self, pod: PodIx) -> LabelSetIx {
        self.pods.get(pod.0).label_set
    }

    /// How many pods on nodes mount the claim.
    pub(crate) fn claim_users(&self, key: &str) -> usize {
        self.claim_users.get(key).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
