//! rustls configurations for servers and clients, whose certificates and roots can be replaced while in use.
//!
//! Not here: connections, and noticing that a file has changed. Whoever notices calls `replace`.

mod client;
mod server;

pub use client::{ClientCertificate, ServerTrust, client_config};
pub use server::{ServingCertificates, server_config};

use std::sync::{Arc, OnceLock};

use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;

use crate::Error;
use crate::files::Pair;

/// HTTP/2 in ALPN.
pub const ALPN_H2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN.
pub const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// The one provider of cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

fn schemes() -> Vec<SignatureScheme> {
    provider().signature_verification_algorithms.supported_schemes()
}

fn certified(pair: &Pair) -> Result<Arc<CertifiedKey>, Error> {
    let chain = pair.chain.iter().map(|certificate| certificate.der().clone()).collect();
    let key = provider().key_provider.load_private_key(pair.key.to_der())?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}
