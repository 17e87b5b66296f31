//! Informers of every kind that bears on a decision, as one stream of inputs.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream, SelectAll};
use informer::{Changed, Informer, Informers, Scope};
use scheduling::{Change, Input};
use typed::Kind;
use typed::api::core::v1::Pod;

/// Pods that have ended take no room; for us they are gone.
pub(crate) const LIVE_PODS: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// The stream of what happens.
pub(crate) struct Eyes {
    news: SelectAll<BoxStream<'static, Vec<Input>>>,
}

impl Eyes {
    /// Starts to look. What exists comes first, as having come.
    pub(crate) fn open(informers: &Informers) -> Self {
        let everything: [BoxStream<'static, Vec<Input>>; 15] = [
            watch(informers.of(), Input::Node),
            watch(informers.of(), Input::Namespace),
            watch(informers.of(), Input::Claim),
            watch(informers.of(), Input::Volume),
            watch(informers.of(), Input::StorageClass),
            watch(informers.of(), Input::CsiNode),
            watch(informers.of(), Input::CsiDriver),
            watch(informers.of(), Input::CsiCapacity),
            watch(informers.of(), Input::Attachment),
            watch(informers.of(), Input::Budget),
            watch(informers.of(), Input::Service),
            watch(informers.of(), Input::ReplicationController),
            watch(informers.of(), Input::ReplicaSet),
            watch(informers.of(), Input::StatefulSet),
            watch(informers.scoped::<Pod>(Scope::fields(LIVE_PODS)), Input::Pod),
        ];
        Eyes { news: stream::select_all(everything) }
    }

    /// The next changes of one kind. May be dropped and called again without losing anything.
    pub(crate) async fn next(&mut self) -> Vec<Input> {
        match self.news.next().await {
            Some(inputs) => inputs,
            // The informers live as long as the process wants to see: without them there is nothing to wait for.
            None => std::future::pending().await,
        }
    }
}

fn watch<K: Kind>(informer: Informer<K>, input: fn(Change<K>) -> Input) -> BoxStream<'static, Vec<Input>> {
    let news = informer.subscribe();
    let batches = stream::unfold((informer, news), move |(informer, mut news)| async move {
        let batch = news.batch().await;
        let inputs = batch.into_iter().filter_map(change).map(input).collect::<Vec<Input>>();
        (!inputs.is_empty()).then_some((inputs, (informer, news)))
    });
    batches.boxed()
}

fn change<K>(changed: Changed<K>) -> Option<Change<K>> {
    let Changed { old, new } = changed;
    new.map(Change::Set).or_else(|| old.map(Change::Gone))
}
