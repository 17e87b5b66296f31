//! What is measured: a [`System`] that can be started cold in a folder of its own, and the [`Cluster`] that it becomes.
//!
//! - [`ours`] is one process; [`reference`] is etcd and the original's programs.
//! - [`process`] asks the kernel what they use.
//!
//! Invariants
//! - A cluster is in a folder and on ports of its own and touches nothing outside.
//! - What a cluster started ends with it, by process id.

pub(crate) mod ours;
pub(crate) mod process;
pub(crate) mod reference;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use env::time::Instant;
use futures::future::BoxFuture;
use pki::kubeconfig::Kubeconfig;

use crate::load::{Call, Client, Listener, Target};
use process::{Cpu, Process};

/// How often it is asked whether something has begun.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// Where one cluster lives: a folder that may be empty, and free ports.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    pub(crate) api: u16,
    pub(crate) store: u16,
    pub(crate) store_peer: u16,
}

impl Site {
    /// An empty folder at `folder`, whatever was there before.
    pub(crate) async fn empty(folder: &Path) -> Result<Site> {
        env::fs::remove_dir_all_if_exists(folder)?;
        env::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let [api, store, store_peer] = free_ports().await?;
        Ok(Site { folder: folder.to_owned(), api, store, store_peer })
    }

    /// Where the API is.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.api))
    }
}

/// Ports that nobody listened on a moment ago.
async fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    for _ in 0..N {
        listeners.push(env::net::listen_tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?);
    }
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.address().context("a TCP listener has an address")?.port();
    }
    Ok(ports)
}

/// What runs beside the API server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) controllers: bool,
    pub(crate) scheduler: bool,
}

impl Parts {
    /// Everything of a control plane.
    pub(crate) const ALL: Parts = Parts { controllers: true, scheduler: true };
    /// The API server alone.
    pub(crate) const API: Parts = Parts { controllers: false, scheduler: false };
}

/// A Kubernetes.
pub(crate) trait System: Send + Sync {
    /// In one word.
    fn name(&self) -> &'static str;

    /// Starts `parts` at `site`, which may hold what an earlier start left; answers before anything is ready.
    fn start<'a>(&'a self, site: &'a Site, parts: Parts) -> BoxFuture<'a, Result<Cluster>>;

    /// Starts the scheduler of a running cluster.
    fn add_scheduler<'a>(&'a self, cluster: Cluster) -> BoxFuture<'a, Result<Cluster>>;

    /// Starts a program that writes 1 KiB values durably to the store alone.
    fn store<'a>(&'a self, site: &'a Site) -> BoxFuture<'a, Result<StoreProcess>>;

    /// The program that is its service proxy; `None` where it is a component of our one program.
    fn proxy(&self) -> Option<PathBuf>;

    /// The server programs.
    fn programs(&self) -> Vec<PathBuf>;
}

/// A store that runs, and how its writer program is told where it is.
#[derive(Debug)]
pub(crate) struct StoreProcess {
    /// `None` where the store is within the writer.
    pub(crate) server: Option<Process>,
    /// Arguments of the writer.
    pub(crate) place: Vec<String>,
}

/// Processes that are a control plane.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) site: Site,
    /// In the order of their start.
    pub(crate) processes: Vec<Process>,
    /// When the first was started.
    pub(crate) started: Instant,
    /// The kubeconfig of a member of `system:masters`.
    pub(crate) kubeconfig: PathBuf,
    pub(crate) parts: Parts,
}

impl Cluster {
    /// Waits for the first answer of any kind with status 200.
    pub(crate) async fn first_answer(&self) -> Result<Duration> {
        self.wait_for("/version").await
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn ready(&self) -> Result<Duration> {
        self.wait_for("/readyz").await
    }

    async fn wait_for(&self, path: &str) -> Result<Duration> {
        let wait = async {
            let target = self.target().await?;
            loop {
                self.alive()?;
                if let Ok(client) = Client::connect(&target, 1).await
                    && self.answers(&client, path).await?
                {
                    return Ok(self.started.elapsed());
                }
                env::time::sleep(LOOK_EVERY).await;
            }
        };
        env::time::timeout(START_TIME_MAX, wait).await.with_context(|| format!("{path} is not well in time"))?
    }

    /// Asks on one connection until the answer is 200; `false` when the connection is lost.
    async fn answers(&self, client: &Arc<Client>, path: &str) -> Result<bool> {
        let call = Call::get(path).accept("*/*");
        loop {
            self.alive()?;
            match client.call(&call).await {
                Ok(reply) if reply.status == 200 => return Ok(true),
                Ok(_) => env::time::sleep(LOOK_EVERY).await,
                Err(_) => return Ok(false),
            }
        }
    }

    fn alive(&self) -> Result<()> {
        for process in &self.processes {
            process.alive()?;
        }
        Ok(())
    }

    /// The API as an administrator, as soon as there are credentials for one.
    pub(crate) async fn target(&self) -> Result<Target> {
        while !self.kubeconfig.exists() {
            self.alive()?;
            env::time::sleep(LOOK_EVERY).await;
        }
        Target::of(&Kubeconfig::load(&self.kubeconfig)?, self.site.address())
    }

    /// A client with `connections` to the API.
    pub(crate) async fn client(&self, connections: usize) -> Result<Arc<Client>> {
        Client::connect(&self.target().await?, connections).await
    }

    /// A connection on which the same watch runs `streams` times.
    pub(crate) async fn listener(&self, watch: &Call, streams: usize) -> Result<Listener> {
        Listener::open(&self.target().await?, watch, streams).await
    }

    /// The processor time of all processes so far.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        Cpu::of(self.processes.iter().map(Process::id))
    }

    /// Kills everything and waits for its end; what was acknowledged is on disk.
    pub(crate) async fn stop(self) -> Result<()> {
        // The last first: an API server without its store lingers.
        for process in self.processes.into_iter().rev() {
            process.kill().await?;
        }
        Ok(())
    }
}

/// A system's start, as far as `/readyz`.
pub(crate) async fn start_ready(system: &dyn System, site: &Site, parts: Parts) -> Result<Cluster> {
    let cluster = system.start(site, parts).await?;
    match cluster.ready().await {
        Ok(_) => Ok(cluster),
        Err(error) => {
            let logs: Vec<String> = cluster.processes.iter().map(|process| process.log.display().to_string()).collect();
            bail!("{} does not become ready: {error:#}; see {}", system.name(), logs.join(", "))
        }
    }
}
