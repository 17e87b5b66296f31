//! update and patch: one loop that edits the newest object until the store accepts it.

use std::sync::Arc;

use gate::{Attributes, Authorized};
use jiff::Timestamp;
use kind::{Context, Operation, Problem, Refusal};
use object::{Meta, MetaMut, Path, Value};
use store::{Outcome, Revision, Txn};

use crate::{Preconditions, Registry, WriteOptions, conventions, ownership, store_refusal};

/// How often an edit is tried again on a newer object before the client hears of the conflict.
const ATTEMPTS_MAX: usize = 12;

/// A change of an object, applied anew to each version of it that the loop meets.
pub trait Edit: Send + Sync {
    /// The object after the change. `old` is absent when the object does not exist.
    fn edit(&self, old: Option<&Value>, now: Timestamp) -> Result<Value, Refusal>;

    /// Whether the edit has to be judged by field ownership itself (server-side apply), so that the write does not
    /// count as an update of the manager.
    fn owns_fields(&self) -> bool {
        false
    }

    /// Whether the edit is the server's own and changes only what a rule lets it change (binding a pod): the kind's
    /// strategy, which judges what clients write, is not asked.
    fn is_trusted(&self) -> bool {
        false
    }

    /// What must hold of the object.
    fn preconditions(&self) -> Preconditions {
        Preconditions::default()
    }

    /// Whether the object is created when it does not exist.
    fn creates(&self) -> bool {
        false
    }
}

/// An object as the loop found it.
struct Found {
    tree: Value,
    stored: bytes::Bytes,
    revision: Revision,
    /// Whether it comes from the store; the cache may be behind.
    is_newest: bool,
}

/// What the loop is doing.
struct Work<'a> {
    by: &'a Authorized,
    namespace: &'a str,
    name: &'a str,
    subresource: &'a str,
    edit: &'a dyn Edit,
    options: &'a WriteOptions,
}

impl Registry {
    /// Applies `edit` to an object, or to its `subresource`. Returns the object and whether it was created.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of an address and of a write")]
    pub async fn update(
        &self,
        by: &Authorized,
        (namespace, name): (&str, &str),
        subresource: &str,
        edit: &dyn Edit,
        options: &WriteOptions,
    ) -> Result<(Arc<Value>, bool), Refusal> {
        let work = Work { by, namespace, name, subresource, edit, options };
        let mut found = self.find_cached(namespace, name).await?;
        let mut newest = false;
        for _ in 0..ATTEMPTS_MAX {
            match self.update_once(&work, found.as_ref()).await {
                // The cache may be behind the store: only a refusal of the newest object counts.
                Err(refusal) if !newest && depends_on_version(&refusal) => {
                    tracing::trace!(%refusal, "tried on a cached object");
                }
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(refusal) => return Err(refusal),
            }
            found = self.find_newest(namespace, name).await?;
            newest = true;
        }
        Err(Refusal::modified(self.strategy.resource().group_resource(), name))
    }

    async fn find_cached(&self, namespace: &str, name: &str) -> Result<Option<Found>, Refusal> {
        self.cache.ready().await?;
        let Some(cached) = self.cache.get(&self.stored.key(namespace, name)) else {
            return self.find_newest(namespace, name).await;
        };
        let tree = self.tree(&cached)?;
        Ok(Some(Found { tree, stored: cached.stored().clone(), revision: cached.revision(), is_newest: false }))
    }

    async fn find_newest(&self, namespace: &str, name: &str) -> Result<Option<Found>, Refusal> {
        let got = self.store.get(&self.stored.key(namespace, name), None).await.map_err(store_refusal)?;
        let Some(entry) = got.entry else { return Ok(None) };
        let tree = self.as_stored(&entry.value, entry.modified)?;
        Ok(Some(Found { tree, stored: entry.value, revision: entry.modified, is_newest: true }))
    }

