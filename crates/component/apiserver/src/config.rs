//! How an API server is set up. Read once; nothing else looks at flags, files or variables.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use addresses::Range;
use pki::files::Pair;
use pki::trust::Roots;
use pki::{PrivateKey, PublicKey};
use store::Store;

use crate::components::Component;

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
    /// The components that `componentstatuses` tells about, besides the store.
    pub components: Vec<Component>,
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
    /// A certificate that the server needs is not there.
    #[error("the certificate {0} is missing")]
    Missing(String),
    /// The store does not answer as it should.
    #[error("the server cannot be brought up: {0}")]
    Refused(#[from] kind::Refusal),
    /// The TLS configuration is not possible.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Where a server stands in the network.
#[derive(Debug, Clone)]
pub struct Place {
    /// The address that other machines reach the server at.
    pub advertise_address: IpAddr,
    /// The port that it listens on.
    pub secure_port: u16,
    /// Ranges of cluster addresses, the primary family first.
    pub service_ranges: Vec<Range>,
    /// The cluster's domain.
    pub dns_domain: String,
}

impl Config {
    /// The settings of a server whose certificates and keys lie in `pki` as kubeadm lays them out.
    pub fn from_pki(pki: &Path, place: &Place, store: Arc<dyn Store>) -> Result<Config, StartError> {
        let roots = |name: &str| -> Result<Roots, pki::Error> {
            Roots::from_pem(&pki::files::read(&pki::files::certificate_path(pki, name))?)
        };
        let pair = |name: &str| -> Result<Pair, StartError> {
            pki::files::load_pair(pki, name)?.ok_or_else(|| StartError::Missing(name.to_owned()))
        };
        let token_key = PrivateKey::from_pem(&pki::files::read(&pki::files::key_path(pki, "sa"))?)?;
        Ok(Config {
            store,
            serving: pair("apiserver")?,
            client_authorities: roots("ca")?,
            front_proxy: Some((roots("front-proxy-ca")?, vec!["front-proxy-client".to_owned()])),
            token_public_keys: vec![token_key.public()],
            token_key,
            issuer: format!("https://kubernetes.default.svc.{}", place.dns_domain),
            kubelet_client: pair("apiserver-kubelet-client")?,
            kubelet_authorities: roots("ca")?,
            components: Vec::new(),
            advertise_address: place.advertise_address,
            secure_port: place.secure_port,
            service_ranges: place.service_ranges.clone(),
            node_ports: (30_000, 32_767),
            inflight_max: (400, 200),
        })
    }
}
