//! An object on its way into the store: encoded once, and announced to the cache before the store's watch tells of it.
//!
//! What a writer has at hand is what the cache would have to find out again from the bytes: so the writer leaves it
//! there ([`Cache::announce`]), and as long as it holds the tree for its own answer, watchers encode from that tree.

use std::sync::Arc;

use bytes::Bytes;
use kind::Refusal;
use object::Value;
use store::{Key, Revision};

use crate::Registry;
use crate::cache::Facts;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Bytes,
    facts: Arc<Facts>,
    /// The tree that the bytes read as, in the version of the request; `None` when that has to be converted.
    tree: Option<Value>,
}

impl Registry {
    /// Encodes a canonical object for the store.
    pub(crate) fn outgoing(&self, mut object: Value) -> Outgoing {
        object.remove(&["metadata", "resourceVersion"]);
        if self.strategy.resource().converts() {
            let stored = self.strategy.stored(object);
            let bytes = self.stored.encode(&stored);
            return Outgoing { bytes, facts: Arc::new(Facts::of_written(&stored, &self.stored)), tree: None };
        }
        let bytes = self.stored.encode(&object);
        Outgoing { bytes, facts: Arc::new(Facts::of_written(&object, &self.stored)), tree: Some(object) }
    }

    /// Tells the cache what it will hear of.
    pub(crate) fn announce(&self, key: &Key, outgoing: &Outgoing) {
        self.cache.announce(key.clone(), outgoing.bytes.clone(), Arc::clone(&outgoing.facts));
    }

    /// The object as its stored bytes say it: what is answered is what will be read. Revision zero stands for none.
    pub(crate) fn arrived(&self, outgoing: Outgoing, revision: Revision) -> Result<Arc<Value>, Refusal> {
        let Some(mut tree) = outgoing.tree else { return Ok(Arc::new(self.as_stored(&outgoing.bytes, revision)?)) };
        let row = self.strategy.resource();
        tree.set(&["apiVersion"], row.api_version());
        tree.set(&["kind"], row.kind.clone());
        if revision != Revision::ZERO {
            tree.set(&["metadata", "resourceVersion"], revision.to_string());
        }
        debug_assert_eq!(Ok(&tree), self.as_stored(&outgoing.bytes, revision).as_ref(), "it reads as it was written");
        let tree = Arc::new(tree);
        outgoing.facts.lend(&tree);
        Ok(tree)
    }
}