    /// One attempt; `None` when somebody else was faster.
    async fn update_once(&self, work: &Work<'_>, found: Option<&Found>) -> Result<Option<(Arc<Value>, bool)>, Refusal> {
        let Some(found) = found else { return self.create_by_update(work).await };
        let now = env::time::now();
        let old = &found.tree;
        if let Some(violation) = work.edit.preconditions().violation(old) {
            return Err(self.conflict(work.name, violation));
        }
        let mut object = work.edit.edit(Some(old), now)?;
        self.check_identity(work, &mut object, old)?;
        let attributes = Attributes {
            operation: Operation::Update,
            resource: self.strategy.resource(),
            subresource: work.subresource,
            namespace: work.namespace,
            name: work.name,
            old: Some(old),
            dry_run: work.options.dry_run,
            now,
        };
        self.strategy.default(&mut object);
        // Before admission: what it adds belongs to nobody.
        if !work.edit.owns_fields() {
            ownership::record_update(self, (&mut object, old), work.subresource, work.options, now);
        }
        let mut mutated = work.by.mutate(self.admission.as_ref(), &attributes, object).await?;
        let context = Context { user: work.by.user(), now, subresource: work.subresource };
        let object = mutated.object_mut();
        self.complete(work, &context, object, old)?;
        let mut problems = conventions::check_metadata_update(self.strategy.as_ref(), object, old);
        if !work.edit.is_trusted() {
            problems.extend(self.strategy.validate_update(&context, object, old));
        }
        if !problems.is_empty() {
            return Err(self.invalid(work.name, problems));
        }
        if work.subresource.is_empty() {
            work.by.warn(self.strategy.warnings(&context, object, Some(old)));
        }
        let admitted = mutated.admit(self.admission.as_ref(), &attributes).await?;
        self.store_changed(admitted, found, work.options.dry_run).await
    }

    /// Completes an edited object: fixed fields, the other half of the object, the strategy, the generation, the owners.
    fn complete(&self, work: &Work<'_>, context: &Context<'_>, object: &mut Value, old: &Value) -> Result<(), Refusal> {
        let facts = self.strategy.facts();
        conventions::keep_fixed(object, old);
        if facts.has_status && !work.edit.is_trusted() {
            if work.subresource == "status" {
                keep_all_but_status(object, old);
            } else if work.subresource.is_empty() {
                replace(object, old, "status");
            }
        }
        if !work.edit.is_trusted() {
            self.strategy.prepare_update(context, object, old);
        }
        self.conform(object)?;
        // What the server itself settles, such as a pod's place, nobody asked for anew.
        if facts.counts_generations && work.subresource != "status" && !work.edit.is_trusted() {
            conventions::count_generation(object, old);
        }
        // A write that changes nothing but the times of owners is none.
        patch::apply::settle_times(old, object);
        Ok(())
    }

