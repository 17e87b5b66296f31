//! Connections of the load generator.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use env::net::Stream;
use env::task::Fate;
use h2::RecvStream;
use h2::client::SendRequest;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use pki::kubeconfig::Kubeconfig;
use rustls::ClientConfig;
use rustls::version::TLS13;
use rustls_pki_types::ServerName;
use tokio::io::BufReader;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Call, Reply};

/// What other clients of Kubernetes allow a server to send ahead: 4 MiB per stream, 1 GiB per connection.
pub(super) const STREAM_WINDOW_BYTES: u32 = 4 << 20;
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;
pub(super) const FRAME_BYTES_MAX: u32 = 64 << 10;
/// Taken from a socket at once; TLS by itself asks for 4 KiB at a time.
const READ_BYTES: usize = 64 << 10;

/// A connection whose handshake is done.
pub(super) type Dialled = TlsStream<BufReader<Stream>>;

/// A server and who we are to it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Target {
    /// From a kubeconfig with a client certificate.
    pub(crate) fn of(kubeconfig: &Kubeconfig, address: SocketAddr) -> Result<Target> {
        let (_, cluster, user) = kubeconfig.resolve(None).context("the kubeconfig has no current context")?;
        let roots = cluster.authorities()?.context("the kubeconfig has no authority")?;
        let pair = user.certificate()?.context("the kubeconfig has no client certificate")?;
        let mut trusted = rustls::RootCertStore::empty();
        for certificate in pki::Certificate::all_from_pem(&roots)? {
            trusted.add(certificate.der().clone())?;
        }
        let chain = pair.chain.iter().map(|certificate| certificate.der().clone()).collect();
        let mut tls = ClientConfig::builder_with_provider(pki::tls::provider())
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(trusted)
            .with_client_auth_cert(chain, pair.key.to_der())?;
        tls.alpn_protocols = vec![pki::tls::ALPN_H2.to_vec()];
        Ok(Target { address, tls: Arc::new(tls) })
    }

    /// Connects and shakes hands.
    pub(super) async fn dial(&self) -> Result<Dialled> {
        let stream = env::net::connect_tcp(self.address).await?;
        let name = ServerName::from(self.address.ip());
        let stream = BufReader::with_capacity(READ_BYTES, stream);
        Ok(TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?)
    }
}

/// Connections to one server, used in turn.
#[derive(Debug)]
pub(crate) struct Client {
    connections: Vec<SendRequest<Bytes>>,
    next: AtomicUsize,
    authority: String,
}

impl Client {
    /// Opens `count` connections.
    pub(crate) async fn connect(target: &Target, count: usize) -> Result<Arc<Client>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(open(target).await?);
        }
        Ok(Arc::new(Client { connections, next: AtomicUsize::new(0), authority: target.address.to_string() }))
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn call(&self, call: &Call) -> Result<Reply> {
        let (status, mut receive) = self.send(call).await?;
        let mut body = Vec::new();
        while let Some(chunk) = receive.data().await {
            let chunk = chunk?;
            receive.flow_control().release_capacity(chunk.len())?;
            body.push(chunk);
        }
        Ok(Reply { status, body })
    }

    /// Sends a request and refuses any status but `wanted`.
    pub(crate) async fn expect(&self, call: &Call, wanted: u16) -> Result<Reply> {
        self.call(call).await?.expect(wanted, call)
    }

    /// Sends a request whose answer goes on, such as a watch.
    pub(crate) async fn stream(&self, call: &Call) -> Result<Streaming> {
        let (status, receive) = self.send(call).await?;
        if status != 200 {
            bail!("{} {} answers {status}", call.method, call.path);
        }
        Ok(Streaming { receive })
    }

    async fn send(&self, call: &Call) -> Result<(u16, RecvStream)> {
        let lane = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let mut connection = self.connections[lane].clone().ready().await?;
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("https://{}{}", self.authority, call.path))
            .header(USER_AGENT, "bench")
            .header(ACCEPT, call.accept);
        if !call.body.is_empty() {
            request = request.header(CONTENT_TYPE, call.content_type);
        }
        let (answer, mut body) = connection.send_request(request.body(())?, call.body.is_empty())?;
        if !call.body.is_empty() {
            body.send_data(call.body.clone(), true)?;
        }
        let (head, receive) = answer.await?.into_parts();
        Ok((head.status.as_u16(), receive))
    }
}

async fn open(target: &Target) -> Result<SendRequest<Bytes>> {
    let (send, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .handshake(target.dial().await?)
        .await?;
    // It ends with the last sender; why it ended is told to the requests on it.
    env::task::spawn(Fate::Local, "connection", async move { connection.await.err() });
    Ok(send)
}

/// An answer that goes on.
#[derive(Debug)]
pub(crate) struct Streaming {
    receive: RecvStream,
}

impl Streaming {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(chunk) = self.receive.data().await else { return Ok(None) };
        let chunk = chunk?;
        self.receive.flow_control().release_capacity(chunk.len())?;
        Ok(Some(chunk))
    }
}
