//! How a controller manager is set up.

use std::sync::Arc;

use client::Client;
use jiff::SignedDuration;
use lifecycle::node_health;
use lifecycle::node_ipam::Allocator;
use pki::Authority;

use crate::roster::Selection;
use crate::told::Told;

/// Makes the client of a controller, by the name of its ServiceAccount in `kube-system`.
pub type Clients = Arc<dyn Fn(&str) -> Client + Send + Sync>;

/// Settings of a controller manager.
pub struct Config {
    /// The manager's own client: with it everything is watched.
    pub client: Client,
    /// The controllers' clients; none means that all write as the manager itself.
    pub clients: Option<Clients>,
    /// Stands for election under this name, which no other candidate has (`<host>_<uuid>`); none means that this manager
    /// is the only one.
    pub candidate: Option<String>,
    /// Measures the queues.
    pub(crate) metrics: workqueue::Metrics,
    pub(crate) told: Told,
    /// Which controllers run.
    pub selection: Selection,
    /// The cluster's pod ranges, each with the prefix length of node ranges; without any, nodes get no ranges.
    pub cluster_ranges: Vec<(String, u8)>,
    /// What `kube-root-ca.crt` holds, as PEM; without it there are no such ConfigMaps.
    pub root_ca_pem: Option<String>,
    /// Signs certificates of the cluster; without it requests stay unsigned.
    pub signer: Option<Arc<Authority>>,
    /// The longest validity of signed certificates (flag `--cluster-signing-duration`).
    pub signing_validity: SignedDuration,
    /// How patient the manager is with silent nodes.
    pub node_health: node_health::Config,
    /// Ended pods beyond this number are deleted (flag `--terminated-pod-gc-threshold`).
    pub ended_pods_max: usize,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("selection", &self.selection).finish_non_exhaustive()
    }
}

/// Why a controller manager does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A cluster range cannot be cut as wished.
    #[error("the cluster's pod ranges cannot be used: {0}")]
    Ranges(String),
    /// The lease could not be renewed in time: another manager may lead.
    #[error("the lead was lost")]
    LeadLost,
    /// The server does not say what it serves.
    #[error("the API server cannot be asked what it serves")]
    Discovery(#[from] client::Error),
}

impl Config {
    /// Settings as upstream's defaults: every controller that runs by default.
    ///
    /// # Panics
    /// Never: `*` is always a valid selection.
    pub fn new(client: Client) -> Self {
        let told = Told::new();
        Config {
            client,
            clients: None,
            candidate: None,
            metrics: workqueue::Metrics::new(told.vitals.metrics()),
            told,
            selection: Selection::parse(["*"]).expect("a star names no controller"),
            cluster_ranges: Vec::new(),
            root_ca_pem: None,
            signer: None,
            signing_validity: SignedDuration::from_hours(8760),
            node_health: node_health::Config::default(),
            ended_pods_max: lifecycle::pod_gc::ENDED_PODS_MAX,
        }
    }

    /// What the manager says of itself, before and while it runs.
    pub fn vitals(&self) -> Arc<vitals::Vitals> {
        Arc::clone(&self.told.vitals)
    }

    /// Whether the ranges can be used.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        self.allocator().map(drop)
    }

    /// The allocator of node ranges, if there are cluster ranges.
    pub(crate) fn node_ranges(&self) -> Option<Allocator> {
        if self.cluster_ranges.is_empty() { None } else { self.allocator().ok() }
    }

    fn allocator(&self) -> Result<Allocator, StartError> {
        let ranges: Vec<(&str, u8)> =
            self.cluster_ranges.iter().map(|(range, prefix)| (range.as_str(), *prefix)).collect();
        Allocator::new(&ranges).map_err(|problem| StartError::Ranges(problem.0))
    }

    /// The client with which a controller writes.
    pub(crate) fn client_of(&self, account: &str) -> Client {
        match &self.clients {
            Some(make) if !account.is_empty() => make(account),
            _ => self.client.clone(),
        }
    }
}
