//! The garbage collector: the graph of owners and dependents, fed by the metadata of every object of every resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::Error;
use informer::{Changed, Tree};
use kind::{Resource, Verb};
use lifecycle::gc::Graph;
use object::Meta;
use parking_lot::{Mutex, RwLock};
use plan::Key;
use typed::meta::{ObjectMeta, OwnerReference, Time};
use workqueue::Controller;

use crate::controller::Site;
use crate::served::{self, Observer};

/// What an owner reference's `apiVersion` and `kind` mean.
type Names = BTreeMap<(String, String), plan::Resource>;

/// The collector's knowledge.
#[derive(Default)]
struct Garbage {
    graph: Mutex<Graph>,
    names: RwLock<Names>,
}

/// Starts to follow everything that can be deleted.
pub(super) async fn collector(site: &Site<'_>) -> Result<Controller, Error> {
    let garbage: Arc<Garbage> = Arc::default();
    let wakes = served::follow(site.informers, Arc::clone(&garbage)).await?;
    let controller = site.controller(move |key, _moment| {
        let names = garbage.names.read();
        let resolve = |version: &str, kind: &str| names.get(&(version.to_owned(), kind.to_owned())).cloned();
        garbage.graph.lock().plan(&key.name, &resolve)
    });
    Ok(controller.workers(20).wakes_by(site.informers, wakes))
}

impl Observer for Garbage {
    fn served(&self, all: &[Resource]) {
        let named = |row: &Resource| ((row.api_version().to_string(), row.kind.to_string()), plan::Resource::from(row));
        *self.names.write() = all.iter().map(named).collect();
    }

    /// Everything that can be listed, watched and deleted, except events: they have no dependents, and end by themselves.
    fn follows(&self, row: &Resource) -> bool {
        let verbs = [Verb::List, Verb::Watch, Verb::Delete];
        verbs.into_iter().all(|verb| row.verbs.contains(verb)) && row.plural != "events"
    }

    fn changed(&self, row: &Resource, batch: &[Changed<Tree>]) -> Vec<Key> {
        let resource = plan::Resource::from(row);
        let mut graph = self.graph.lock();
        let mut keys = Vec::new();
        for changed in batch {
            let woken = match (&changed.old, &changed.new) {
                (_, Some(object)) => graph.observe(&resource, &about(object)),
                (Some(object), None) => graph.forget(object.meta().uid()),
                (None, None) => continue,
            };
            keys.extend(woken.iter().map(|uid| Key::cluster(uid)));
        }
        keys
    }
}

/// What the graph looks at.
fn about(object: &Tree) -> ObjectMeta {
    let meta: Meta<'_> = object.meta();
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let owners: Vec<OwnerReference> = meta
        .owner_references()
        .map(|owner| OwnerReference {
            api_version: owner.api_version.to_owned(),
            kind: owner.kind.to_owned(),
            name: owner.name.to_owned(),
            uid: owner.uid.to_owned(),
            controller: owner.controller.then_some(true),
            block_owner_deletion: owner.block_owner_deletion.then_some(true),
        })
        .collect();
    ObjectMeta {
        name: text(meta.name()),
        namespace: text(meta.namespace()),
        uid: text(meta.uid()),
        resource_version: text(meta.resource_version()),
        owner_references: Some(owners).filter(|owners| !owners.is_empty()),
        finalizers: Some(meta.finalizers().map(str::to_owned).collect()),
        deletion_timestamp: meta.deletion_timestamp().map(Time),
        ..ObjectMeta::default()
    }
}
