//! The server on loopback with real TLS, and the same service through memory.

mod bodies;
mod limits;
mod protocol;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::net::Stream;
use env::task::{Fate, Shutdown, Task};
use futures::FutureExt;
use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pki::files::Pair;
use pki::tls::{ALPN_H2, ALPN_HTTP_1_1, ClientCertificate, ServerTrust, ServingCertificates, client_config};
use pki::trust::Roots;
use pki::{Algorithm, AlternativeNames, Authority, Leaf, PrivateKey, Subject, Usage};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Body, Drained, Limits, Peer, Server, Service, collect, from_fn, on_upgrade};

/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    env::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} does not happen"))
}

/// A server under test.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) ended: Task<Drained>,
    authority: Authority,
}

pub(crate) fn authority() -> Authority {
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let day = jiff::SignedDuration::from_hours(24);
    Authority::create("test", key, env::time::now(), day).unwrap()
}

pub(crate) fn pair(authority: &Authority, name: &str, usage: Usage) -> Pair {
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let hour = jiff::SignedDuration::from_hours(1);
    let leaf = Leaf::new(Subject::new(name, &[]), &[usage], env::time::now(), hour)
        .with_names(AlternativeNames::from_hosts([name, "127.0.0.1"]));
    Pair::new(vec![authority.issue(&leaf, &key.public()).unwrap()], key).unwrap()
}

impl Running {
    pub(crate) async fn start(service: Arc<dyn Service>, limits: Limits) -> Self {
        let authority = authority();
        let serving = ServingCertificates::new(&[pair(&authority, "localhost", Usage::Server)]).unwrap();
        let listener = env::net::listen_tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.address().unwrap();
        let shutdown = Shutdown::new();
        let server = Server::new(service).with_tls(pki::tls::server_config(serving).unwrap()).with_limits(limits);
        let ended = env::task::spawn(Fate::Local, "server", server.run(listener, shutdown.clone()));
        Running { address, shutdown, ended, authority }
    }

    pub(crate) async fn connect(&self, protocol: &[u8], certificate: Option<&Pair>) -> TlsStream<Stream> {
        let roots = Roots::new(vec![self.authority.certificate().clone()]).unwrap();
        let certificate = certificate.map(|pair| ClientCertificate::new(pair).unwrap());
        let config = client_config(ServerTrust::roots(roots).unwrap(), certificate, &[protocol]).unwrap();
        let stream = env::net::connect_tcp(self.address).await.unwrap();
        let name = ServerName::IpAddress(self.address.ip().into());
        soon("the handshake", TlsConnector::from(config).connect(name, stream)).await.unwrap()
    }

    pub(crate) async fn h1(&self, certificate: Option<&Pair>) -> http1::SendRequest<Full<Bytes>> {
        let stream = self.connect(ALPN_HTTP_1_1, certificate).await;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        env::task::spawn(Fate::Local, "client", connection.with_upgrades());
        sender
    }

    pub(crate) async fn h2(&self, certificate: Option<&Pair>) -> http2::SendRequest<Full<Bytes>> {
        let stream = self.connect(ALPN_H2, certificate).await;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        env::task::spawn(Fate::Local, "client", connection);
        sender
    }
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://127.0.0.1{path}")).body(Full::default()).unwrap()
}

pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(format!("https://127.0.0.1{path}")).body(Full::new(body.into())).unwrap()
}

pub(crate) async fn text(response: Response<hyper::body::Incoming>) -> String {
    let bytes = soon("the body", response.into_body().collect()).await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `/who` tells the peer, `/echo` gives the body back, `/list` many chunks, `/hang` never answers, `/upgrade` echoes
/// bytes.
pub(crate) fn service() -> Arc<dyn Service> {
    Arc::new(from_fn(|request| answer(request).boxed()))
}

async fn answer(mut request: Request<Body>) -> Response<Body> {
    match request.uri().path() {
        "/who" => {
            let peer = request.extensions().get::<Peer>().unwrap();
            let certificates = peer.chain().map_or(0, |chain| chain.certificates().len());
            Response::new(format!("{:?} {certificates}", peer.transport()).into())
        }
        "/echo" => match collect(request.into_body(), 1000).await {
            Ok(bytes) => Response::new(bytes.into()),
            Err(error) => {
                let mut response = Response::new(error.to_string().into());
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                response
            }
        },
        "/list" => {
            let chunks = (0..1000).map(|number| Bytes::from(format!("item {number:04}\n")));
            Response::new(Body::chunks(chunks))
        }
        "/hang" => std::future::pending().await,
        "/upgrade" => {
            let upgraded = on_upgrade(&mut request);
            env::task::spawn(Fate::Local, "echo", async move {
                let mut stream = upgraded.await.unwrap();
                let mut word = [0; 4];
                stream.read_exact(&mut word).await.unwrap();
                word.reverse();
                stream.write_all(&word).await.unwrap();
                stream.shutdown().await.unwrap();
            });
            let builder = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            builder.header(CONNECTION, "Upgrade").header(UPGRADE, "reverse").body(Body::empty()).unwrap()
        }
        _ => Response::new("ok".into()),
    }
}
