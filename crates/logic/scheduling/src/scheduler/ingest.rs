//! Taking changes in.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use typed::api::core::v1::{Node, Service};
use typed::meta::{LabelSelector, ObjectMeta};

use crate::event::{Diff, Event, NodeAspects};
use crate::message::{Change, Input, Output};
use crate::scheduler::Scheduler;
use crate::selector::Selector;
use crate::storage::exchange;

impl Scheduler {
    pub(super) fn ingest(&mut self, input: Input, now: Timestamp, outputs: &mut Vec<Output>) {
        match input {
            Input::Pod(change) => self.pod_changes(change, now, outputs),
            Input::Node(change) => self.node_changes(change, now),
            Input::Bound { uid } => self.bound(&uid, outputs),
            Input::BindFailed { uid, message } => self.bind_failed(&uid, &message, now, outputs),
            Input::Evicted { uid } => self.evicted(&uid, now, outputs),
            Input::EvictFailed { uid } => self.eviction_failed(&uid, now),
            Input::Namespace(change) => {
                let (object, present) = change.split();
                let name = object.metadata.name.clone().unwrap_or_default();
                let labels = present.then(|| object.metadata.labels.clone().unwrap_or_default());
                if self.snapshot.namespace_changes(&name, labels) {
                    self.announce(&Event::Namespace, now);
                }
            }
            Input::Budget(change) => {
                let (object, present) = change.split();
                let key = key(&object.metadata);
                exchange(&mut self.budgets, key, present.then_some(object));
            }
            Input::Service(change) => {
                let (object, present) = change.split();
                self.service_changes(&object, present);
            }
            Input::ReplicationController(change) => {
                let (object, present) = change.split();
                let labels = object.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
                let selector = present.then(|| Selector::of_labels(&labels));
                self.groups.set_owner("ReplicationController", key(&object.metadata), selector);
            }
            Input::ReplicaSet(change) => {
                let (object, present) = change.split();
                let selector = object.spec.as_ref().map(|spec| &spec.selector);
                self.owner_changes("ReplicaSet", &object.metadata, selector.filter(|_| present));
            }
            Input::StatefulSet(change) => {
                let (object, present) = change.split();
                let selector = object.spec.as_ref().map(|spec| &spec.selector);
                self.owner_changes("StatefulSet", &object.metadata, selector.filter(|_| present));
            }
            storage => self.storage_changes(storage, now),
        }
    }

    fn storage_changes(&mut self, input: Input, now: Timestamp) {
        let storage = &mut self.storage;
        let event = match input {
            Input::Claim(change) => Event::Claim(swap(&mut storage.claims, change, |claim| &claim.metadata)),
            Input::Volume(change) => Event::Volume(swap(&mut storage.volumes, change, |volume| &volume.metadata)),
            Input::StorageClass(change) => {
                Event::StorageClass(swap(&mut storage.classes, change, |class| &class.metadata))
            }
            Input::CsiNode(change) => Event::CsiNode(swap(&mut storage.csi_nodes, change, |node| &node.metadata)),
            Input::CsiDriver(change) => {
                Event::CsiDriver(swap(&mut storage.csi_drivers, change, |driver| &driver.metadata))
            }
            Input::CsiCapacity(change) => {
                Event::CsiCapacity(swap(&mut storage.capacities, change, |capacity| &capacity.metadata))
            }
            Input::Attachment(Change::Gone(_)) => Event::Detached,
            _ => return,
        };
        self.announce(&event, now);
    }

    fn node_changes(&mut self, change: Change<Node>, now: Timestamp) {
        let (object, present) = change.split();
        let name = object.metadata.name.clone().unwrap_or_default();
        let old = self.snapshot.nodes.find(&name).and_then(|node| self.snapshot.nodes.row(node).object.clone());
        if present {
            self.snapshot.set_node(Arc::clone(&object));
        } else {
            self.snapshot.drop_node(&name);
        }
        let diff = Diff { old, new: present.then_some(object) };
        if let Some(aspects) = NodeAspects::between(&diff) {
            self.announce(&Event::Node(aspects, diff), now);
        }
    }

    fn service_changes(&mut self, service: &Service, present: bool) {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
        let selector = selector.filter(|labels| present && !labels.is_empty());
        let metadata = &service.metadata;
        let namespace = metadata.namespace.as_deref().unwrap_or_default();
        self.groups.set_service(namespace, metadata.name.as_deref().unwrap_or_default(), selector);
    }

    fn owner_changes(&mut self, kind: &'static str, metadata: &ObjectMeta, selector: Option<&LabelSelector>) {
        let selector = selector.map(|selector| Selector::new(Some(selector)));
        self.groups.set_owner(kind, key(metadata), selector);
    }
}

fn swap<T>(into: &mut BTreeMap<String, Arc<T>>, change: Change<T>, metadata: impl Fn(&T) -> &ObjectMeta) -> Diff<T> {
    let (object, present) = change.split();
    let key = key(metadata(&object));
    exchange(into, key, present.then_some(object))
}

/// `namespace/name`, or the name alone.
fn key(metadata: &ObjectMeta) -> String {
    let name = metadata.name.as_deref().unwrap_or_default();
    match metadata.namespace.as_deref() {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}/{name}"),
        _ => name.to_owned(),
    }
}
