//! A server at the other end of a socket.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::net::Stream;
use env::task::Fate;
use http::header::{HOST, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Uri};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use pki::kubeconfig::{Cluster, User};
use pki::tls::{ALPN_H2, ALPN_HTTP_1_1, client_config};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serving::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::credentials::Credentials;
use crate::pool::{Arriving, Hold, Lane, Pool};
use crate::{Carried, SetupError, Transport, TransportError};

/// For TCP and TLS together (upstream: 30 s for TCP, 10 s for TLS).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// An HTTP/2 connection with open requests is asked for a sign of life after this silence (upstream: the same).
const PING_AFTER: Duration = Duration::from_secs(30);
/// And is given up when none comes (upstream: the same).
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// What the server may send ahead, per request and over all.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// How often a request that never left is tried on another connection.
const UNSENT_RETRIES_MAX: u32 = 3;
/// Where a pod finds its credentials.
const POD_CREDENTIALS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Connections to one API server, made when needed.
#[derive(Debug)]
pub struct Remote {
    host: String,
    port: u16,
    authority: String,
    base_path: String,
    tls: Option<RwLock<Tls>>,
    /// The name to find in the server's certificate.
    server_name: Option<String>,
    credentials: Arc<Credentials>,
    pool: Arc<Pool>,
    dialing: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Tls {
    name: ServerName<'static>,
    /// Offers HTTP/2 and HTTP/1.1.
    any: Arc<ClientConfig>,
    /// Only HTTP/1.1, for requests that take the connection over.
    http1: Arc<ClientConfig>,
}

impl Remote {
    /// The server and the credentials of a kubeconfig.
    ///
    /// # Errors
    /// When they cannot be used; proxies and credential plugins are not built.
    pub fn new(cluster: &Cluster, user: &User) -> Result<Self, SetupError> {
        if cluster.proxy_url.as_deref().is_some_and(|url| !url.is_empty()) {
            return Err(SetupError::Config("proxy-url is not built".to_owned()));
        }
        let bad = || SetupError::Config(format!("{:?} is no address of a server", cluster.server));
        let text =
            if cluster.server.contains("://") { cluster.server.clone() } else { format!("https://{}", cluster.server) };
        let uri: Uri = text.parse().map_err(|_invalid| bad())?;
        let authority = uri.authority().ok_or_else(bad)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let credentials = Arc::new(Credentials::new(cluster, user)?);
        let server_name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
        let tls =
            if secure { Some(RwLock::new(tls(server_name.as_deref().unwrap_or(&host), &credentials)?)) } else { None };
        Ok(Remote {
            port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            base_path: uri.path().trim_end_matches('/').to_owned(),
            host,
            tls,
            server_name,
            credentials,
            pool: Arc::new(Pool::default()),
            dialing: Mutex::new(()),
        })
    }

    /// The server of the cluster in which this pod runs, with the pod's service account.
    pub fn in_cluster() -> Result<Self, SetupError> {
        let variable = |name: &str| env::process::variable(name).filter(|value| !value.is_empty());
        let host = variable("KUBERNETES_SERVICE_HOST");
        let port = variable("KUBERNETES_SERVICE_PORT");
        let (Some(host), Some(port)) = (host, port) else {
            return Err(SetupError::Config("this is no pod: KUBERNETES_SERVICE_HOST and _PORT are not set".to_owned()));
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let file = |name: &str| Some(Path::new(POD_CREDENTIALS).join(name).to_string_lossy().into_owned());
        let server = format!("https://{host}:{port}");
        let cluster = Cluster { server, certificate_authority: file("ca.crt"), ..Cluster::default() };
        Self::new(&cluster, &User { token_file: file("token"), ..User::default() })
    }

    /// Has the credentials' files looked at before the next request, without waiting for the next minute: whoever has
    /// just renewed them knows.
    pub fn doubt_credentials(&self) {
        self.credentials.doubt();
    }

    async fn dispatch(&self, mut request: Request<Body>) -> Result<Response<Body>, TransportError> {
        if self.credentials.refresh().await? {
            self.begin_anew();
        }
        for (name, value) in &*self.credentials.headers() {
            request.headers_mut().append(name.clone(), value.clone());
        }
        let response = if request.headers().contains_key(UPGRADE) {
            self.take_over(request).await?
        } else {
            self.on_pool(request).await?
        };
        if response.status() == StatusCode::UNAUTHORIZED {
            self.credentials.doubt();
        }
        Ok(response)
    }

    /// New connections show the new certificate: the old ones are not used again, and neither are their sessions, which
    /// would be resumed with the old identity.
    fn begin_anew(&self) {
        if let Some(current) = &self.tls {
            match tls(self.server_name.as_deref().unwrap_or(&self.host), &self.credentials) {
                Ok(fresh) => *current.write() = fresh,
                Err(error) => tracing::error!(%error, "a new certificate cannot be used for TLS"),
            }
        }
        self.pool.forget();
    }

    async fn on_pool(&self, mut request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let unsent = match self.lane().await? {
                Lane::Stream(mut sender, seat) => {
                    self.address_http2(&mut request)?;
                    match sender.try_send_request(request).await {
                        Ok(response) => {
                            return Ok(response.map(|body| Arriving::body(body, Some(Hold::Seat(seat)))));
                        }
                        Err(error) => error,
                    }
                }
                Lane::Whole(mut sender) => {
                    self.address_http1(&mut request)?;
                    match sender.try_send_request(request).await {
                        Ok(response) => {
                            let hold = Hold::Connection(sender, Arc::clone(&self.pool));
                            return Ok(response.map(|body| Arriving::body(body, Some(hold))));
                        }
                        Err(error) => error,
                    }
                }
            };
            request = retrieve(unsent, attempt)?;
        }
    }

