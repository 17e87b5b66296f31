//! An object's metadata, read and changed through names instead of string keys.

use jiff::Timestamp;

use crate::{Value, timestamp};

/// Reads the metadata of the object `value`.
#[derive(Debug, Clone, Copy)]
pub struct Meta<'a>(&'a Value);

/// One entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerReference<'a> {
    /// The owner's `apiVersion`.
    pub api_version: &'a str,
    /// The owner's kind.
    pub kind: &'a str,
    /// The owner's name.
    pub name: &'a str,
    /// The owner's uid.
    pub uid: &'a str,
    /// Whether it is the managing controller.
    pub controller: bool,
    /// Whether a foreground deletion of the owner waits for this object.
    pub block_owner_deletion: bool,
}

impl<'a> Meta<'a> {
    /// The metadata of `object`.
    pub fn of(object: &'a Value) -> Meta<'a> {
        Meta(object)
    }

    /// `metadata.name`, empty when unset.
    pub fn name(self) -> &'a str {
        self.text("name")
    }

    /// `metadata.generateName`, empty when unset.
    pub fn generate_name(self) -> &'a str {
        self.text("generateName")
    }

    /// `metadata.namespace`, empty for cluster-scoped objects.
    pub fn namespace(self) -> &'a str {
        self.text("namespace")
    }

    /// `metadata.uid`, empty when unset.
    pub fn uid(self) -> &'a str {
        self.text("uid")
    }

    /// `metadata.resourceVersion`, empty when unset.
    pub fn resource_version(self) -> &'a str {
        self.text("resourceVersion")
    }

    /// `metadata.generation`, 0 when unset.
    pub fn generation(self) -> i64 {
        self.0.int_at(&["metadata", "generation"]).unwrap_or(0)
    }

    /// `metadata.deletionTimestamp`, when deletion has begun.
    pub fn deletion_timestamp(self) -> Option<Timestamp> {
        timestamp::parse(self.0.str_at(&["metadata", "deletionTimestamp"])?)
    }

    /// Whether deletion has begun.
    pub fn is_deleting(self) -> bool {
        self.0.at(&["metadata", "deletionTimestamp"]).is_some_and(|value| !value.is_null())
    }

    /// `metadata.deletionGracePeriodSeconds`.
    pub fn deletion_grace_seconds(self) -> Option<i64> {
        self.0.int_at(&["metadata", "deletionGracePeriodSeconds"])
    }

    /// `metadata.finalizers`.
    pub fn finalizers(self) -> impl Iterator<Item = &'a str> {
        self.0.list_at(&["metadata", "finalizers"]).iter().filter_map(Value::as_str)
    }

    /// The label `key`.
    pub fn label(self, key: &str) -> Option<&'a str> {
        self.0.str_at(&["metadata", "labels", key])
    }

    /// The annotation `key`.
    pub fn annotation(self, key: &str) -> Option<&'a str> {
        self.0.str_at(&["metadata", "annotations", key])
    }

    /// `metadata.ownerReferences`.
    pub fn owner_references(self) -> impl Iterator<Item = OwnerReference<'a>> {
        self.0.list_at(&["metadata", "ownerReferences"]).iter().map(|entry| OwnerReference {
            api_version: entry.str_at(&["apiVersion"]).unwrap_or_default(),
            kind: entry.str_at(&["kind"]).unwrap_or_default(),
            name: entry.str_at(&["name"]).unwrap_or_default(),
            uid: entry.str_at(&["uid"]).unwrap_or_default(),
            controller: entry.at(&["controller"]).and_then(Value::as_bool).unwrap_or(false),
            block_owner_deletion: entry.at(&["blockOwnerDeletion"]).and_then(Value::as_bool).unwrap_or(false),
        })
    }

    fn text(self, key: &str) -> &'a str {
        self.0.str_at(&["metadata", key]).unwrap_or_default()
    }
}

/// Changes the metadata of an object.
#[derive(Debug)]
pub struct MetaMut<'a>(&'a mut Value);

impl<'a> MetaMut<'a> {
    /// The metadata of `object`, made when it is absent.
    pub fn of(object: &'a mut Value) -> MetaMut<'a> {
        if !matches!(object.get("metadata"), Some(Value::Map(_))) {
            object.set(&["metadata"], Value::map());
        }
        MetaMut(object)
    }

    /// Sets the field `key`.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.0.set(&["metadata", key], value);
        self
    }

    /// Takes the field `key` away.
    pub fn clear(&mut self, key: &str) -> &mut Self {
        self.0.remove(&["metadata", key]);
        self
    }

    /// Sets `key` to a time in whole seconds.
    pub fn set_time(&mut self, key: &str, time: Timestamp) -> &mut Self {
        self.set(key, timestamp::seconds(time))
    }
}
