//! A name service at work: by its Corefile, which is read again when it changes.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use env::task::{DropGuard, Fate, Shutdown};
use futures::FutureExt;
use http::{Response, StatusCode};
use informer::Informers;
use observe::said::Said;
use parking_lot::RwLock;
use serving::Body;
use tokio::sync::mpsc;

use crate::config::{Pods, Settings};
use crate::corefile::{self, Around};
use crate::loops::LoopProbe;
use crate::metrics::Metrics;
use crate::table::Table;
use crate::{Index, Server, bind, follow};

/// How long a new Corefile waits for what it needs to know of the cluster.
const POD_PATIENCE: Duration = Duration::from_secs(5);
const FAILURES_WAITING_MAX: usize = 64;

/// Where the Corefile is, and who the name service is.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The Corefile; without one kubeadm's holds.
    pub corefile: Option<PathBuf>,
    /// The addresses of this name service.
    pub own_addresses: Vec<IpAddr>,
}

/// Why a name service ends.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The Corefile cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// It says what is not understood.
    #[error(transparent)]
    Corefile(#[from] corefile::Error),
    /// A socket cannot be had, or failed.
    #[error("{0}")]
    Socket(SocketAddr, #[source] io::Error),
    /// Questions that leave come back.
    #[error("Loop (127.0.0.1 -> :{0}) detected for zone \".\", see https://coredns.io/plugins/loop#troubleshooting")]
    Loop(u16),
}

impl Setup {
    fn text(&self) -> Result<String, OperateError> {
        let Some(path) = &self.corefile else { return Ok(corefile::USUAL.to_owned()) };
        env::fs::read_to_string(path).map_err(|error| OperateError::Unreadable(path.clone(), error))
    }

    /// Reads the Corefile and the files that it names. One of those that cannot be read is as good as empty; the log says so
    /// when that begins and when it ends.
    fn read(&self, said: &Said) -> Result<Settings, OperateError> {
        let file = |path: &Path| match env::fs::read_to_string(path) {
            Ok(text) => {
                if said.is_news(&path.to_string_lossy(), None) {
                    tracing::info!("{} can be read again", path.display());
                }
                Some(text)
            }
            Err(error) => {
                if said.is_news(&path.to_string_lossy(), Some(&error.to_string())) {
                    tracing::warn!("{} cannot be read: {error}", path.display());
                }
                None
            }
        };
        Ok(corefile::read(&self.text()?, Around { file: &file, own: &self.own_addresses })?)
    }
}

/// Serves names until shutdown, and then for as long as `health` says. A Corefile that is not understood is refused at
/// first, and later not taken.
pub async fn run(setup: Setup, informers: &Informers, shutdown: Shutdown) -> Result<(), OperateError> {
    let (mut service, mut failures) = NameService::new(informers.clone());
    let settings = setup.read(&service.said)?;
    service.apply(settings).await?;
    let needs_pods = service.needs_pods();
    follow::cluster(informers, &service.index, needs_pods);
    let mut refused = None;
    loop {
        let due = service.next_look();
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(failure) = failures.recv() => return Err(failure),
            () = due => service.look_again(&setup, &mut refused).await,
        }
    }
    service.state.alive.store(false, Ordering::Relaxed);
    let lameduck = service.settings.as_ref().and_then(|settings| settings.health).map(|health| health.lameduck);
    env::time::sleep(lameduck.unwrap_or_default()).await;
    Ok(())
}

/// What pages show.
#[derive(Debug)]
struct State {
    alive: AtomicBool,
    metrics: Arc<Metrics>,
    index: Arc<RwLock<Index>>,
}

/// A port or a page that is served until this is dropped.
#[derive(Debug)]
struct Open<T> {
    what: T,
    _end: DropGuard,
}

#[derive(Debug)]
struct NameService {
    informers: Informers,
    index: Arc<RwLock<Index>>,
    state: Arc<State>,
    settings: Option<Settings>,
    ports: BTreeMap<u16, Open<Server>>,
    pages: BTreeMap<SocketAddr, Open<()>>,
    follows_pods: bool,
    /// What was said of files that the Corefile names.
    said: Said,
    failed: mpsc::Sender<OperateError>,
}

impl NameService {
    fn new(informers: Informers) -> (NameService, mpsc::Receiver<OperateError>) {
        let serial = u32::try_from(env::time::now().as_second()).unwrap_or(u32::MAX);
        let index = Arc::new(RwLock::new(Index::unread(serial)));
        let (failed, failures) = mpsc::channel(FAILURES_WAITING_MAX);
        let alive = AtomicBool::new(true);
        let state = Arc::new(State { alive, metrics: Arc::default(), index: Arc::clone(&index) });
        let service = NameService {
            informers,
            index,
            state,
            settings: None,
            ports: BTreeMap::new(),
            pages: BTreeMap::new(),
            follows_pods: false,
            said: Said::default(),
            failed,
        };
        (service, failures)
    }

    fn needs_pods(&mut self) -> bool {
        let blocks = self.settings.iter().flat_map(|settings| &settings.blocks);
        let mut kubernetes = blocks.filter_map(|block| block.kubernetes.as_ref());
        self.follows_pods |= kubernetes.any(|it| it.pods == Pods::Verified);
        self.follows_pods
    }

