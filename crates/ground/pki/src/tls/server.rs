//! The server's side: which certificate to show, and how to receive client certificates.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{ALPN_H2, ALPN_HTTP_1_1, certified, provider, schemes};
use crate::Error;
use crate::files::Pair;

/// The certificates of a server: one that serves by default, and perhaps others for certain names (SNI).
#[derive(Debug)]
pub struct ServingCertificates {
    current: ArcSwap<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
}

impl ServingCertificates {
    /// The first certificate is the default; each serves the DNS names it carries.
    pub fn new(pairs: &[Pair]) -> Result<Arc<Self>, Error> {
        let serving = ServingCertificates { current: ArcSwap::from_pointee(Vec::new()) };
        serving.replace(pairs)?;
        Ok(Arc::new(serving))
    }

    /// Shows other certificates from now on; open connections go on with theirs.
    pub fn replace(&self, pairs: &[Pair]) -> Result<(), Error> {
        let named: Vec<_> = pairs.iter().map(|pair| (pair, pair.leaf().names.dns.clone())).collect();
        self.replace_named(&named)
    }

    /// Like [`ServingCertificates::replace`] with the names given (`--tls-sni-cert-key`).
    pub fn replace_named(&self, pairs: &[(&Pair, Vec<String>)]) -> Result<(), Error> {
        if pairs.is_empty() {
            return Err(Error::Malformed("a server needs a certificate"));
        }
        let entry = |(pair, names): &(&Pair, Vec<String>)| {
            let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            Ok::<_, Error>(Entry { key: certified(pair)?, names })
        };
        self.current.store(Arc::new(pairs.iter().map(entry).collect::<Result<_, _>>()?));
        Ok(())
    }
}

impl ResolvesServerCert for ServingCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let entries = self.current.load();
        let wanted = hello.server_name().map(str::to_ascii_lowercase);
        let serves = |entry: &&Entry, name: &str| entry.names.iter().any(|known| known == name);
        let exact = wanted.as_deref().and_then(|name| entries.iter().find(|entry| serves(entry, name)));
        let wildcard = || {
            let star = format!("*.{}", wanted.as_deref()?.split_once('.')?.1);
            entries.iter().find(|entry| serves(entry, &star))
        };
        exact.or_else(wildcard).or_else(|| entries.first()).map(|entry| Arc::clone(&entry.key))
    }
}

/// A server's configuration: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, client certificates welcome but not demanded.
///
/// Whatever chain a client presents completes the handshake if the client proves to hold its key; whether the chain
/// is worth anything is asked per request ([`crate::trust::ClientTrust`]).
pub fn server_config(certificates: Arc<ServingCertificates>) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP_1_1.to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    // One ticket per handshake, as Go sends: it carries the client's chain, so a second is a kilobyte more.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// Receives any client certificate and hands it on.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: a client with a certificate shows it, and learns from the answer what it is worth.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}
