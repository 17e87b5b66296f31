//! The accept loop and the end of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use env::net::Listener;
use env::task::{Fate, Shutdown};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::connection::{Shared, serve};
use crate::{Limits, Service};

/// When the system has no descriptors left, the next attempt is made after this long.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// A server: a service with limits, over TLS or plain.
pub struct Server {
    service: Arc<dyn Service>,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: Limits,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("tls", &self.tls.is_some()).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because their requests did not end in time.
    pub connections_cut: u32,
}

impl Server {
    /// A server with default limits that speaks plain HTTP/1.1; for health ports on localhost.
    pub fn new(service: Arc<dyn Service>) -> Self {
        Server { service, tls: None, limits: Limits::default() }
    }

    /// Speaks TLS, and then HTTP/2 or HTTP/1.1 as ALPN decides ([`pki::tls::server_config`]).
    #[must_use]
    pub fn with_tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves until `shutdown`; then stops accepting, says farewell on every connection (GOAWAY, `connection: close`),
    /// waits for running requests at most [`Limits::drain_timeout`], and cuts the rest.
    pub async fn run(self, listener: Listener, shutdown: Shutdown) -> Drained {
        let connections_max = self.limits.connections_max;
        let drain_timeout = self.limits.drain_timeout;
        let permits = Arc::new(Semaphore::new(usize::try_from(connections_max).unwrap_or(usize::MAX)));
        let end = Shutdown::new();
        let shared = Arc::new(Shared {
            service: self.service,
            acceptor: self.tls.map(TlsAcceptor::from),
            limits: self.limits,
            drain: shutdown.clone(),
            end: end.clone(),
        });
        tokio::select! {
            () = accept_all(&listener, &permits, &shared) => {}
            () = shutdown.cancelled() => {}
        }
        drop(listener);
        // All permits back means all connections gone.
        let all_gone = permits.acquire_many(connections_max);
        let in_time = env::time::timeout(drain_timeout, all_gone).await.is_ok();
        let left = permits.available_permits();
        end.cancel();
        let cut = usize::try_from(connections_max).unwrap_or(usize::MAX).saturating_sub(left);
        Drained { connections_cut: if in_time { 0 } else { u32::try_from(cut).unwrap_or(u32::MAX) } }
    }
}

async fn accept_all(listener: &Listener, permits: &Arc<Semaphore>, shared: &Arc<Shared>) {
    loop {
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, address)) => {
                let shared = Arc::clone(shared);
                env::task::spawn(Fate::Local, "connection", async move {
                    serve(shared, stream, address).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                env::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}
