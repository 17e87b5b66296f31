//! Objects at rest: keys and bytes as upstream writes them.

use std::sync::Arc;

use bytes::Bytes;
use codec::{Root, json, proto};
use kind::{Refusal, Strategy};
use object::{Meta, Value};
use store::{Key, Revision};

/// How the objects of one stored kind are kept: below which prefix, and in which form.
#[derive(Clone)]
pub struct StoredForm {
    strategy: Arc<dyn Strategy>,
    api_version: String,
    kind: String,
    prefix: String,
    protobuf: bool,
}

impl std::fmt::Debug for StoredForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredForm").field("prefix", &self.prefix).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl StoredForm {
    /// The form of a kind, given the strategy of its storage version. Built-in kinds are stored as protobuf, custom
    /// ones as JSON.
    pub fn new(strategy: Arc<dyn Strategy>, protobuf: bool) -> StoredForm {
        let row = strategy.resource();
        StoredForm {
            api_version: row.stored.api_version.to_string(),
            kind: row.kind.to_string(),
            prefix: format!("/registry/{}/", row.stored.prefix),
            protobuf,
            strategy,
        }
    }

    /// The strategy of the storage version.
    pub fn strategy(&self) -> &Arc<dyn Strategy> {
        &self.strategy
    }

    /// The keys of all objects begin with this.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The prefix of the keys in `namespace`; of all keys when it is empty.
    pub fn namespace_prefix(&self, namespace: &str) -> String {
        if namespace.is_empty() { self.prefix.clone() } else { format!("{}{namespace}/", self.prefix) }
    }

    /// The key of an object.
    pub fn key(&self, namespace: &str, name: &str) -> Key {
        Key::from(format!("{}{name}", self.namespace_prefix(namespace)))
    }

    /// Whether the kind has a protobuf message.
    pub(crate) fn is_protobuf(&self) -> bool {
        self.protobuf
    }

    fn root(&self) -> Root<'_> {
        let (schema, id) = self.strategy.root();
        Root { schema, id }
    }

    /// The bytes of an object. The revision is not part of them: the store knows it.
    pub fn encode(&self, object: &Value) -> Bytes {
        if self.protobuf && Meta::of(object).resource_version().is_empty() {
            return proto::seal(object, self.root(), &self.api_version, &self.kind).into();
        }
        let mut object = object.clone();
        object.remove(&["metadata", "resourceVersion"]);
        if self.protobuf {
            proto::seal(&object, self.root(), &self.api_version, &self.kind).into()
        } else {
            object.set(&["apiVersion"], self.api_version.as_str());
            object.set(&["kind"], self.kind.as_str());
            let mut text = json::encode(&object, self.root());
            text.push(b'\n');
            text.into()
        }
    }

    /// Reads stored bytes and gives the object its revision and its defaults.
    pub fn decode(&self, bytes: &[u8], revision: Revision) -> Result<Value, Refusal> {
        let decoded = if bytes.starts_with(proto::MAGIC) {
            proto::open(bytes).and_then(|envelope| proto::decode(envelope.message, self.root()))
        } else {
            json::decode(bytes, self.root())
        };
        let mut object =
            decoded.map_err(|error| Refusal::Internal(format!("a stored object cannot be read: {error}")))?.value;
        object.set(&["apiVersion"], self.api_version.as_str());
        object.set(&["kind"], self.kind.as_str());
        object.set(&["metadata", "resourceVersion"], revision.to_string());
        self.strategy.default(&mut object);
        Ok(object)
    }

    /// Whether `object` is stored under the name its metadata says.
    pub(crate) fn key_of(&self, object: &Value) -> Key {
        let meta = Meta::of(object);
        self.key(meta.namespace(), meta.name())
    }
}
