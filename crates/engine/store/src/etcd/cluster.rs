//! The endpoints, and which of them to ask.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::OnceCell;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint as Transport};

use crate::limits::{ETCD_CONNECT_SECONDS_MAX, ETCD_REQUEST_SECONDS_MAX};
use crate::{Error, Status};

use super::Config;
use super::answers;
use super::connector::{Connector, Credentials};
use super::failures::{self, Failure};
use super::wire::etcdserverpb as pb;
use super::wire::etcdserverpb::maintenance_client::MaintenanceClient;

/// As upstream's client: a silent connection with requests under way is probed, and given up soon after.
const KEEP_ALIVE_SECONDS: u64 = 30;
const KEEP_ALIVE_ANSWER_SECONDS: u64 = 10;

/// Whether a request may be carried out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Cluster {
    endpoints: Vec<Endpoint>,
    /// The one that answered last.
    preferred: AtomicUsize,
}

/// One member.
#[derive(Debug)]
pub(super) struct Endpoint {
    channel: Channel,
    version: OnceCell<Version>,
}

impl Cluster {
    pub(super) fn new(config: Config) -> Result<Cluster, Error> {
        let credentials = Arc::new(config.credentials);
        let endpoints = config.endpoints.iter().map(|url| Endpoint::new(url, &credentials));
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            return Err(Error::unavailable("no etcd endpoint is given"));
        }
        Ok(Cluster { endpoints, preferred: AtomicUsize::new(0) })
    }

    /// Sends one request, to one endpoint after the other as long as `kind` permits.
    pub(super) async fn call<T, F>(&self, kind: Kind, send: impl Fn(Channel) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        self.try_each(kind, |endpoint| {
            let answer = send(endpoint.channel());
            async move { answer.await.map(tonic::Response::into_inner).map_err(|status| failures::judge(&status)) }
        })
        .await
    }

    /// The same for what takes more than one request.
    pub(super) async fn try_each<'a, T, F>(&'a self, kind: Kind, ask: impl Fn(&'a Endpoint) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let asking = self.ask_in_turn(kind, ask);
        let time_is_up = || lost(kind, format!("no answer within {ETCD_REQUEST_SECONDS_MAX} seconds"));
        match env::time::timeout(Duration::from_secs(ETCD_REQUEST_SECONDS_MAX), asking).await {
            Ok(result) => result,
            Err(_elapsed) => Err(time_is_up()),
        }
    }

    async fn ask_in_turn<'a, T, F>(&'a self, kind: Kind, ask: impl Fn(&'a Endpoint) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Error::unavailable("no etcd endpoint is given");
        for offset in 0..self.endpoints.len() {
            let at = (first + offset) % self.endpoints.len();
            match ask(&self.endpoints[at]).await {
                Ok(answer) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(Failure::Refused(error @ Error::Unavailable { .. }) | Failure::NotSent(error)) => last = error,
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost(message)) => {
                    last = lost(kind, message);
                    if kind == Kind::Write {
                        return Err(last);
                    }
                }
            }
        }
        Err(last)
    }
}

fn lost(kind: Kind, message: String) -> Error {
    match kind {
        Kind::Read => Error::Unavailable { message },
        Kind::Write => Error::OutcomeUnknown { message },
    }
}

impl Endpoint {
    fn new(url: &str, credentials: &Arc<Credentials>) -> Result<Endpoint, Error> {
        let bad = |error: &dyn std::fmt::Display| Error::unavailable(format!("the etcd endpoint {url}: {error}"));
        let uri: Uri = url.parse().map_err(|error| bad(&error))?;
        if uri.scheme_str() != Some("https") {
            return Err(Error::Unsupported { what: "connections to etcd without TLS" });
        }
        let host = uri.host().ok_or_else(|| bad(&"it names no host"))?;
        let port = uri.port_u16().unwrap_or(2379);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let connector = Connector::new(host, port, credentials.clone()).map_err(|error| bad(&error))?;
        // The connector speaks TLS by itself; to the transport beneath, the connection it gets is plain.
        let plain = format!("http://{}", uri.authority().ok_or_else(|| bad(&"it names no host"))?);
        let transport = Transport::from_shared(plain).map_err(|error| bad(&error))?;
        let transport = transport
            .origin(uri)
            .connect_timeout(Duration::from_secs(ETCD_CONNECT_SECONDS_MAX))
            .http2_keep_alive_interval(Duration::from_secs(KEEP_ALIVE_SECONDS))
            .keep_alive_timeout(Duration::from_secs(KEEP_ALIVE_ANSWER_SECONDS));
        let channel = transport.connect_with_connector_lazy(connector);
        Ok(Endpoint { channel, version: OnceCell::new() })
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Where this member stands.
    pub(super) async fn status(&self) -> Result<Status, Failure> {
        let answer = self.ask_status().await?;
        let revision = answers::header_revision(answer.header.as_ref()).map_err(Failure::Refused)?;
        Ok(Status {
            revision,
            size_bytes: u64::try_from(answer.db_size).unwrap_or(0),
            progress_on_request: Version::parse(&answer.version).progress_is_sound(),
            engine: format!("etcd {}", answer.version),
        })
    }

    /// Whether the member answers a request for progress only after the events that came before it.
    pub(super) async fn progress_is_sound(&self) -> Result<bool, Failure> {
        let ask = || async { Ok::<_, Failure>(Version::parse(&self.ask_status().await?.version)) };
        Ok(self.version.get_or_try_init(ask).await?.progress_is_sound())
    }

    async fn ask_status(&self) -> Result<pb::StatusResponse, Failure> {
        let answer = MaintenanceClient::new(self.channel()).status(pb::StatusRequest {}).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failures::judge(&status))
    }
}

/// An etcd version, 0 for what could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version([u32; 3]);

impl Version {
    fn parse(text: &str) -> Version {
        let mut parts = text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
        Version(std::array::from_fn(|_| parts.next().unwrap_or(0)))
    }

    /// Upstream's floor: etcd 3.4.31 and 3.5.13 (etcd-io/etcd#15220).
    fn progress_is_sound(self) -> bool {
        match self.0 {
            [3, 4, patch] => patch >= 31,
            [3, 5, patch] => patch >= 13,
            _ => self >= Version([3, 6, 0]),
        }
    }
}
