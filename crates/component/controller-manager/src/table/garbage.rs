//! The garbage collector: the graph of owners and dependents, fed by the metadata of every object of every resource.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::{Client, Error};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream, SelectAll};
use informer::{Changed, Informers, Tree};
use kind::{Resource, Verb};
use lifecycle::gc::Graph;
use object::Meta;
use parking_lot::{Mutex, RwLock};
use plan::Key;
use typed::apiextensions::CustomResourceDefinition;
use typed::apiregistration::APIService;
use typed::meta::{ObjectMeta, OwnerReference, Time};

use crate::controller::{Controller, Wakes};

/// What an owner reference's `apiVersion` and `kind` mean.
type Names = BTreeMap<(String, String), plan::Resource>;

/// The collector's knowledge.
struct Garbage {
    graph: Mutex<Graph>,
    names: RwLock<Names>,
}

/// The collector's senses: the resources that are followed, and their news.
struct Senses {
    garbage: Arc<Garbage>,
    informers: Informers,
    followed: BTreeSet<plan::Resource>,
    news: SelectAll<Wakes>,
    /// Something is served that was not before, or the reverse.
    served: SelectAll<BoxStream<'static, ()>>,
}

/// Starts to follow everything that can be deleted.
pub(super) async fn collector(informers: &Informers) -> Result<Controller, Error> {
    let garbage = Arc::new(Garbage { graph: Mutex::new(Graph::default()), names: RwLock::default() });
    let mut senses = Senses {
        garbage: Arc::clone(&garbage),
        informers: informers.clone(),
        followed: BTreeSet::new(),
        news: SelectAll::new(),
        served: SelectAll::new(),
    };
    senses.refresh().await?;
    senses.served = stream::select_all(changes_of_service(informers));
    let wakes = stream::unfold(senses, |mut senses| async move {
        let keys = senses.next().await;
        Some((keys, senses))
    });
    let controller = Controller::new("garbage-collector-controller", move |key, _moment| {
        let names = garbage.names.read();
        let resolve = |version: &str, kind: &str| names.get(&(version.to_owned(), kind.to_owned())).cloned();
        garbage.graph.lock().plan(&key.name, &resolve)
    });
    Ok(controller.workers(20).on_keys(wakes.boxed()))
}

/// Changes of what is served: definitions of custom resources, and aggregated APIs.
fn changes_of_service(informers: &Informers) -> [BoxStream<'static, ()>; 2] {
    let definitions = informers.of::<CustomResourceDefinition>();
    let services = informers.of::<APIService>();
    let (of_definitions, of_services) = (definitions.subscribe(), services.subscribe());
    let definitions = stream::unfold((definitions, of_definitions), |(informer, mut news)| async move {
        (!news.batch().await.is_empty()).then_some(((), (informer, news)))
    });
    let services = stream::unfold((services, of_services), |(informer, mut news)| async move {
        (!news.batch().await.is_empty()).then_some(((), (informer, news)))
    });
    [definitions.boxed(), services.boxed()]
}

impl Senses {
    async fn next(&mut self) -> Vec<Key> {
        loop {
            tokio::select! {
                Some(keys) = self.news.next() => return keys,
                Some(()) = self.served.next() => {
                    if let Err(error) = self.refresh().await {
                        tracing::warn!(%error, "what is served cannot be asked; the garbage collector goes on with what it knows");
                    }
                }
                else => std::future::pending().await,
            }
        }
    }

    /// Asks what is served, and follows what is new.
    async fn refresh(&mut self) -> Result<(), Error> {
        let client: &Client = self.informers.client();
        let found = client.discover().await?;
        let named = |row: &Resource| ((row.api_version().to_string(), row.kind.to_string()), plan::Resource::from(row));
        *self.garbage.names.write() = found.resources.iter().map(named).collect();
        let wanted: Vec<&Resource> = found.preferred().into_iter().filter(|row| is_collected(row)).collect();
        let served: BTreeSet<plan::Resource> = wanted.iter().map(|row| plan::Resource::from(*row)).collect();
        for row in wanted {
            let resource = plan::Resource::from(row);
            if self.followed.insert(resource.clone()) {
                self.follow(row, resource);
            }
        }
        let gone: Vec<plan::Resource> = self.followed.difference(&served).cloned().collect();
        for resource in gone.iter().filter(|_| found.incomplete.is_empty()) {
            self.followed.remove(resource);
            self.informers.forget(&crate::rows::row(resource));
        }
        Ok(())
    }

    fn follow(&mut self, row: &Resource, resource: plan::Resource) {
        let informer = self.informers.metadata_of(&Arc::new(row.clone()));
        let news = informer.subscribe();
        let start = (informer, news, Arc::clone(&self.garbage), resource);
        let keys = stream::unfold(start, |(informer, mut news, garbage, resource)| async move {
            let batch = news.batch().await;
            let keys = garbage.observe(&resource, &batch);
            (!batch.is_empty()).then_some((keys, (informer, news, garbage, resource)))
        });
        self.news.push(keys.boxed());
    }
}

/// Everything that can be listed, watched and deleted, except events: they have no dependents, and end by themselves.
fn is_collected(row: &Resource) -> bool {
    let verbs = [Verb::List, Verb::Watch, Verb::Delete];
    verbs.into_iter().all(|verb| row.verbs.contains(verb)) && row.plural != "events"
}

impl Garbage {
    fn observe(&self, resource: &plan::Resource, batch: &[Changed<Tree>]) -> Vec<Key> {
        let mut graph = self.graph.lock();
        let mut keys = Vec::new();
        for changed in batch {
            let woken = match (&changed.old, &changed.new) {
                (_, Some(object)) => graph.observe(resource, &about(object)),
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
