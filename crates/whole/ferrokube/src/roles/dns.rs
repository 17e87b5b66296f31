//! The cluster's name service in a pod: reaches the API with the pod's service account.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use client::Client;
use env::task::{Fate, Shutdown};
use informer::Informers;

use crate::cli::DnsOptions;

const PORT: u16 = 53;

/// Serves until it is asked to end.
pub(crate) async fn run(options: DnsOptions) -> anyhow::Result<ExitCode> {
    let resolvers = env::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let config = dns::Config {
        upstreams: dns::config::upstreams(&resolvers, &options.own_address),
        own_addresses: options.own_address,
        ..dns::Config::default()
    }
    .with_zone(&options.zone)?;
    let informers = Informers::new(Client::in_cluster("dns")?);
    let shutdown = Shutdown::new();
    let asked = shutdown.clone();
    env::task::spawn(Fate::Vital, "signals", async move {
        if let Err(error) = crate::up::asked_to_end().await {
            tracing::error!(%error, "cannot wait for signals");
        }
        asked.cancel();
    });
    let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), PORT);
    dns::run(config, &informers, address, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}
