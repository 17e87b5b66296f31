//! The cluster's name service in a pod: reaches the API with the pod's service account.

use std::process::ExitCode;

use client::Client;
use env::task::{Fate, Shutdown};
use informer::Informers;

use crate::cli::DnsOptions;

/// Serves until it is asked to end.
pub(crate) async fn run(options: DnsOptions) -> anyhow::Result<ExitCode> {
    let informers = Informers::new(Client::in_cluster("dns")?);
    let shutdown = Shutdown::new();
    let asked = shutdown.clone();
    env::task::spawn(Fate::Vital, "signals", async move {
        if let Err(error) = crate::up::asked_to_end().await {
            tracing::error!(%error, "cannot wait for signals");
        }
        asked.cancel();
    });
    let setup = dns::Setup { corefile: options.conf, own_addresses: options.own_address };
    dns::run(setup, &informers, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}
