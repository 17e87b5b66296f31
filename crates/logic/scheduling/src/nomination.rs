//! Pods for which preemption made room on a node and which have not been placed yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::shape::Subject;

/// Nominated pods by node.
#[derive(Debug, Default)]
pub(crate) struct Nominations {
    by_node: BTreeMap<String, Vec<Arc<Subject>>>,
    node_of: BTreeMap<Arc<str>, String>,
}

impl Nominations {
    /// Nominates a pod to a node, or withdraws the nomination.
    pub(crate) fn set(&mut self, subject: &Arc<Subject>, node: Option<&str>) {
        self.remove(&subject.uid);
        if let Some(node) = node {
            self.node_of.insert(Arc::clone(&subject.uid), node.to_owned());
            self.by_node.entry(node.to_owned()).or_default().push(Arc::clone(subject));
        }
    }

    pub(crate) fn remove(&mut self, uid: &str) {
        let Some(node) = self.node_of.remove(uid) else { return };
        if let Some(pods) = self.by_node.get_mut(&node) {
            pods.retain(|pod| &*pod.uid != uid);
            if pods.is_empty() {
                self.by_node.remove(&node);
            }
        }
    }

    /// The node a pod is nominated to.
    pub(crate) fn node_of(&self, uid: &str) -> Option<&str> {
        self.node_of.get(uid).map(String::as_str)
    }

    /// All nodes to which pods are nominated.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &str> {
        self.by_node.keys().map(String::as_str)
    }

    /// The other pods nominated to `node` that are at least as important as `subject`.
    pub(crate) fn at(&self, node: &str, subject: &Subject) -> Vec<Arc<Subject>> {
        let Some(pods) = self.by_node.get(node) else { return Vec::new() };
        let before = |pod: &&Arc<Subject>| pod.priority >= subject.priority && pod.uid != subject.uid;
        pods.iter().filter(before).cloned().collect()
    }

    /// The pods nominated to `node` that are less important than `priority`.
    pub(crate) fn below(&self, node: &str, priority: i32) -> Vec<Arc<Subject>> {
        let pods = self.by_node.get(node).into_iter().flatten();
        pods.filter(|pod| pod.priority < priority).cloned().collect()
    }
}
