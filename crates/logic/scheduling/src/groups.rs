//! Which pods belong together: the services and controllers whose selectors the default spread constraints use.

use std::collections::{BTreeMap, HashMap};

use typed::api::core::v1::Pod;

use crate::selector::{Labels, Selector};
use crate::shape::controller;

/// Selectors of services and controllers.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    services: BTreeMap<String, BTreeMap<String, Labels>>,
    /// By kind and `namespace/name`.
    owners: HashMap<(&'static str, String), Selector>,
    epoch: u64,
}

impl Groups {
    /// Counts changes; what was derived under another epoch is stale.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes a service's selector in (`None`: it is gone or has none).
    pub(crate) fn set_service(&mut self, namespace: &str, name: &str, selector: Option<Labels>) {
        let services = self.services.entry(namespace.to_owned()).or_default();
        let before = match selector.clone() {
            Some(selector) => services.insert(name.to_owned(), selector),
            None => services.remove(name),
        };
        if services.is_empty() {
            self.services.remove(namespace);
        }
        self.epoch += u64::from(before != selector);
    }

    /// Takes a controller's selector in (`None`: it is gone).
    pub(crate) fn set_owner(&mut self, kind: &'static str, key: String, selector: Option<Selector>) {
        let before = match selector.clone() {
            Some(selector) => self.owners.insert((kind, key), selector),
            None => self.owners.remove(&(kind, key)),
        };
        self.epoch += u64::from(before != selector);
    }

    /// The selector of the group that the pod belongs to, if any.
    pub(crate) fn selector(&self, pod: &Pod) -> Option<Selector> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let empty = Labels::new();
        let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
        let mut merged = Labels::new();
        for selector in self.services.get(namespace).into_iter().flat_map(BTreeMap::values) {
            if Selector::of_labels(selector).matches(labels) {
                merged.extend(selector.clone());
            }
        }
        let mut selector = Selector::of_labels(&merged);
        if let Some(owner) = controller(pod) {
            let kind = OWNER_KINDS.iter().find(|kind| **kind == owner.kind);
            let own = kind.and_then(|kind| self.owners.get(&(*kind, format!("{namespace}/{}", owner.name))));
            own.into_iter().for_each(|own| selector.and(own));
        }
        (!selector.is_everything()).then_some(selector)
    }
}

/// Controllers whose selectors group pods.
const OWNER_KINDS: [&str; 3] = ["ReplicationController", "ReplicaSet", "StatefulSet"];
