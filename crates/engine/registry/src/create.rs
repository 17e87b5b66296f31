//! create.

use std::sync::Arc;

use gate::{Attributes, Authorized};
use kind::{Context, Operation, Refusal};
use object::{Meta, Value};
use store::{Outcome, Txn};

use crate::{Registry, WriteOptions, conventions, ownership, store_refusal};

/// How often a write is tried again because what must go with it was not possible.
const COMPANION_ATTEMPTS_MAX: usize = 16;
/// How often a generated name that is taken is generated anew.
const GENERATE_ATTEMPTS_MAX: usize = 8;

impl Registry {
    /// Creates an object in `namespace` and returns it as stored.
    pub async fn create(
        &self,
        by: &Authorized,
        namespace: &str,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Value>, Refusal> {
        // Only a generated name is worth another attempt.
        let attempts = if Meta::of(&object).name().is_empty() { GENERATE_ATTEMPTS_MAX } else { 1 };
        for _ in 1..attempts {
            match self.create_once(by, namespace, object.clone(), options).await {
                Err(Refusal::AlreadyExists { .. }) => {}
                done => return done,
            }
        }
        self.create_once(by, namespace, object, options).await
    }

    async fn create_once(
        &self,
        by: &Authorized,
        namespace: &str,
        mut object: Value,
        options: &WriteOptions,
    ) -> Result<Arc<Value>, Refusal> {
        let now = env::time::now();
        let strategy = self.strategy.as_ref();
        if !Meta::of(&object).resource_version().is_empty() {
            return Err(Refusal::BadRequest("resourceVersion should not be set on objects to be created".to_owned()));
        }
        conventions::settle_namespace(strategy, namespace, &mut object)?;
        strategy.default(&mut object);
        conventions::generate_name(&mut object);
        // Before admission: what it adds belongs to nobody.
        if !options.owners_settled {
            ownership::record_create(self, &mut object, options, now);
        }
        let name = Meta::of(&object).name().to_owned();
        let attributes = Attributes {
            operation: Operation::Create,
            resource: strategy.resource(),
            subresource: "",
            namespace,
            name: &name,
            old: None,
            dry_run: options.dry_run,
            now,
        };
        let mut mutated = by.mutate(self.admission.as_ref(), &attributes, object).await?;
        let context = Context { user: by.user(), now, subresource: "" };
        let object = mutated.object_mut();
        conventions::complete_new(strategy, object, now);
        strategy.prepare_create(&context, object);
        self.conform(object)?;
        if self.companion.is_some() {
            // What cannot go with it is said before what is wrong with it, as upstream allocates before it judges.
            self.accompanied(Txn::new(), Some(&mut object.clone()), None, true).await?;
        }
        let mut problems = conventions::check_metadata(strategy, object);
        problems.extend(strategy.validate_create(&context, object));
        if !problems.is_empty() {
            return Err(self.invalid(Meta::of(object).name(), problems));
        }
        by.warn(strategy.warnings(&context, object, None));
        let admitted = mutated.admit(self.admission.as_ref(), &attributes).await?;
        self.store_new(admitted, options.dry_run).await
    }

    async fn store_new(&self, admitted: gate::Admitted, dry_run: bool) -> Result<Arc<Value>, Refusal> {
        let Some(mut object) = admitted.into_object() else {
            return Err(Refusal::Internal("an object was admitted that is none".to_owned()));
        };
        let key = self.stored.key_of(&object);
        if dry_run && self.exists(&key).await? {
            return Err(self.already_exists(Meta::of(&object).name()));
        }
        let name = Meta::of(&object).name().to_owned();
        let unaccompanied = self.companion.is_some().then(|| object.clone());
        for _ in 0..COMPANION_ATTEMPTS_MAX {
            let with = self.accompanied(Txn::new(), Some(&mut object), None, dry_run).await?;
            let outgoing = self.outgoing(std::mem::take(&mut object));
            if dry_run {
                return self.arrived(outgoing, store::Revision::ZERO);
            }
            self.announce(&key, &outgoing);
            let mut txn = Txn::create(key.clone(), outgoing.bytes.clone());
            txn.compares.extend(with.compares);
            txn.ops.extend(with.ops);
            match self.store.txn(txn).await.map_err(store_refusal)? {
                Outcome::Committed { revision } => return self.arrived(outgoing, revision),
                // The first comparison is the object's own: somebody has its name.
                Outcome::Conflict { current, .. } if current.first().is_some_and(Option::is_some) => break,
                // What the companion chose was taken meanwhile: it chooses again, as if nothing had been chosen.
                Outcome::Conflict { .. } => match &unaccompanied {
                    Some(unaccompanied) => object = unaccompanied.clone(),
                    None => break,
                },
            }
        }
        Err(self.already_exists(&name))
    }

    async fn exists(&self, key: &store::Key) -> Result<bool, Refusal> {
        Ok(self.store.get(key, None).await.map_err(store_refusal)?.entry.is_some())
    }

    fn already_exists(&self, name: &str) -> Refusal {
        Refusal::AlreadyExists { resource: self.strategy.resource().group_resource(), name: name.to_owned() }
    }

    pub(crate) fn invalid(&self, name: &str, problems: Vec<kind::Problem>) -> Refusal {
        // Every version of a kind is judged as the first one, and so is named by it.
        let resource = self.strategy.resource();
        let group = match resource.stored.api_version.rsplit_once('/') {
            _ if !resource.converts() => resource.group.clone(),
            Some((group, _)) => group.into(),
            None => object::Text::default(),
        };
        Refusal::Invalid { kind: kind::GroupKind { group, ..resource.group_kind() }, name: name.to_owned(), problems }
    }

    /// The object as its stored bytes say it: what is answered is what will be read. Revision zero stands for none.
    pub(crate) fn as_stored(&self, bytes: &[u8], revision: store::Revision) -> Result<Value, Refusal> {
        let tree = self.stored.decode(bytes, revision)?;
        let mut tree = if self.strategy.resource().converts() { self.strategy.served(tree) } else { tree };
        if revision == store::Revision::ZERO {
            tree.remove(&["metadata", "resourceVersion"]);
        }
        Ok(tree)
    }

    pub(crate) fn stored_version(&self, object: Value) -> Value {
        if self.strategy.resource().converts() { self.strategy.stored(object) } else { object }
    }

    /// Brings a tree that admission or a patch has changed back to its canonical form: the one in which it will be read.
    pub(crate) fn conform(&self, object: &mut Value) -> Result<(), Refusal> {
        let conform = if self.stored.is_protobuf() { codec::conform_as_stored } else { codec::conform };
        let conformed = conform(std::mem::take(object), self.root());
        *object = conformed.map_err(|error| Refusal::BadRequest(error.to_string()))?.value;
        self.strategy.default(object);
        Ok(())
    }
}