    /// A request whose connection will no longer speak HTTP: HTTP/1.1, on a connection of its own.
    async fn take_over(&self, mut request: Request<Body>) -> Result<Response<Body>, TransportError> {
        self.address_http1(&mut request)?;
        let (stream, _) = self.connect(|tls| tls.http1).await?;
        let mut sender = self.handshake_http1(stream).await?;
        let response = sender.send_request(request).await.map_err(broken)?;
        Ok(response.map(|body| Arriving::body(body, None)))
    }

    /// A place for a request, on a new connection if there is none. Connections are made one at a time, so that a
    /// hundred requests at once do not make a hundred.
    async fn lane(&self) -> Result<Lane, TransportError> {
        if let Some(lane) = self.pool.lane() {
            return Ok(lane);
        }
        let _one_at_a_time = self.dialing.lock().await;
        if let Some(lane) = self.pool.lane() {
            return Ok(lane);
        }
        let (stream, http2) = self.connect(|tls| tls.any).await?;
        if http2 {
            let sender = self.handshake_http2(stream).await?;
            return Ok(self.pool.share(sender));
        }
        Ok(Lane::Whole(self.handshake_http1(stream).await?))
    }

    async fn connect(&self, config: fn(Tls) -> Arc<ClientConfig>) -> Result<(Connected, bool), TransportError> {
        let tls = self.tls.as_ref().map(|tls| tls.read().clone());
        let failed = |source| TransportError::Connect { server: self.authority.clone(), source };
        let connected = env::time::timeout(CONNECT_TIMEOUT, async {
            let stream = env::net::connect_tcp((self.host.as_str(), self.port)).await?;
            let Some(tls) = tls else { return Ok((Connected::plain(stream), false)) };
            let name = tls.name.clone();
            let stream = TlsConnector::from(config(tls)).connect(name, stream).await?;
            let http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_H2);
            Ok((Connected(Box::new(stream)), http2))
        });
        connected.await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())).map_err(failed)
    }

    async fn handshake_http2(&self, stream: Connected) -> Result<http2::SendRequest<Body>, TransportError> {
        let (sender, connection) = http2::Builder::new(Spawner)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(TokioIo::new(stream.0))
            .await
            .map_err(broken)?;
        env::task::spawn(Fate::Local, "connection to the API server", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the API server ended");
            }
        });
        Ok(sender)
    }

    async fn handshake_http1(&self, stream: Connected) -> Result<http1::SendRequest<Body>, TransportError> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream.0)).await.map_err(broken)?;
        env::task::spawn(Fate::Local, "connection to the API server", async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to the API server ended");
            }
        });
        Ok(sender)
    }

    fn address_http2(&self, request: &mut Request<Body>) -> Result<(), TransportError> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}{}", self.authority, self.path(request));
        *request.uri_mut() = parse(&address)?;
        request.headers_mut().remove(HOST);
        *request.version_mut() = http::Version::HTTP_2;
        Ok(())
    }

    fn address_http1(&self, request: &mut Request<Body>) -> Result<(), TransportError> {
        *request.uri_mut() = parse(&self.path(request))?;
        *request.version_mut() = http::Version::HTTP_11;
        let host = HeaderValue::from_str(&self.authority);
        let host = host.map_err(|error| TransportError::Request(error.to_string()))?;
        request.headers_mut().insert(HOST, host);
        Ok(())
    }

    /// Path and query at the server; a request that is sent a second time has it already.
    fn path(&self, request: &Request<Body>) -> String {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        match path.strip_prefix(self.base_path.as_str()) {
            Some(rest) if rest.starts_with('/') => path.to_owned(),
            _ => format!("{}{path}", self.base_path),
        }
    }
}

impl Transport for Remote {
    fn send(&self, request: Request<Body>) -> Carried<'_> {
        Box::pin(self.dispatch(request))
    }
}

/// The request, when it never left and may go another way.
fn retrieve(error: TrySendError<Request<Body>>, attempt: u32) -> Result<Request<Body>, TransportError> {
    let mut error = error;
    match error.take_message() {
        Some(request) if attempt <= UNSENT_RETRIES_MAX => Ok(request),
        _ => Err(broken(error.into_error())),
    }
}

fn broken(error: hyper::Error) -> TransportError {
    TransportError::Broken(Box::new(error))
}

fn parse(address: &str) -> Result<Uri, TransportError> {
    address.parse().map_err(|error: http::uri::InvalidUri| TransportError::Request(error.to_string()))
}

fn tls(name: &str, credentials: &Credentials) -> Result<Tls, SetupError> {
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_invalid| SetupError::Config(format!("{name:?} cannot be the name of a server")))?;
    let config = |protocols: &[&[u8]]| client_config(credentials.trust(), credentials.certificate(), protocols);
    Ok(Tls { name, any: config(&[ALPN_H2, ALPN_HTTP_1_1])?, http1: config(&[ALPN_HTTP_1_1])? })
}

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection with or without TLS.
struct Connected(Box<dyn Socket>);

impl Connected {
    fn plain(stream: Stream) -> Self {
        Connected(Box::new(stream))
    }
}

/// Starts HTTP/2's tasks, one per request with a body.
#[derive(Debug, Clone, Copy)]
struct Spawner;

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        env::task::spawn(Fate::Local, "http2 request", future);
    }
}
