//! How the control plane's components start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use apiserver::{Config, Server};
use controller_manager::roster;
use env::task::Fate;
use futures::future::BoxFuture;
use store::Store;
use store::embedded::{Embedded, Options};

use super::{Context, Seat, Started, port, told};
use crate::access::{self, SPEAKERS};
use crate::manifests;

/// What a process ends with when its store can write no more: whoever supervises it starts it again.
const EXIT_STORE: i32 = 74;

/// How much of the cluster's range a node gets, as upstream has it.
const NODE_PREFIX_4: u8 = 24;
const NODE_PREFIX_6: u8 = 64;

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
        let mut config = Config::from_pki(&context.place.pki(), &place, store as Arc<dyn Store>)?;
        config.components = context.watched.iter().map(component).collect();
        // A taken port is told before anything is changed.
        let listener = crate::listen::on(context.listen).await?;
        let server = Server::start(config, context.shutdown.clone()).await?;
        context.access.open(doors(&server, &context)?);
        let task = env::task::spawn(Fate::Vital, "apiserver", async move {
            let drained = server.run(listener).await;
            tracing::info!(connections_cut = drained.connections_cut, "the API server has ended");
        });
        let founder = access::administrator(&context.place.kubernetes_dir.join("super-admin.conf"))?;
        access::health(&founder, "/readyz?verbose").await?;
        manifests::apply(&founder, manifests::ADMINISTRATORS).await?;
        Ok(Started { task: Some(task), detail: context.wanted.server() })
    })
}

/// How the API server asks a component how it is.
fn component(seat: &Seat) -> apiserver::Component {
    let way = match seat.port {
        _ if seat.is_chosen => apiserver::Way::Within(Arc::clone(&seat.door)),
        Some(port) => apiserver::Way::At(port::address(port)),
        None => apiserver::Way::Unknown(format!("it is not part of this process, and {} names no port", seat.row.flag)),
    };
    apiserver::Component { name: seat.row.component.to_owned(), way }
}

fn doors(server: &Server, context: &Context) -> anyhow::Result<BTreeMap<String, serving::Door>> {
    let authority =
        pki::files::load_authority(&context.place.pki(), "ca")?.context("the cluster's authority is gone")?;
    let door = |speaker: &access::Speaker| {
        let chain = speaker.chain(&authority, &context.wanted.node_name)?;
        Ok((speaker.component.to_owned(), server.door(chain)))
    };
    let accounts: BTreeSet<&str> = roster::CONTROLLERS.iter().map(|row| row.account).collect();
    let account_door = |account: &&str| {
        let chain = access::account_chain(&authority, account)?;
        Ok((access::account_door(account), server.door(chain)))
    };
    let accounts = accounts.iter().filter(|account| !account.is_empty()).map(account_door);
    SPEAKERS.iter().map(door).chain(accounts).collect()
}

/// The controllers, each with the credentials of its own.
pub(super) fn controller_manager(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let client = context.access.client(&context.place, "controller-manager")?;
        let pki = context.place.pki();
        let authority = pki::files::load_authority(&pki, "ca")?.context("the cluster's authority is gone")?;
        let pods = context.pod_range;
        let node_prefix = if pods.address.is_ipv4() { NODE_PREFIX_4 } else { NODE_PREFIX_6 };
        let mut config = controller_manager::Config::new(client.clone());
        config.cluster_ranges = vec![(format!("{}/{}", pods.address, pods.prefix), node_prefix.max(pods.prefix))];
        config.root_ca_pem = Some(authority.certificate().to_pem());
        config.signer = Some(Arc::new(authority));
        let of_accounts = Arc::clone(&context);
        config.clients =
            Some(Arc::new(move |account: &str| of_accounts.access.account(account).unwrap_or_else(|| client.clone())));
        let built = roster::CONTROLLERS.iter().filter(|row| row.built).count();
        let (open, tells) = port::open(&context, "controller-manager", config.vitals()).await?;
        let work = Box::pin(controller_manager::run(config, context.shutdown.clone()));
        let task = env::task::spawn(Fate::Vital, "controller-manager", async move {
            told("the controller manager", work).await;
            drop(open);
        });
        let controllers = format!("{built} controllers of {}", roster::CONTROLLERS.len());
        let detail = if tells.is_empty() { controllers } else { format!("{controllers}; {tells}") };
        Ok(Started { task: Some(task), detail })
    })
}

/// The scheduler with its usual profile.
pub(super) fn scheduler(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let client = context.access.client(&context.place, "scheduler")?;
        let config = scheduler::Config::new(client);
        let (open, detail) = port::open(&context, "scheduler", config.vitals()).await?;
        let work = scheduler::run(config, context.shutdown.clone());
        let task = env::task::spawn(Fate::Vital, "scheduler", async move {
            told("the scheduler", work).await;
            drop(open);
        });
        Ok(Started { task: Some(task), detail })
    })
}

/// Nothing can be promised any more when a write to disk has failed.
fn end_with(store: Arc<Embedded>) {
    env::task::spawn(Fate::Vital, "store-failure", async move {
        let error = store.failed().await;
        tracing::error!(%error, "the store can write no more");
        std::process::exit(EXIT_STORE);
    });
}
