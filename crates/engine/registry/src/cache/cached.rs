//! One object at one revision, immutable and shared.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use kind::Refusal;
use object::selector::{FieldSelector, LabelSelector};
use object::{Meta, Text, Value};
use parking_lot::Mutex;
use store::{Key, Revision};

use crate::StoredForm;
use crate::form::{Encoded, Form};

/// What selectors ask of an object, read once: by whoever writes it, or when it is first heard of.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    labels: Box<[(Text, Text)]>,
    fields: Box<[(&'static str, Text)]>,
    complete: bool,
    /// The tree, while its writer still needs it.
    lent: OnceLock<Weak<Value>>,
}

impl Facts {
    /// Of an object that was stored by somebody, some time.
    pub(crate) fn of(tree: &Value, form: &StoredForm) -> Facts {
        let labels = tree.at(&["metadata", "labels"]).and_then(Value::as_map);
        let labels = labels.into_iter().flat_map(object::Map::iter);
        let labels = labels.filter_map(|(key, value)| Some((Text::from(key), Text::from(value.as_str()?)))).collect();
        let fields = form.strategy().selectable_fields(tree).into_boxed_slice();
        Facts { labels, fields, complete: false, lent: OnceLock::new() }
    }

    /// Of an object that has its defaults and is being stored.
    pub(crate) fn of_written(tree: &Value, form: &StoredForm) -> Facts {
        Facts { complete: true, ..Facts::of(tree, form) }
    }

    /// Lends the stored object for as long as somebody else holds it.
    pub(crate) fn lend(&self, tree: &Arc<Value>) {
        self.lent.get_or_init(|| Arc::downgrade(tree));
    }

    /// The tree at `revision`.
    fn lent(&self, revision: Revision) -> Option<Arc<Value>> {
        let tree = self.lent.get()?.upgrade()?;
        let is_it = Meta::of(&tree).resource_version().parse() == Ok(revision.0);
        is_it.then_some(tree)
    }
}

/// An object as it is at one revision.
pub struct Cached {
    key: Key,
    revision: Revision,
    stored: Bytes,
    facts: Arc<Facts>,
    /// Encodings made so far; nearly always one.
    forms: Mutex<Vec<(Form, Encoded)>>,
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
        let facts = Arc::new(Facts::of(&form.decode(&stored, revision)?, form));
        Ok(Cached::with_facts(key, revision, stored, facts))
    }

    /// Like [`Cached::new`], when the facts are at hand.
    pub(crate) fn with_facts(key: Key, revision: Revision, stored: Bytes, facts: Arc<Facts>) -> Cached {
        Cached { key, revision, stored, facts, forms: Mutex::new(Vec::new()), tree: OnceLock::new() }
    }

    /// An object of which nothing but its place is looked at.
    #[cfg(test)]
    pub(super) fn bare(key: &str, revision: Revision) -> Cached {
        Cached::with_facts(Key::from(key), revision, Bytes::from_static(b"stored"), Arc::default())
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

    /// The tree, in the storage version: that of its writer as long as there is one, or decoded.
    pub(crate) fn view(&self, form: &StoredForm) -> Result<Arc<Value>, Refusal> {
        match self.facts.lent(self.revision) {
            Some(tree) => Ok(tree),
            None => form.decode(&self.stored, self.revision).map(Arc::new),
        }
    }

    /// Whether the stored bytes say everything that readers are told, except for the revision: nothing has to be filled
    /// in as they are read.
    pub(crate) fn is_complete(&self) -> bool {
        self.facts.complete
    }

    /// The tree, decoded at most once and kept as long as the object is of this revision.
    pub(crate) fn kept_tree(&self, form: &StoredForm) -> Result<Arc<Value>, Refusal> {
        if let Some(tree) = self.tree.get() {
            return Ok(Arc::clone(tree));
        }
        let tree = self.view(form)?;
        Ok(Arc::clone(self.tree.get_or_init(|| tree)))
    }

    /// Whether selectors choose it.
    pub(crate) fn matches(&self, labels: &LabelSelector, fields: &FieldSelector) -> bool {
        labels.matches(|key| self.label(key)) && fields.matches(|field| self.field(field))
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.facts.labels.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| value.as_str())
    }

    fn field(&self, field: &str) -> Option<&str> {
        match field {
            "metadata.name" => Some(self.name()),
            "metadata.namespace" => self.key.as_str().rsplit('/').nth(1),
            _ => self.facts.fields.iter().find(|(candidate, _)| *candidate == field).map(|(_, value)| value.as_str()),
        }
    }

    /// What `take` wants of the object in `form`, which `make` makes the first time.
    pub(crate) fn in_form<T>(
        &self,
        form: &Form,
        make: impl FnOnce() -> Result<Encoded, Refusal>,
        take: impl FnOnce(&Encoded) -> T,
    ) -> Result<T, Refusal> {
        if let Some((_, made)) = self.forms.lock().iter().find(|(candidate, _)| candidate == form) {
            return Ok(take(made));
        }
        // Made outside of the lock: two readers may do the same work once, and nobody waits for a large object.
        let made = make()?;
        let taken = take(&made);
        let mut forms = self.forms.lock();
        if !forms.iter().any(|(candidate, _)| candidate == form) {
            forms.push((form.clone(), made));
        }
        Ok(taken)
    }
}
