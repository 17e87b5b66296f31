//! Connections to etcd: TCP through `env`, then TLS 1.2 or 1.3 with a certificate of ours.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::http::Uri;

/// Who etcd must be, and who we are. Files are read anew for each connection, so that they may be renewed.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The authorities that etcd's certificate must come from.
    pub ca: Pem,
    /// Our certificate, with its chain.
    pub certificate: Pem,
    /// Our private key.
    pub key: Pem,
}

/// PEM text.
#[derive(Clone)]
pub enum Pem {
    File(PathBuf),
    Text(Bytes),
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pem::File(path) => path.fmt(f),
            Pem::Text(_) => f.write_str("(text)"),
        }
    }
}

impl Pem {
    fn read(&self) -> io::Result<Bytes> {
        match self {
            Pem::File(path) => {
                let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                Ok(Bytes::from(env::fs::read(path).map_err(named)?))
            }
            Pem::Text(text) => Ok(text.clone()),
        }
    }
}

impl Credentials {
    fn client_config(&self) -> io::Result<ClientConfig> {
        let bad = |error: rustls::pki_types::pem::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.ca.read()?) {
            roots.add(certificate.map_err(bad)?).map_err(io::Error::other)?;
        }
        let chain = CertificateDer::pem_slice_iter(&self.certificate.read()?).collect::<Result<_, _>>().map_err(bad)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key.read()?).map_err(bad)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(io::Error::other)?.with_root_certificates(roots);
        let mut config = builder.with_client_auth_cert(chain, key).map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// Makes connections to one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    host: Arc<str>,
    port: u16,
    name: ServerName<'static>,
    credentials: Arc<Credentials>,
}

type Connection = TokioIo<TlsStream<env::net::Stream>>;

impl Connector {
    /// A connector to `host`, a name or an address without brackets, whose certificate must be for the same.
    pub(super) fn new(host: &str, port: u16, credentials: Arc<Credentials>) -> io::Result<Connector> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Connector { host: Arc::from(host), port, name, credentials })
    }

    async fn connect(self) -> io::Result<Connection> {
        let credentials = self.credentials;
        let config = env::task::blocking(move || credentials.client_config()).await?;
        let stream = env::net::connect_tcp((&*self.host, self.port)).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(self.name, stream).await?;
        Ok(TokioIo::new(stream))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Connection;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}
