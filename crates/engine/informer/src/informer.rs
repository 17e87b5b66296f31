//! A cache that follows the server.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use client::{Client, Depth, Error, Event, Known, TreeEvent};
use compact_str::CompactString;
use env::task::{Fate, Owned};
use futures::future::BoxFuture;
use kind::Resource;
use object::{Meta, Value};
use plan::Key;

use crate::cache::Cache;
use crate::item::{Item, revision};
use crate::reflector::{Backoff, Reflector, Sink};

/// Which objects of a kind an informer sees; everything by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// One namespace; empty for all.
    pub namespace: String,
    /// A label selector; empty for everything.
    pub label_selector: String,
    /// A field selector, such as `spec.nodeName=worker-1`; empty for everything.
    pub field_selector: String,
}

impl Scope {
    /// One namespace.
    pub fn namespace(namespace: &str) -> Self {
        Scope { namespace: namespace.to_owned(), ..Scope::default() }
    }

    /// What a field selector selects.
    pub fn fields(selector: &str) -> Self {
        Scope { field_selector: selector.to_owned(), ..Scope::default() }
    }

    /// What a label selector selects.
    pub fn labels(selector: &str) -> Self {
        Scope { label_selector: selector.to_owned(), ..Scope::default() }
    }
}

/// A cache that follows the server as long as any handle to it lives. Cheap to clone; reads like its [`Cache`].
pub struct Informer<T: Item>(Arc<Running<T>>);

struct Running<T: Item> {
    cache: Arc<Cache<T>>,
    resource: Arc<Resource>,
    scope: Scope,
    _follower: Owned<()>,
}

impl<T: Item> Drop for Running<T> {
    fn drop(&mut self) {
        self.cache.close();
    }
}

impl<T: Item> Clone for Informer<T> {
    fn clone(&self) -> Self {
        Informer(Arc::clone(&self.0))
    }
}

impl<T: Item> fmt::Debug for Informer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = self.0.resource.group_resource().to_string();
        f.debug_struct("Informer").field("resource", &resource).field("cache", &self.0.cache).finish_non_exhaustive()
    }
}

impl<T: Item> Deref for Informer<T> {
    type Target = Cache<T>;

    fn deref(&self) -> &Cache<T> {
        &self.0.cache
    }
}

impl<T: Item> Informer<T> {
    /// Starts to follow. Use [`crate::Informers`] so that a process does so once. Must be called within the runtime.
    pub(crate) fn start(
        client: Client,
        resource: Arc<Resource>,
        scope: Scope,
        depth: Depth,
        transform: Option<fn(&mut T)>,
    ) -> Self {
        let cache = Arc::new(Cache::new());
        let known = client.known().cloned();
        let sink = Filler { cache: Arc::clone(&cache), staged: Vec::new(), transform, known };
        let reflector = Reflector {
            client,
            resource: Arc::clone(&resource),
            scope: scope.clone(),
            depth,
            sink: Box::new(sink),
            streams_lists: true,
            backoff: Backoff::default(),
        };
        let follower = env::task::spawn(Fate::Vital, "informer", reflector.run()).abort_on_drop();
        Informer(Arc::new(Running { cache, resource, scope, _follower: follower }))
    }

    /// The cache, for those who keep it: it lives on without the informer, but no longer changes.
    pub fn cache(&self) -> &Arc<Cache<T>> {
        &self.0.cache
    }

    /// The row of its kind.
    pub fn resource(&self) -> &Arc<Resource> {
        &self.0.resource
    }

    /// Waits until the first full state is in.
    pub async fn synced(&self) {
        let mut progress = self.progress();
        // The sender lives in the cache, which we hold.
        let _always = progress.wait_for(|progress| progress.synced).await;
    }
}

/// A write whose outcome somebody wants to see in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The object.
    pub key: Key,
    /// Its uid.
    pub uid: CompactString,
    /// The revision that the write made; absent when it asked for the object's end.
    pub revision: Option<u64>,
}

impl Written {
    /// The outcome of a create, update or patch.
    pub fn object(tree: &Value) -> Self {
        let meta = Meta::of(tree);
        Written {
            key: Key::new(meta.namespace(), meta.name()),
            uid: meta.uid().into(),
            revision: Some(revision(meta.resource_version())),
        }
    }

