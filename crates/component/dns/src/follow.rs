//! Keeps the index equal to the cluster, and serves it.

use std::net::SocketAddr;
use std::sync::Arc;

use env::task::{Fate, Shutdown};
use informer::{Changed, Informers, Subscription};
use parking_lot::RwLock;
use typed::Kind;
use typed::api::core::v1::{Namespace, Service};
use typed::api::discovery::v1::EndpointSlice;

use crate::{Config, Index, Server, bind};

/// Serves names at `address` until shutdown. Nothing is answered before the cluster is known: a resolver that says
/// "no such name" too early is believed for seconds.
///
/// # Errors
/// When the sockets cannot be bound or fail.
pub async fn run(
    config: Config,
    informers: &Informers,
    address: SocketAddr,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let serial = u32::try_from(env::time::now().as_second()).unwrap_or(u32::MAX);
    let index = Arc::new(RwLock::new(Index::new(&config, serial)));
    let (namespaces, services, slices) =
        (informers.of::<Namespace>(), informers.of::<Service>(), informers.of::<EndpointSlice>());
    let mut namespace_news = namespaces.cache().subscribe();
    let mut service_news = services.cache().subscribe();
    let mut slice_news = slices.cache().subscribe();
    tokio::select! {
        () = async { namespaces.synced().await; services.synced().await; slices.synced().await; } => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    drain(&mut namespace_news, &index, hear_namespace);
    drain(&mut service_news, &index, hear_service);
    drain(&mut slice_news, &index, hear_slice);
    follow(namespace_news, &index, hear_namespace, &shutdown);
    follow(service_news, &index, hear_service, &shutdown);
    follow(slice_news, &index, hear_slice, &shutdown);
    let sockets = bind(address).await?;
    Server::new(&config, index).run(sockets, shutdown).await
}

fn drain<K: Kind>(news: &mut Subscription<K>, index: &RwLock<Index>, hear: fn(&mut Index, &Changed<K>)) {
    while let Some(change) = news.try_next() {
        hear(&mut index.write(), &change);
    }
}

fn follow<K: Kind>(
    mut news: Subscription<K>,
    index: &Arc<RwLock<Index>>,
    hear: fn(&mut Index, &Changed<K>),
    shutdown: &Shutdown,
) {
    let (index, shutdown) = (Arc::clone(index), shutdown.clone());
    env::task::spawn(Fate::Vital, "names", async move {
        loop {
            let changes = tokio::select! {
                changes = news.batch() => changes,
                () = shutdown.cancelled() => return,
            };
            let mut index = index.write();
            changes.iter().for_each(|change| hear(&mut index, change));
        }
    });
}

fn hear_namespace(index: &mut Index, change: &Changed<Namespace>) {
    match (&change.new, &change.old) {
        (Some(namespace), _) => index.namespace_set(namespace.name()),
        (None, Some(namespace)) => index.namespace_remove(namespace.name()),
        (None, None) => {}
    }
}

fn hear_service(index: &mut Index, change: &Changed<Service>) {
    match (&change.new, &change.old) {
        (Some(service), _) => index.service_set(service),
        (None, Some(service)) => index.service_remove(service.namespace(), service.name()),
        (None, None) => {}
    }
}

fn hear_slice(index: &mut Index, change: &Changed<EndpointSlice>) {
    match (&change.new, &change.old) {
        (Some(slice), _) => index.slice_set(slice),
        (None, Some(slice)) => index.slice_remove(slice.namespace(), slice.name()),
        (None, None) => {}
    }
}
