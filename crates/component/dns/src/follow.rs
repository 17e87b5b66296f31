//! Keeps the index equal to the cluster.

use std::sync::Arc;

use env::task::Fate;
use informer::{Changed, Informers, Subscription};
use parking_lot::RwLock;
use typed::Kind;
use typed::api::core::v1::{Namespace, Pod, Service};
use typed::api::discovery::v1::EndpointSlice;

use crate::Index;

/// Keeps `index` equal to the cluster from now on, with its pods where they are needed. When all is read, it is known.
pub(crate) fn cluster(informers: &Informers, index: &Arc<RwLock<Index>>, needs_pods: bool) {
    let (namespaces, services, slices) =
        (informers.of::<Namespace>(), informers.of::<Service>(), informers.of::<EndpointSlice>());
    let mut namespace_news = namespaces.cache().subscribe();
    let mut service_news = services.cache().subscribe();
    let mut slice_news = slices.cache().subscribe();
    let pods = needs_pods.then(|| pods(informers, index));
    let index = Arc::clone(index);
    env::task::spawn(Fate::Vital, "cluster", async move {
        namespaces.synced().await;
        services.synced().await;
        slices.synced().await;
        if let Some(pods) = pods {
            pods.await;
        }
        drain(&mut namespace_news, &index, hear_namespace);
        drain(&mut service_news, &index, hear_service);
        drain(&mut slice_news, &index, hear_slice);
        index.write().is_known = true;
        follow(namespace_news, &index, hear_namespace);
        follow(service_news, &index, hear_service);
        follow(slice_news, &index, hear_slice);
    });
}

/// Keeps the pods of `index` equal to the cluster's; the answer comes when they are.
pub(crate) fn pods(informers: &Informers, index: &Arc<RwLock<Index>>) -> impl Future<Output = ()> + Send + use<> {
    let pods = informers.of::<Pod>();
    let mut news = pods.cache().subscribe();
    let index = Arc::clone(index);
    let (known, heard) = tokio::sync::oneshot::channel();
    env::task::spawn(Fate::Vital, "pods", async move {
        pods.synced().await;
        drain(&mut news, &index, hear_pod);
        let _nobody_waits = known.send(());
        follow(news, &index, hear_pod);
    });
    async move {
        let _known = heard.await;
    }
}

fn drain<K: Kind>(news: &mut Subscription<K>, index: &RwLock<Index>, hear: fn(&mut Index, &Changed<K>)) {
    while let Some(change) = news.try_next() {
        hear(&mut index.write(), &change);
    }
}

fn follow<K: Kind>(mut news: Subscription<K>, index: &Arc<RwLock<Index>>, hear: fn(&mut Index, &Changed<K>)) {
    let index = Arc::clone(index);
    env::task::spawn(Fate::Vital, "names", async move {
        loop {
            let changes = news.batch().await;
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

fn hear_pod(index: &mut Index, change: &Changed<Pod>) {
    match (&change.new, &change.old) {
        (Some(pod), _) => index.pod_set(pod),
        (None, Some(pod)) => index.pod_remove(pod.namespace(), pod.name()),
        (None, None) => {}
    }
}