    /// An object is what its address says, and the version that the client has seen is the stored one.
    fn check_identity(&self, work: &Work<'_>, object: &mut Value, old: &Value) -> Result<(), Refusal> {
        conventions::settle_namespace(self.strategy.as_ref(), work.namespace, object)?;
        let (meta, stored) = (Meta::of(object), Meta::of(old));
        if meta.name() != work.name && !meta.name().is_empty() {
            return Err(Refusal::BadRequest(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                meta.name(),
                work.name
            )));
        }
        if !meta.uid().is_empty() && meta.uid() != stored.uid() {
            let text = format!(
                "Precondition failed: UID in precondition: {}, UID in object meta: {}",
                meta.uid(),
                stored.uid()
            );
            return Err(self.conflict(work.name, text));
        }
        let version = meta.resource_version();
        if version.is_empty() && !self.strategy.facts().unconditional_update {
            let path = Path::of("metadata.resourceVersion");
            return Err(Refusal::Invalid {
                // Said before the kind is looked at: the resource stands for it.
                kind: self.strategy.resource().group_resource(),
                name: work.name.to_owned(),
                problems: vec![Problem::invalid(path, 0, "must be specified for an update")],
            });
        }
        if !version.is_empty() && version != "0" && version != stored.resource_version() {
            return Err(Refusal::modified(self.strategy.resource().group_resource(), work.name));
        }
        MetaMut::of(object).set("name", work.name);
        Ok(())
    }

    async fn create_by_update(&self, work: &Work<'_>) -> Result<Option<(Arc<Value>, bool)>, Refusal> {
        let creates = work.edit.creates() || self.strategy.facts().creates_on_update;
        if !creates || !work.subresource.is_empty() {
            return Err(self.not_found(work.name));
        }
        if let Some(uid) = work.edit.preconditions().uid {
            return Err(self.conflict(
                work.name,
                format!("Precondition failed: UID in precondition: {uid}, UID in object meta: "),
            ));
        }
        let mut object = work.edit.edit(None, env::time::now())?;
        MetaMut::of(&mut object).set("name", work.name).clear("resourceVersion");
        let options = WriteOptions { owners_settled: work.edit.owns_fields(), ..work.options.clone() };
        match self.create(work.by, work.namespace, object, &options).await {
            Ok(object) => Ok(Some((object, true))),
            Err(Refusal::AlreadyExists { .. }) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    async fn store_changed(
        &self,
        admitted: gate::Admitted,
        found: &Found,
        dry_run: bool,
    ) -> Result<Option<(Arc<Value>, bool)>, Refusal> {
        let Some(mut object) = admitted.into_object() else {
            return Err(Refusal::Internal("an object was admitted that is none".to_owned()));
        };
        // The last finalizer is gone: the update is the deletion that was waiting for it.
        let meta = Meta::of(&object);
        let deleted = meta.is_deleting()
            && meta.finalizers().next().is_none()
            && self.strategy.deletion(&object, None) != kind::Deletion::Held
            && meta.deletion_grace_seconds().is_none_or(|seconds| seconds == 0);
        let with = match deleted {
            true => self.accompanied(Txn::new(), None, Some(&found.tree), dry_run).await?,
            false => self.accompanied(Txn::new(), Some(&mut object), Some(&found.tree), dry_run).await?,
        };
        let outgoing = self.outgoing(object);
        if outgoing.bytes == found.stored && !deleted && !found.is_newest {
            // What changes nothing of an older object may change something of the newest.
            return Ok(None);
        }
        if dry_run || (outgoing.bytes == found.stored && !deleted) {
            return Ok(Some((self.arrived(outgoing, found.revision)?, false)));
        }
        let key = self.stored.key_of(&found.tree);
        let mut txn = if deleted {
            Txn::remove(key, found.revision)
        } else {
            self.announce(&key, &outgoing);
            Txn::update(key, found.revision, outgoing.bytes.clone())
        };
        txn.compares.extend(with.compares);
        txn.ops.extend(with.ops);
        match self.store.txn(txn).await.map_err(store_refusal)? {
            Outcome::Committed { revision } => Ok(Some((self.arrived(outgoing, revision)?, false))),
            Outcome::Conflict { .. } => Ok(None),
        }
    }

    pub(crate) fn conflict(&self, name: &str, message: String) -> Refusal {
        Refusal::Conflict { resource: self.strategy.resource().group_resource(), name: name.to_owned(), message }
    }
}

/// Whether a refusal might be different for a newer version of the object.
fn depends_on_version(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::BadRequest(_) | Refusal::UnsupportedMediaType(_) | Refusal::NotImplemented(_))
}

/// A status update brings nothing but the status, and of the metadata neither owners nor deletion.
fn keep_all_but_status(object: &mut Value, old: &Value) {
    let keys: Vec<String> = [&*object, old]
        .into_iter()
        .filter_map(Value::as_map)
        .flat_map(object::Map::keys)
        .filter(|key| !matches!(*key, "status" | "metadata" | "kind" | "apiVersion"))
        .map(str::to_owned)
        .collect();
    for key in keys {
        replace(object, old, &key);
    }
    match old.at(&["metadata", "ownerReferences"]) {
        Some(owners) => object.set(&["metadata", "ownerReferences"], owners.clone()),
        None => drop(object.remove(&["metadata", "ownerReferences"])),
    }
}

fn replace(object: &mut Value, old: &Value, key: &str) {
    match old.get(key) {
        Some(value) => object.set(&[key], value.clone()),
        None => drop(object.remove(&[key])),
    }
}

/// An edit that replaces the object by one that the client has sent.
#[derive(Debug)]
pub struct Replace(pub Arc<Value>);

impl Edit for Replace {
    fn edit(&self, _old: Option<&Value>, _now: Timestamp) -> Result<Value, Refusal> {
        Ok((*self.0).clone())
    }
}
