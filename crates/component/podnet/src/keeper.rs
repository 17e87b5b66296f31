//! The node's pod network as a running part: set up as soon as the node has its ranges, and again when they change.

use std::path::PathBuf;
use std::time::Duration;

use env::task::Shutdown;
use informer::{Informers, Scope};
use netlink::route::Network;
use typed::Kind;
use typed::api::core::v1::Node;

use crate::node::{self, NodeNetwork};

/// How long a failed set-up waits before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How the network is kept.
#[derive(Debug)]
pub struct Config {
    /// This node.
    pub node_name: String,
    /// The whole cluster's pod ranges.
    pub cluster_ranges: Vec<Network>,
    /// The largest packet; the kernel's default when `None`.
    pub mtu: Option<u32>,
    /// Where the runtime looks for network configurations.
    pub conf_dir: PathBuf,
    /// Where the runtime looks for plugins.
    pub bin_dir: PathBuf,
    /// Where nodes are heard of.
    pub informers: Informers,
}

/// Runs until shutdown. The network stays when it ends.
pub async fn run(config: Config, shutdown: Shutdown) {
    let nodes = config.informers.scoped::<Node>(Scope::fields(&format!("metadata.name={}", config.node_name)));
    let mut news = nodes.cache().subscribe();
    let mut current: Option<NodeNetwork> = None;
    loop {
        let wanted = nodes.cache().get("", &config.node_name).and_then(|node| wanted(&config, &node));
        let mut wait = None;
        if wanted.is_some() && wanted != current {
            match set_up(&config, wanted.clone()).await {
                Ok(()) => current = wanted,
                Err(error) => {
                    tracing::error!(%error, cause = ?std::error::Error::source(&error), "the pod network is not set up");
                    wait = Some(RETRY_AFTER);
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = news.batch() => {}
            () = async { env::time::sleep(wait.unwrap_or(Duration::MAX)).await }, if wait.is_some() => {}
        }
    }
}

fn wanted(config: &Config, node: &Node) -> Option<NodeNetwork> {
    let spec = node.spec.as_ref()?;
    let several = spec.pod_cidrs.as_deref().unwrap_or_default();
    let texts: Vec<&str> = match several {
        [] => spec.pod_cidr.as_deref().into_iter().collect(),
        several => several.iter().map(String::as_str).collect(),
    };
    let pod_ranges: Vec<Network> = texts.into_iter().filter_map(parse).collect();
    if pod_ranges.is_empty() {
        tracing::debug!(node = node.name(), "the node has no pod range yet");
        return None;
    }
    Some(NodeNetwork { pod_ranges, unmasqueraded: config.cluster_ranges.clone(), mtu: config.mtu })
}

/// Reads `address/length`.
pub fn parse(text: &str) -> Option<Network> {
    let (address, prefix) = text.split_once('/')?;
    Some(Network { address: address.parse().ok()?, prefix: prefix.parse().ok()? })
}

async fn set_up(config: &Config, wanted: Option<NodeNetwork>) -> Result<(), node::Error> {
    let Some(network) = wanted else { return Ok(()) };
    let (conf_dir, bin_dir) = (config.conf_dir.clone(), config.bin_dir.clone());
    env::task::blocking(move || {
        node::plugins_install(&bin_dir)?;
        node::setup(&network)?;
        // The runtime takes the file's presence for a working network: it comes last.
        node::conflist_write(&conf_dir, &network)?;
        tracing::info!(ranges = ?network.pod_ranges, "the pod network is set up");
        Ok(())
    })
    .await
}
