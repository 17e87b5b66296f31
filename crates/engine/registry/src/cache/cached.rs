//! One object at one revision, immutable and shared.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use kind::Refusal;
use object::selector::{FieldSelector, LabelSelector};
use object::{Text, Value};
use parking_lot::Mutex;
use store::{Key, Revision};

use crate::StoredForm;
use crate::form::Form;

/// An object as it is at one revision.
pub struct Cached {
    key: Key,
    revision: Revision,
    stored: Bytes,
    labels: Box<[(Text, Text)]>,
    fields: Box<[(&'static str, Text)]>,
    /// Encodings made so far; nearly always one.
    forms: Mutex<Vec<(Form, Bytes)>>,
    /// The tree, for the few kinds that the server itself looks up again and again.
    tree: OnceLock<Arc<Value>>,
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").field("key", &self.key).field("revision", &self.revision).finish_non_exhaustive()
    }
}

impl Cached {
    /// Reads what selectors need out of stored bytes.
    pub(crate) fn new(key: Key, revision: Revision, stored: Bytes, form: &StoredForm) -> Result<Cached, Refusal> {
        let tree = form.decode(&stored, revision)?;
        Ok(Cached::of_tree(key, revision, stored, &tree, form))
    }

    /// Like [`Cached::new`], when the tree is at hand.
    pub(crate) fn of_tree(key: Key, revision: Revision, stored: Bytes, tree: &Value, form: &StoredForm) -> Cached {
        let labels = tree.at(&["metadata", "labels"]).and_then(Value::as_map);
        let labels = labels.into_iter().flat_map(object::Map::iter);
        let labels = labels.filter_map(|(key, value)| Some((Text::from(key), Text::from(value.as_str()?)))).collect();
        let fields = form.strategy().selectable_fields(tree).into_boxed_slice();
        Cached { key, revision, stored, labels, fields, forms: Mutex::new(Vec::new()), tree: OnceLock::new() }
    }

    /// An object of which nothing but its place is looked at.
    #[cfg(test)]
    pub(super) fn bare(key: &str, revision: Revision) -> Cached {
        let (labels, fields) = (Box::default(), Box::default());
        let (key, stored) = (Key::from(key), Bytes::from_static(b"stored"));
        Cached { key, revision, stored, labels, fields, forms: Mutex::default(), tree: OnceLock::new() }
    }

    /// Where it is stored.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Of which revision it is.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The stored bytes.
    pub fn stored(&self) -> &Bytes {
        &self.stored
    }

    /// The object's name: the last segment of its key.
    pub fn name(&self) -> &str {
        self.key.as_str().rsplit('/').next().unwrap_or_default()
    }

    /// The tree, in the storage version.
    pub fn tree(&self, form: &StoredForm) -> Result<Value, Refusal> {
        form.decode(&self.stored, self.revision)
    }

    /// The tree, decoded at most once and kept as long as the object is of this revision.
    pub(crate) fn kept_tree(&self, form: &StoredForm) -> Result<Arc<Value>, Refusal> {
        if let Some(tree) = self.tree.get() {
            return Ok(Arc::clone(tree));
        }
        let tree = Arc::new(self.tree(form)?);
        Ok(Arc::clone(self.tree.get_or_init(|| tree)))
    }

    /// Whether selectors choose it.
    pub(crate) fn matches(&self, labels: &LabelSelector, fields: &FieldSelector) -> bool {
        labels.matches(|key| self.label(key)) && fields.matches(|field| self.field(field))
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| value.as_str())
    }

    fn field(&self, field: &str) -> Option<&str> {
        match field {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => self.key.as_str().rsplit('/').nth(1),
            _ => self.fields.iter().find(|(candidate, _)| *candidate == field).map(|(_, value)| value.as_str()),
        }
    }

    /// The object in `form`, made by `make` the first time.
    pub(crate) fn in_form(&self, form: &Form, make: impl FnOnce() -> Result<Bytes, Refusal>) -> Result<Bytes, Refusal> {
        if let Some((_, bytes)) = self.forms.lock().iter().find(|(candidate, _)| candidate == form) {
            return Ok(bytes.clone());
        }
        // Made outside of the lock: two readers may do the same work once, and nobody waits for a large object.
        let bytes = make()?;
        let mut forms = self.forms.lock();
        if !forms.iter().any(|(candidate, _)| candidate == form) {
            forms.push((form.clone(), bytes.clone()));
        }
        Ok(bytes)
    }
}
