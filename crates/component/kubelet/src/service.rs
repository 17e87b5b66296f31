//! The kubelet as a service: runtime, pods, and its two servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use client::Client;
use cri::{Remote as RemoteRuntime, Runtime, TimeLimits};
use env::task::{Fate, Shutdown, spawn};
use futures::FutureExt;
use http::{Response, StatusCode};
use pki::files::Pair;
use pki::tls::{ServingCertificates, server_config};
use pki::trust::Roots;
use serving::{Body, Server};

use crate::api::Api;
use crate::config::Config;
use crate::gatekeeper::Guard;
use crate::node::{Kubelet, StartError, View};
use crate::remote::Remote;
use crate::server::{NodeServer, text};

/// Where the kubelet says that it lives, to this machine only.
pub const HEALTH_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10248);

/// What a kubelet service is made of.
#[derive(Debug)]
pub struct Setup {
    /// The settings.
    pub config: Config,
    /// The socket of the container runtime.
    pub runtime: PathBuf,
    /// The way to the API server, as `system:node:<name>`.
    pub client: Client,
    /// The certificate of the server, and its key.
    pub serving: Pair,
    /// Who vouches for clients.
    pub client_roots: Roots,
    /// Where the server listens: port 10250 on all addresses, usually.
    pub address: SocketAddr,
    /// Where it says that it lives; `None` for nowhere.
    pub health_address: Option<SocketAddr>,
}

/// A kubelet whose servers listen.
#[derive(Debug)]
pub struct Service {
    kubelet: Kubelet,
    server: Server,
    listener: env::net::Listener,
    health: Option<(Server, env::net::Listener)>,
}

impl Service {
    /// Connects to the runtime and opens the sockets; runs nothing yet.
    pub async fn start(setup: Setup) -> Result<Service, StartError> {
        let Setup { config, runtime, client, serving, client_roots, address, health_address } = setup;
        let runtime: Arc<dyn Runtime> = Arc::new(RemoteRuntime::new(&runtime, TimeLimits::default()));
        let api: Arc<dyn Api> = Arc::new(Remote::new(client.clone(), &config.node_name));
        let guard = Guard::new(client, &config.node_name, Some(client_roots));
        let kubelet = Kubelet::new(config, runtime, api).await?;
        let certificates = ServingCertificates::new(&[serving]).map_err(StartError::Certificate)?;
        let tls = server_config(certificates).map_err(StartError::Certificate)?;
        let server = Server::new(Arc::new(NodeServer::new(kubelet.view(), Arc::new(guard)))).with_tls(tls);
        let listener = env::net::listen_tcp(address).await?;
        let health = match health_address {
            Some(address) => {
                Some((Server::new(Arc::new(serving::from_fn(health))), env::net::listen_tcp(address).await?))
            }
            None => None,
        };
        Ok(Service { kubelet, server, listener, health })
    }

    /// A view into the kubelet.
    pub fn view(&self) -> View {
        self.kubelet.view()
    }

    /// Where the server listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.address()
    }

    /// Runs until `shutdown`; containers outlive it.
    pub async fn run(self, shutdown: Shutdown) {
        let server = spawn(Fate::Vital, "kubelet-server", self.server.run(self.listener, shutdown.clone()));
        let health = self
            .health
            .map(|(server, listener)| spawn(Fate::Vital, "kubelet-health", server.run(listener, shutdown.clone())));
        self.kubelet.run(shutdown).await;
        server.await;
        if let Some(health) = health {
            health.await;
        }
    }
}

/// Starts a kubelet service and runs it until `shutdown`.
pub async fn run(setup: Setup, shutdown: Shutdown) -> Result<(), StartError> {
    Service::start(setup).await?.run(shutdown).await;
    Ok(())
}

fn health(request: http::Request<Body>) -> futures::future::BoxFuture<'static, Response<Body>> {
    let answer = match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok"),
        _ => text(StatusCode::NOT_FOUND, "404 page not found"),
    };
    std::future::ready(answer).boxed()
}
