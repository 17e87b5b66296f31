//! How an API server is set up. Read once; nothing else looks at flags, files or variables.

use std::net::IpAddr;
use std::sync::Arc;

use addresses::Range;
use pki::trust::Roots;
use pki::{PrivateKey, PublicKey};
use pki::files::Pair;
use store::Store;

/// Settings of an API server.
pub struct Config {
    /// Where state lives.
    pub store: Arc<dyn Store>,
    /// The certificate that the server shows.
    pub serving: Pair,
    /// Authorities of client certificates.
    pub client_authorities: Roots,
    /// Authorities of front proxies, and the names that those may have.
    pub front_proxy: Option<(Roots, Vec<String>)>,
    /// Signs service-account tokens.
    pub token_key: PrivateKey,
    /// Verify service-account tokens, the current key among them.
    pub token_public_keys: Vec<PublicKey>,
    /// The issuer of service-account tokens.
    pub issuer: String,
    /// With this certificate kubelets are called.
    pub kubelet_client: Pair,
    /// Authorities of kubelets' serving certificates.
    pub kubelet_authorities: Roots,
    /// The address that other machines reach the server at.
    pub advertise_address: IpAddr,
    /// The port that it listens on.
    pub secure_port: u16,
    /// Ranges of cluster addresses, the primary family first.
    pub service_ranges: Vec<Range>,
    /// First and last node port.
    pub node_ports: (u16, u16),
    /// Reads and writes under way at most.
    pub inflight_max: (usize, usize),
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("advertise_address", &self.advertise_address).finish_non_exhaustive()
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificates or keys cannot be used.
    #[error("certificates or keys cannot be used")]
    Pki(#[from] pki::Error),
    /// The store does not answer as it should.
    #[error("the server cannot be brought up: {0}")]
    Refused(#[from] kind::Refusal),
    /// The TLS configuration is not possible.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}