    /// Works by `settings` from now on; by what it worked before, when a socket cannot be had.
    async fn apply(&mut self, settings: Settings) -> Result<(), OperateError> {
        let (mut sockets, mut listeners) = (Vec::new(), Vec::new());
        let mut ports: Vec<u16> = settings.blocks.iter().map(|block| block.port).collect();
        ports.sort_unstable();
        ports.dedup();
        for port in ports.iter().filter(|port| !self.ports.contains_key(*port)) {
            let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), *port);
            sockets.push((*port, bind(address).await.map_err(|error| OperateError::Socket(address, error))?));
        }
        let pages = [settings.health.map(|health| health.address), settings.ready, settings.metrics];
        let pages: Vec<SocketAddr> = pages.into_iter().flatten().collect();
        for address in pages.iter().filter(|address| !self.pages.contains_key(*address)) {
            let listener = env::net::listen_tcp(*address).await;
            listeners.push((*address, listener.map_err(|error| OperateError::Socket(*address, error))?));
        }
        self.ports.retain(|port, _| ports.contains(port));
        self.pages.retain(|address, _| pages.contains(address));
        let metrics = Arc::clone(&self.state.metrics);
        for (port, open) in &self.ports {
            open.what.change(Table::new(&settings, *port, &metrics));
        }
        let hosts = settings.blocks.iter().filter_map(|block| block.hosts.as_ref());
        metrics.hosts(hosts.map(|hosts| hosts.addresses.len() + hosts.names.len()).sum());
        for (port, sockets) in sockets {
            self.open_port(port, sockets, Table::new(&settings, port, &metrics), detects_loops(&settings, port));
        }
        for (address, listener) in listeners {
            let end = Shutdown::new();
            let state = Arc::clone(&self.state);
            let server = serving::Server::new(Arc::new(serving::from_fn(move |request| {
                std::future::ready(page(&state, request.uri().path())).boxed()
            })));
            env::task::spawn(Fate::Vital, "dns-page", server.run(listener, end.clone()));
            self.pages.insert(address, Open { what: (), _end: end.drop_guard() });
        }
        self.settings = Some(settings);
        Ok(())
    }

    fn open_port(&mut self, port: u16, sockets: crate::Sockets, table: Table, detects_loops: bool) {
        let (end, loops) = (Shutdown::new(), Arc::new(LoopProbe::default()));
        let server = Server::new(Arc::clone(&self.index), table, Arc::clone(&loops));
        let (running, failed, stopped) = (server.clone(), self.failed.clone(), end.clone());
        env::task::spawn(Fate::Vital, "dns-port", async move {
            if let Err(error) = running.run(sockets, stopped).await {
                let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
                // Whoever would hear it has gone, or hears another failure first.
                drop(failed.send(OperateError::Socket(address, error)).await);
            }
        });
        if detects_loops {
            let failed = self.failed.clone();
            env::task::spawn(Fate::Local, "dns-loop", async move {
                match loops.goes_round(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await {
                    Ok(true) => drop(failed.send(OperateError::Loop(port)).await),
                    Ok(false) => {}
                    Err(error) => tracing::warn!(%error, "loops cannot be looked for"),
                }
            });
        }
        self.ports.insert(port, Open { what: server, _end: end.drop_guard() });
    }

    /// Waits until the Corefile is due to be read again.
    fn next_look(&self) -> impl Future<Output = ()> + use<> {
        let reload = self.settings.as_ref().and_then(|settings| settings.reload);
        async move {
            let Some(reload) = reload else { return std::future::pending().await };
            let spread = u64::try_from(reload.jitter.as_millis()).unwrap_or_default().saturating_mul(2);
            let later = Duration::from_millis(env::rand::below(spread.max(1)));
            env::time::sleep(reload.interval.saturating_add(later).saturating_sub(reload.jitter)).await;
        }
    }

    /// Reads the Corefile again. One that is not understood, or asks for what cannot be had, is told of once.
    async fn look_again(&mut self, setup: &Setup, refused: &mut Option<String>) {
        let taken = match setup.read(&self.said) {
            Ok(settings) if self.settings.as_ref() == Some(&settings) => Ok(()),
            Ok(settings) => self.take(settings).await,
            Err(problem) => Err(problem),
        };
        let problem = taken.err().map(|problem| problem.to_string());
        if let Some(problem) = problem.as_ref().filter(|problem| refused.as_ref() != Some(*problem)) {
            self.state.metrics.reload_failed();
            tracing::error!("plugin/reload: Corefile changed but reload failed: {problem}");
        }
        *refused = problem;
    }

    async fn take(&mut self, settings: Settings) -> Result<(), OperateError> {
        let verified = |block: &crate::config::Block| {
            block.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.pods == Pods::Verified)
        };
        if !self.follows_pods && settings.blocks.iter().any(verified) {
            self.follows_pods = true;
            let known = follow::pods(&self.informers, &self.index);
            if env::time::timeout(POD_PATIENCE, known).await.is_err() {
                tracing::warn!("the cluster's pods are not known yet: their names do not exist until they are");
            }
        }
        self.apply(settings).await?;
        tracing::info!("plugin/reload: Reloading complete");
        Ok(())
    }
}

/// Whether loops are looked for at `port`: the question that is asked belongs to the root's server.
fn detects_loops(settings: &Settings, port: u16) -> bool {
    settings.blocks.iter().filter(|block| block.port == port).any(|block| {
        block.detects_loops && !block.forwards.is_empty() && block.zones.iter().any(|(_, zone)| zone.len() == 1)
    })
}

fn page(state: &State, path: &str) -> Response<Body> {
    let (status, text) = match path {
        "/health" if state.alive.load(Ordering::Relaxed) => (StatusCode::OK, "OK".to_owned()),
        "/health" => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable".to_owned()),
        "/ready" if state.index.read().is_known => (StatusCode::OK, "OK".to_owned()),
        "/ready" => (StatusCode::SERVICE_UNAVAILABLE, "kubernetes".to_owned()),
        "/metrics" => (StatusCode::OK, state.metrics.encode()),
        _ => (StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = if path == "/metrics" { observe::metrics::CONTENT_TYPE } else { "text/plain; charset=utf-8" };
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
