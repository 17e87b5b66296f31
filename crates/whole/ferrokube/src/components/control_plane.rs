//! How the control plane's components start.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use apiserver::{Config, Server};
use env::task::Fate;
use futures::future::BoxFuture;
use store::Store;
use store::embedded::{Embedded, Options};

use super::{Context, Started};
use crate::access::{self, SPEAKERS};

/// What a process ends with when its store can write no more: whoever supervises it starts it again.
const EXIT_STORE: i32 = 74;

/// The API server over the embedded store. It works when it says so over TLS.
pub(super) fn apiserver(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let path = context.place.store();
        let store = Embedded::open(&path, Options::default()).await;
        let store = Arc::new(store.with_context(|| format!("cannot open {}", path.display()))?);
        end_with(Arc::clone(&store));
        let range = |text: String| addresses::Range::parse(&text).context("the range of Services cannot be used");
        let services = &context.service_range;
        let place = apiserver::Place {
            advertise_address: context.wanted.advertise,
            secure_port: context.wanted.port,
            service_ranges: vec![range(format!("{}/{}", services.address, services.prefix))?],
            dns_domain: "cluster.local".to_owned(),
        };
        let config = Config::from_pki(&context.place.pki(), &place, store as Arc<dyn Store>)?;
        // A taken port is told before anything is changed.
        let listener = crate::listen::on(context.listen).await?;
        let server = Server::start(config, context.shutdown.clone()).await?;
        context.access.open(doors(&server, &context)?);
        let task = env::task::spawn(Fate::Vital, "apiserver", async move {
            let drained = server.run(listener).await;
            tracing::info!(connections_cut = drained.connections_cut, "the API server has ended");
        });
        let administrator = access::administrator(&context.place.kubeconfig)?;
        access::health(&administrator, "/readyz?verbose").await?;
        Ok(Started { task: Some(task), detail: context.wanted.server() })
    })
}

fn doors(server: &Server, context: &Context) -> anyhow::Result<BTreeMap<&'static str, serving::Door>> {
    let authority =
        pki::files::load_authority(&context.place.pki(), "ca")?.context("the cluster's authority is gone")?;
    let door = |speaker: &access::Speaker| {
        let chain = speaker.chain(&authority, &context.wanted.node_name)?;
        Ok((speaker.component, server.door(chain)))
    };
    SPEAKERS.iter().map(door).collect()
}

/// Nothing can be promised any more when a write to disk has failed.
fn end_with(store: Arc<Embedded>) {
    env::task::spawn(Fate::Vital, "store-failure", async move {
        let error = store.failed().await;
        tracing::error!(%error, "the store can write no more");
        std::process::exit(EXIT_STORE);
    });
}
