//! What the rows of [`crate::table`] are made of: a [`workqueue::Controller`] with its own credentials.

use client::{Client, Error};
use informer::{Changed, Informer, Informers, Item};
use plan::{Key, Kind, Plan};
use workloads::wake::Change;
use workqueue::{Ask, Asked, Controller, Metrics, Recorder};

/// Where a row gets everything from.
pub(crate) struct Site<'a> {
    /// The caches that all share.
    pub(crate) informers: &'a Informers,
    /// The controller's name.
    pub(crate) name: &'static str,
    /// The controller's own client.
    pub(crate) client: Client,
    /// Says the controller's events.
    pub(crate) recorder: Recorder,
    /// Measures its queue.
    pub(crate) metrics: &'a Metrics,
}

impl Site<'_> {
    /// A controller whose planner needs nothing but caches.
    pub(crate) fn controller(&self, plan: impl Fn(&Key, &Ask<'_>) -> Plan + Send + Sync + 'static) -> Controller {
        let made =
            Controller::new(self.name, self.client.clone(), self.recorder.clone(), move |ask| plan(ask.key, ask));
        self.measured(made).workers(1)
    }

    /// A controller whose planner asks the server.
    pub(crate) fn asking<F>(&self, plan: impl Fn(Asked) -> F + Send + Sync + 'static) -> Controller
    where
        F: Future<Output = Result<Plan, Error>> + Send + 'static,
    {
        self.measured(Controller::asking(self.name, self.client.clone(), self.recorder.clone(), plan)).workers(1)
    }

    fn measured(&self, controller: Controller) -> Controller {
        controller.measured(self.metrics)
    }
}

/// What rows say of most of their sources.
pub(crate) trait Wakes: Sized {
    /// Wakes the object itself, whenever it changes.
    fn on_own<T: Item>(self, informer: &Informer<T>) -> Self;
    /// Wakes keys because of changes.
    fn on<T: Item, I: IntoIterator<Item = Key>>(
        self,
        informer: &Informer<T>,
        keys: impl Fn(&Changed<T>) -> I + Send + 'static,
    ) -> Self;
}

impl Wakes for Controller {
    fn on_own<T: Item>(self, informer: &Informer<T>) -> Self {
        self.wakes(informer, |changed| changed.latest().map(|object| object.key()))
    }

    fn on<T: Item, I: IntoIterator<Item = Key>>(
        self,
        informer: &Informer<T>,
        keys: impl Fn(&Changed<T>) -> I + Send + 'static,
    ) -> Self {
        self.wakes(informer, keys)
    }
}

/// The metadata before and after a change.
pub(crate) fn metas<K: Kind>(changed: &Changed<K>) -> Change<'_> {
    (changed.old.as_deref().map(K::meta), changed.new.as_deref().map(K::meta))
}
