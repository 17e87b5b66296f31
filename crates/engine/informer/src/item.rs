//! What can be cached: typed kinds, and trees of any resource.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use client::{Error, Known};
use compact_str::{CompactString, format_compact};
use object::{Meta, Value};
use plan::{Index, Key, controller_of, meta};
use typed::Kind;
use typed::api::core::v1::Pod;

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Something a cache holds.
pub trait Item: Debug + Send + Sync + Sized + 'static {
    /// Reads the object.
    fn read(tree: Value) -> Result<Self, Error>;

    /// Reads the object, unless somebody in this process has read it already and still holds it.
    fn read_shared(tree: Value, _known: &Known) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self::read(tree)?))
    }

    /// Namespace and name.
    fn key(&self) -> Key;
    /// `metadata.uid`.
    fn identity(&self) -> &str;
    /// `metadata.resourceVersion`.
    fn resource_version(&self) -> &str;
    /// Whether deletion has been asked for.
    fn is_deleting(&self) -> bool;
    /// Under which value of an index it stands.
    fn index_value(&self, index: Index) -> Option<CompactString>;

    /// The revision as a number; 0 when it is none (revisions of one server are comparable, KEP-5504).
    fn revision(&self) -> u64 {
        revision(self.resource_version())
    }
}

/// A revision as a number; 0 when it is none.
pub(crate) fn revision(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

impl<K: Kind> Item for K {
    fn read(tree: Value) -> Result<Self, Error> {
        Ok(K::from_tree(&tree)?)
    }

    fn read_shared(tree: Value, known: &Known) -> Result<Arc<Self>, Error> {
        let meta = Meta::of(&tree);
        match known.find(meta.uid(), meta.resource_version()) {
            Some(held) => Ok(held),
            None => Ok(known.share(Self::read(tree)?)),
        }
    }

    fn key(&self) -> Key {
        Key::new(self.namespace(), self.name())
    }

    fn identity(&self) -> &str {
        self.uid()
    }

    fn resource_version(&self) -> &str {
        self.meta().resource_version.as_deref().unwrap_or_default()
    }

    fn is_deleting(&self) -> bool {
        meta::is_deleting(self.meta())
    }

    fn index_value(&self, index: Index) -> Option<CompactString> {
        let about = self.meta();
        match index {
            Index::Namespace => Some(meta::namespace(about).into()),
            Index::Controller => controller_of(about).map(|owner| owner.uid.as_str().into()),
            Index::Uncontrolled => controller_of(about).is_none().then(|| meta::namespace(about).into()),
            Index::Node => {
                let pod = (self as &dyn Any).downcast_ref::<Pod>()?;
                let node = pod.spec.as_ref()?.node_name.as_deref()?;
                (!node.is_empty()).then(|| node.into())
            }
            Index::Service => {
                let service = meta::label(about, SERVICE_NAME)?;
                Some(format_compact!("{}/{service}", meta::namespace(about)))
            }
            Index::Selected => plan::selected_label((self as &dyn Any).downcast_ref()?),
        }
    }
}

/// An object of any resource. Names its kind; holds metadata alone when that was all that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree(pub Value);

impl Tree {
    /// The object's metadata.
    pub fn meta(&self) -> Meta<'_> {
        Meta::of(&self.0)
    }
}

impl Item for Tree {
    fn read(mut tree: Value) -> Result<Self, Error> {
        // As in typed kinds: nobody reads them, and they are a third of an object.
        tree.remove(&["metadata", "managedFields"]);
        Ok(Tree(tree))
    }

    fn key(&self) -> Key {
        Key::new(self.meta().namespace(), self.meta().name())
    }

    fn identity(&self) -> &str {
        self.meta().uid()
    }

    fn resource_version(&self) -> &str {
        self.meta().resource_version()
    }

    fn is_deleting(&self) -> bool {
        self.meta().is_deleting()
    }

    fn index_value(&self, index: Index) -> Option<CompactString> {
        let about = self.meta();
        let controller = || about.owner_references().find(|owner| owner.controller);
        match index {
            Index::Namespace => Some(about.namespace().into()),
            Index::Controller => controller().map(|owner| owner.uid.into()),
            Index::Uncontrolled => controller().is_none().then(|| about.namespace().into()),
            Index::Node => self.0.str_at(&["spec", "nodeName"]).filter(|node| !node.is_empty()).map(Into::into),
            Index::Service => {
                let service = self.0.str_at(&["metadata", "labels", SERVICE_NAME])?;
                Some(format_compact!("{}/{service}", about.namespace()))
            }
            // Services are known by their type.
            Index::Selected => None,
        }
    }
}