    /// The outcome of a delete.
    pub fn deleted(key: Key, uid: &str) -> Self {
        Written { key, uid: uid.into(), revision: None }
    }
}

/// An informer of whatever kind, as somebody who sees what happens to objects.
pub trait Witness: Send + Sync + fmt::Debug {
    /// The row of its kind.
    fn resource(&self) -> &Arc<Resource>;
    /// Whether it sees everything in a namespace.
    fn sees(&self, namespace: &str) -> bool;
    /// Whether the outcome of a write is in the cache.
    fn has_seen(&self, write: &Written) -> bool;
    /// Waits until the outcome of a write is in the cache.
    fn seen(&self, write: Written) -> BoxFuture<'_, ()>;
    /// Waits until the first full state is in.
    fn when_synced(&self) -> BoxFuture<'_, ()>;
}

impl<T: Item> Witness for Informer<T> {
    fn resource(&self) -> &Arc<Resource> {
        &self.0.resource
    }

    fn sees(&self, namespace: &str) -> bool {
        let scope = &self.0.scope;
        let everything = scope.label_selector.is_empty() && scope.field_selector.is_empty();
        everything && (scope.namespace.is_empty() || scope.namespace == namespace)
    }

    fn has_seen(&self, write: &Written) -> bool {
        let cached = self.get_key(&write.key).filter(|object| object.identity() == write.uid);
        match write.revision {
            Some(revision) => {
                self.0.cache.revision() >= revision || cached.is_some_and(|object| object.revision() >= revision)
            }
            None => cached.is_none_or(|object| object.is_deleting()),
        }
    }

    fn seen(&self, write: Written) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut progress = self.progress();
            while !self.has_seen(&write) && progress.changed().await.is_ok() {}
        })
    }

    fn when_synced(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.synced())
    }
}

/// Turns trees into items on their way into the cache.
struct Filler<T> {
    cache: Arc<Cache<T>>,
    staged: Vec<Arc<T>>,
    transform: Option<fn(&mut T)>,
    /// What other informers of this process hold.
    known: Option<Known>,
}

impl<T: Item> Filler<T> {
    /// An object that cannot be read is left out: one of them must not blind us to all others.
    fn item(&self, tree: Value) -> Option<Arc<T>> {
        let key = key_of(&tree);
        match self.read(tree) {
            Ok(item) => Some(item),
            Err(error) => {
                tracing::error!(%key, %error, "an object cannot be read and is left out");
                None
            }
        }
    }

    fn read(&self, tree: Value) -> Result<Arc<T>, Error> {
        match (self.transform, &self.known) {
            // What we take away others may need.
            (Some(transform), _) => {
                let mut item = T::read(tree)?;
                transform(&mut item);
                Ok(Arc::new(item))
            }
            (None, Some(known)) => T::read_shared(tree, known),
            (None, None) => Ok(Arc::new(T::read(tree)?)),
        }
    }
}

fn key_of(tree: &Value) -> Key {
    Key::new(Meta::of(tree).namespace(), Meta::of(tree).name())
}

impl<T: Item> Sink for Filler<T> {
    fn stage(&mut self, tree: Value) {
        let item = self.item(tree);
        self.staged.extend(item);
    }

    fn reset(&mut self) {
        self.staged = Vec::new();
    }

    fn commit(&mut self, resource_version: &str) {
        self.cache.replace(std::mem::take(&mut self.staged), resource_version);
    }

    fn apply(&mut self, events: Vec<TreeEvent>) {
        let seen = events.last().map_or(0, |event| revision(event.resource_version()));
        let change = |event| match event {
            Event::Added(tree) | Event::Modified(tree) => self.item(tree).map(|item| (item.key(), Some(item))),
            // Its last state is in the cache already. What comes here is not the object at that revision for everybody: to
            // whom it is no longer shown, the server sends what it was before.
            Event::Deleted(tree) => Some((key_of(&tree), None)),
            Event::Bookmark { .. } => None,
        };
        let changes = events.into_iter().filter_map(change).collect();
        self.cache.apply(changes, seen);
    }
}
