//! A controller ready to run: what wakes it, what it plans, how wide it works. The rows of [`crate::table`] are made of these.

use std::sync::Arc;

use client::Client;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use informer::{Changed, Informer, Item};
use jiff::Timestamp;
use plan::{Key, Kind, Plan, Refusal};
use workloads::wake::Change;

/// What a planner is told besides its key.
#[derive(Debug)]
pub(crate) struct Moment {
    /// The time.
    pub(crate) now: Timestamp,
    /// How the last plan for the key was refused, if it was.
    pub(crate) refusal: Option<Refusal>,
    /// With the controller's own credentials, for planners that have a question only the server can answer.
    pub(crate) client: Client,
}

/// Says what should happen for a key. An error is a question that found no answer: the key is tried again.
pub(crate) type Planner =
    Arc<dyn Fn(Key, Moment) -> BoxFuture<'static, Result<Plan, client::Error>> + Send + Sync + 'static>;

/// Keys to be planned, as they are woken.
pub(crate) type Wakes = BoxStream<'static, Vec<Key>>;

/// One controller.
pub(crate) struct Controller {
    /// Its name in [`crate::roster`].
    pub(crate) name: &'static str,
    /// Keys planned at the same time.
    pub(crate) workers: usize,
    /// What wakes it.
    pub(crate) wakes: Vec<Wakes>,
    /// What it plans.
    pub(crate) planner: Planner,
}

impl Controller {
    /// A controller whose planner needs nothing but caches.
    pub(crate) fn new(
        name: &'static str,
        plan: impl Fn(&Key, &Moment) -> Plan + Send + Sync + 'static,
    ) -> Self {
        let planner: Planner = Arc::new(move |key, moment| {
            let planned = plan(&key, &moment);
            Box::pin(std::future::ready(Ok(planned)))
        });
        Controller { name, workers: 1, wakes: Vec::new(), planner }
    }

    /// A controller whose planner asks the server.
    pub(crate) fn asking<F>(name: &'static str, plan: impl Fn(Key, Moment) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Plan, client::Error>> + Send + 'static,
    {
        let planner: Planner = Arc::new(move |key, moment| Box::pin(plan(key, moment)));
        Controller { name, workers: 1, wakes: Vec::new(), planner }
    }

    /// Plans so many keys at the same time.
    pub(crate) fn workers(self, workers: usize) -> Self {
        Controller { workers, ..self }
    }

    /// Wakes the object itself, whenever it changes.
    pub(crate) fn on_own<T: Item>(self, informer: &Informer<T>) -> Self {
        self.on(informer, |changed| changed.latest().map(|object| object.key()))
    }

    /// Wakes keys because of changes.
    pub(crate) fn on<T: Item, I: IntoIterator<Item = Key>>(
        self,
        informer: &Informer<T>,
        keys: impl Fn(&Changed<T>) -> I + Send + 'static,
    ) -> Self {
        let start = (informer.clone(), informer.subscribe(), keys);
        let batches = stream::unfold(start, |(informer, mut news, keys)| async move {
            let batch = news.batch().await;
            let woken: Vec<Key> = batch.iter().flat_map(&keys).collect();
            (!batch.is_empty()).then_some((woken, (informer, news, keys)))
        });
        self.on_keys(batches.boxed())
    }

    /// Wakes keys as a stream says.
    pub(crate) fn on_keys(mut self, keys: Wakes) -> Self {
        self.wakes.push(keys);
        self
    }
}

/// The metadata before and after a change.
pub(crate) fn metas<K: Kind>(changed: &Changed<K>) -> Change<'_> {
    (changed.old.as_deref().map(K::meta), changed.new.as_deref().map(K::meta))
}
