//! Read-only, indexed views of what an informer has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use compact_str::CompactString;
use typed::api::core::v1::Service;
use typed::meta::ObjectMeta;

use crate::{Kind, controller_of, meta};

/// The name of one thing to reconcile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Empty for cluster-scoped objects.
    pub namespace: CompactString,
    /// The object's name.
    pub name: CompactString,
}

impl Key {
    /// A key in a namespace.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// A cluster-scoped key.
    #[must_use]
    pub fn cluster(name: &str) -> Self {
        Self::new("", name)
    }

    /// The key of an object.
    #[must_use]
    pub fn of<K: Kind>(object: &K) -> Self {
        Self::new(meta::namespace(object.meta()), meta::name(object.meta()))
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            out.write_str(&self.name)
        } else {
            write!(out, "{}/{}", self.namespace, self.name)
        }
    }
}

/// The ways in which views can be searched without a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// By namespace.
    Namespace,
    /// By the uid of the controlling owner.
    Controller,
    /// Objects without a controlling owner, by namespace.
    Uncontrolled,
    /// Pods by `spec.nodeName`.
    Node,
    /// EndpointSlices by `namespace/service-name`, from the label `kubernetes.io/service-name`.
    Service,
    /// Services by the first label that they select, as [`label_value`] writes it: whatever they select has it.
    Selected,
}

/// A consistent read-only view of all objects of one kind.
pub trait View<T: Kind>: Debug {
    /// One object.
    fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>>;
    /// All objects, in key order.
    fn all(&self) -> Vec<Arc<T>>;
    /// The objects under one value of an index, in key order.
    fn by(&self, index: Index, value: &str) -> Vec<Arc<T>>;

    /// All objects of a namespace.
    fn within(&self, namespace: &str) -> Vec<Arc<T>> {
        self.by(Index::Namespace, namespace)
    }
    /// The objects controlled by an owner.
    fn controlled_by(&self, uid: &str) -> Vec<Arc<T>> {
        self.by(Index::Controller, uid)
    }
    /// The objects of a namespace that nobody controls.
    fn uncontrolled(&self, namespace: &str) -> Vec<Arc<T>> {
        self.by(Index::Uncontrolled, namespace)
    }
    /// The objects of a namespace that carry all of `labels`, in key order. Views that know objects by their labels need not
    /// look at the others.
    fn labelled(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Vec<Arc<T>> {
        self.within(namespace).into_iter().filter(|object| carries(object.meta(), labels)).collect()
    }
    /// The objects on a node.
    fn on_node(&self, node: &str) -> Vec<Arc<T>> {
        self.by(Index::Node, node)
    }
}

/// Under which value of an index an object stands, if any.
#[must_use]
pub fn index_value<T: Kind>(object: &T, index: Index) -> Option<CompactString> {
    let about = object.meta();
    match index {
        Index::Namespace => Some(meta::namespace(about).into()),
        Index::Controller => controller_of(about).map(|owner| owner.uid.as_str().into()),
        Index::Uncontrolled => controller_of(about).is_none().then(|| meta::namespace(about).into()),
        Index::Node => {
            let any: &dyn std::any::Any = object;
            let pod = any.downcast_ref::<typed::api::core::v1::Pod>()?;
            let node = pod.spec.as_ref()?.node_name.as_deref()?;
            (!node.is_empty()).then(|| node.into())
        }
        Index::Service => {
            let service = meta::label(about, "kubernetes.io/service-name")?;
            Some(compact_str::format_compact!("{}/{}", meta::namespace(about), service))
        }
        Index::Selected => {
            let any: &dyn std::any::Any = object;
            selected_label(any.downcast_ref()?)
        }
    }
}

/// The value of [`Index::Selected`] for a Service with a selector.
#[must_use]
pub fn selected_label(service: &Service) -> Option<CompactString> {
    let selector = service.spec.as_ref()?.selector.as_ref()?;
    let (name, value) = selector.first_key_value().map_or(("", ""), |(name, value)| (name, value));
    Some(label_value(meta::namespace(&service.metadata), name, value))
}

/// `namespace/name=value`: a label of a namespace's objects, as indexes know it. A selector that asks for nothing is known
/// under the empty name.
#[must_use]
pub fn label_value(namespace: &str, name: &str, value: &str) -> CompactString {
    compact_str::format_compact!("{namespace}/{name}={value}")
}

/// Whether an object carries all of `labels`.
#[must_use]
pub fn carries(about: &ObjectMeta, labels: &BTreeMap<String, String>) -> bool {
    let value = |name| about.labels.as_ref().and_then(|labels| labels.get(name));
    labels.iter().all(|(name, wanted)| value(name) == Some(wanted))
}

const INDEXES: [Index; 6] =
    [Index::Namespace, Index::Controller, Index::Uncontrolled, Index::Node, Index::Service, Index::Selected];

/// An in-memory view with every index kept up to date on each change.
#[derive(Debug)]
pub struct Shelf<T> {
    objects: BTreeMap<Key, Arc<T>>,
    indexes: BTreeMap<(Index, CompactString), BTreeSet<Key>>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), indexes: BTreeMap::new() }
    }
}

impl<T: Kind> Shelf<T> {
    /// Puts an object in its place, replacing an older revision.
    pub fn put(&mut self, object: Arc<T>) {
        let key = Key::of(object.as_ref());
        self.take(&key);
        for index in INDEXES {
            if let Some(value) = index_value(object.as_ref(), index) {
                self.indexes.entry((index, value)).or_default().insert(key.clone());
            }
        }
        self.objects.insert(key, object);
    }

    /// Removes an object and returns it.
    pub fn take(&mut self, key: &Key) -> Option<Arc<T>> {
        let old = self.objects.remove(key)?;
        for index in INDEXES {
            let Some(value) = index_value(old.as_ref(), index) else { continue };
            let place = (index, value);
            if let Some(keys) = self.indexes.get_mut(&place) {
                keys.remove(key);
                if keys.is_empty() {
                    self.indexes.remove(&place);
                }
            }
        }
        Some(old)
    }
}

impl<T: Kind> View<T> for Shelf<T> {
    fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.objects.get(&Key::new(namespace, name)).cloned()
    }

    fn all(&self) -> Vec<Arc<T>> {
        self.objects.values().cloned().collect()
    }

    fn by(&self, index: Index, value: &str) -> Vec<Arc<T>> {
        let keys = self.indexes.get(&(index, value.into()));
        keys.into_iter().flatten().filter_map(|key| self.objects.get(key).cloned()).collect()
    }
}
