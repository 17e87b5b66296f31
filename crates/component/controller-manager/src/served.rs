//! Everything that is served, followed by its metadata: what the garbage collector and the quota controller look at.
//!
//! Resources come and go with the definitions of custom resources and with aggregated APIs; whoever follows is told.
//! Two who follow share the caches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::{Client, Error};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream, SelectAll};
use informer::{Changed, Informers, Tree};
use kind::Resource;
use plan::Key;
use typed::apiextensions::CustomResourceDefinition;
use typed::apiregistration::APIService;

/// Keys to be planned, as they are woken.
type Keys = BoxStream<'static, Vec<Key>>;

/// Somebody who looks at all resources.
pub(crate) trait Observer: Send + Sync + 'static {
    /// What is served now, in every version.
    fn served(&self, all: &[Resource]);
    /// Whether the objects of a resource matter.
    fn follows(&self, resource: &Resource) -> bool;
    /// Objects changed: whom that wakes.
    fn changed(&self, resource: &Resource, batch: &[Changed<Tree>]) -> Vec<Key>;
}

/// Starts to follow everything that the observer cares for; what it wakes comes as a stream.
pub(crate) async fn follow<O: Observer>(
    informers: &Informers,
    observer: Arc<O>,
) -> Result<impl futures::Stream<Item = Vec<Key>> + Send + 'static, Error> {
    let mut senses = Senses {
        observer,
        informers: informers.clone(),
        followed: BTreeMap::new(),
        news: SelectAll::new(),
        served: SelectAll::new(),
    };
    senses.refresh().await?;
    senses.served = stream::select_all(changes_of_service(informers));
    Ok(stream::unfold(senses, |mut senses| async move {
        let keys = senses.next().await;
        Some((keys, senses))
    }))
}

/// The resources that are followed, and their news.
struct Senses<O> {
    observer: Arc<O>,
    informers: Informers,
    followed: BTreeMap<plan::Resource, Arc<Resource>>,
    news: SelectAll<Keys>,
    /// Something is served that was not before, or the reverse.
    served: SelectAll<BoxStream<'static, ()>>,
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

impl<O: Observer> Senses<O> {
    async fn next(&mut self) -> Vec<Key> {
        loop {
            tokio::select! {
                Some(keys) = self.news.next() => return keys,
                Some(()) = self.served.next() => {
                    if let Err(error) = self.refresh().await {
                        tracing::warn!(%error, "what is served cannot be asked; what was known goes on");
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
        self.observer.served(&found.resources);
        let wanted: Vec<&Resource> = found.preferred().into_iter().filter(|row| self.observer.follows(row)).collect();
        let served: BTreeSet<plan::Resource> = wanted.iter().map(|row| plan::Resource::from(*row)).collect();
        for row in wanted {
            if let Entry::Vacant(place) = self.followed.entry(plan::Resource::from(row)) {
                let row = Arc::clone(place.insert(Arc::new(row.clone())));
                self.follow(row);
            }
        }
        // What could not be asked is missing, not gone.
        if found.incomplete.is_empty() {
            let gone = self.followed.extract_if(.., |resource, _| !served.contains(resource));
            gone.for_each(|(_, row)| self.informers.forget(&row));
        }
        Ok(())
    }

    fn follow(&mut self, row: Arc<Resource>) {
        let informer = self.informers.metadata_of(&row);
        let news = informer.subscribe();
        let start = (informer, news, Arc::clone(&self.observer), row);
        let keys = stream::unfold(start, |(informer, mut news, observer, row)| async move {
            let batch = news.batch().await;
            let keys = observer.changed(&row, &batch);
            (!batch.is_empty()).then_some((keys, (informer, news, observer, row)))
        });
        self.news.push(keys.boxed());
    }
}
