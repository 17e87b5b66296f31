//! The informers of a process: one per kind and scope.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use client::{Client, Depth};
use futures::FutureExt as _;
use kind::Resource;
use parking_lot::Mutex;
use typed::Kind;

use crate::{Informer, Item, Scope, Tree, Witness};

/// Starts informers, and hands out those that run. Cheap to clone; its informers end with the last clone and the last
/// handle.
#[derive(Clone)]
pub struct Informers(Arc<Shared>);

struct Shared {
    client: Client,
    running: Mutex<BTreeMap<Which, Entry>>,
    transforms: Mutex<BTreeMap<TypeId, Box<dyn Any + Send>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Which {
    item: TypeId,
    /// Where the resource is served.
    path: String,
    depth: Depth,
    scope: Scope,
}

struct Entry {
    handle: Box<dyn Any + Send>,
    witness: Arc<dyn Witness>,
}

impl fmt::Debug for Informers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informers").field("running", &self.0.running.lock().len()).finish_non_exhaustive()
    }
}

impl Informers {
    /// No informers yet.
    pub fn new(client: Client) -> Self {
        Informers(Arc::new(Shared { client, running: Mutex::default(), transforms: Mutex::default() }))
    }

    /// The client whose eyes they are.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Everything of a kind.
    pub fn of<K: Kind>(&self) -> Informer<K> {
        self.scoped(Scope::default())
    }

    /// A part of a kind.
    pub fn scoped<K: Kind>(&self, scope: Scope) -> Informer<K> {
        let transforms = self.0.transforms.lock();
        let transform = transforms.get(&TypeId::of::<K>()).and_then(|any| any.downcast_ref::<fn(&mut K)>()).copied();
        self.start_or_share(K::resource(), scope, Depth::Whole, transform)
    }

    /// Every object of any resource, with nothing but its metadata.
    pub fn metadata_of(&self, resource: &Arc<Resource>) -> Informer<Tree> {
        self.start_or_share(resource, Scope::default(), Depth::Metadata, None)
    }

    /// Every object of any resource, whole.
    pub fn trees_of(&self, resource: &Arc<Resource>, scope: Scope) -> Informer<Tree> {
        self.start_or_share(resource, scope, Depth::Whole, None)
    }

    /// Takes away from every object of a kind, before it is cached, what nobody in this process reads. Call before the
    /// kind's first informer; it holds for all.
    pub fn transform<K: Kind>(&self, transform: fn(&mut K)) {
        self.0.transforms.lock().insert(TypeId::of::<K>(), Box::new(transform));
    }

    /// Lets go of the trees of a resource that is no longer served. They end with their last handle.
    pub fn forget(&self, resource: &Resource) {
        let path = resource.path("", "", "");
        self.0.running.lock().retain(|which, _| which.item != TypeId::of::<Tree>() || which.path != path);
    }

    /// Waits until all informers that run now have their first full state.
    pub async fn synced(&self) {
        for witness in self.witnesses() {
            witness.when_synced().await;
        }
    }

    /// The resources of those informers that do not have their first full state yet.
    pub fn unsynced(&self) -> Vec<String> {
        let waits = |witness: &Arc<dyn Witness>| witness.when_synced().now_or_never().is_none();
        let waiting = self.witnesses().into_iter().filter(waits);
        waiting.map(|witness| witness.resource().group_resource().to_string()).collect()
    }

    /// All informers that run now.
    pub fn witnesses(&self) -> Vec<Arc<dyn Witness>> {
        self.0.running.lock().values().map(|entry| Arc::clone(&entry.witness)).collect()
    }

    fn start_or_share<T: Item>(
        &self,
        resource: &Arc<Resource>,
        scope: Scope,
        depth: Depth,
        transform: Option<fn(&mut T)>,
    ) -> Informer<T> {
        let path = resource.path("", "", "");
        let which = Which { item: TypeId::of::<T>(), path, depth, scope: scope.clone() };
        let mut running = self.0.running.lock();
        if let Some(found) = running.get(&which).and_then(|entry| entry.handle.downcast_ref::<Informer<T>>()) {
            return found.clone();
        }
        let started = Informer::start(self.0.client.clone(), Arc::clone(resource), scope, depth, transform);
        let entry = Entry { handle: Box::new(started.clone()), witness: Arc::new(started.clone()) };
        running.insert(which, entry);
        started
    }
}
