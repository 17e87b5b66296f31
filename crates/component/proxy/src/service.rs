//! The proxy as a running part: hears of Services and EndpointSlices, and keeps the kernel in step.

use std::sync::Arc;
use std::time::Duration;

use env::task::Shutdown;
use informer::{Changed, Informers};
use parking_lot::Mutex;
use servicerules::{Facts, Model, ServiceName};
use typed::Kind;
use typed::api::core::v1::Service as KubeService;
use typed::api::discovery::v1::EndpointSlice;

use crate::Rules;

/// How often it is checked that nobody else has changed the tables; the check asks for one number.
const REPAIR_EVERY: Duration = Duration::from_secs(30);
/// How long a refused change waits before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How a proxy is set up.
#[derive(Debug)]
pub struct Config {
    /// The node.
    pub facts: Facts,
    /// Where Services and EndpointSlices are heard of.
    pub informers: Informers,
}

/// Runs until shutdown. The rules stay when it ends: connections go on, and the next start corrects what has changed.
///
/// # Errors
/// When the kernel's packet filter cannot be reached at all.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<(), netlink::Error> {
    let services = config.informers.of::<KubeService>();
    let slices = config.informers.of::<EndpointSlice>();
    let mut service_news = services.cache().subscribe();
    let mut slice_news = slices.cache().subscribe();
    // Nothing is written before everything is known: half the truth would refuse connections that worked.
    tokio::select! {
        () = async { services.synced().await; slices.synced().await; } => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    let rules = Arc::new(Mutex::new(Rules::open(config.facts)?));
    while let Some(change) = service_news.try_next() {
        hear_service(rules.lock().model(), &change);
    }
    while let Some(change) = slice_news.try_next() {
        hear_slice(rules.lock().model(), &change);
    }
    let mut pending = !sync(&rules, Rules::rebuild).await;
    loop {
        let wait = if pending { RETRY_AFTER } else { REPAIR_EVERY };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            changes = service_news.batch() => {
                changes.iter().for_each(|change| hear_service(rules.lock().model(), change));
                pending = !sync(&rules, Rules::sync).await;
            }
            changes = slice_news.batch() => {
                changes.iter().for_each(|change| hear_slice(rules.lock().model(), change));
                pending = !sync(&rules, Rules::sync).await;
            }
            () = env::time::sleep(wait) => {
                pending = !sync(&rules, if pending { Rules::sync } else { Rules::repair }).await;
            }
        }
    }
}

/// Brings the kernel into step off the asynchronous threads; `false` when that failed.
async fn sync(rules: &Arc<Mutex<Rules>>, work: fn(&mut Rules) -> Result<crate::Synced, netlink::Error>) -> bool {
    let rules = Arc::clone(rules);
    match env::task::blocking(move || work(&mut rules.lock())).await {
        Ok(synced) => {
            tracing::debug!(bytes = synced.bytes, rebuilt = synced.rebuilt, "service rules are in step");
            true
        }
        Err(error) => {
            tracing::error!(%error, cause = ?std::error::Error::source(&error), "service rules are not in step");
            false
        }
    }
}

fn hear_service(model: &mut Model, change: &Changed<KubeService>) {
    match (&change.new, &change.old) {
        (Some(service), _) => model.service_set(service),
        (None, Some(service)) => model.service_remove(&ServiceName {
            namespace: service.namespace().to_owned(),
            name: service.name().to_owned(),
        }),
        (None, None) => {}
    }
}

fn hear_slice(model: &mut Model, change: &Changed<EndpointSlice>) {
    match (&change.new, &change.old) {
        (Some(slice), _) => model.slice_set(slice),
        (None, Some(slice)) => model.slice_remove(slice.namespace(), slice.name()),
        (None, None) => {}
    }
}
