//! The client's side: whom to believe, and which certificate to show.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{certified, provider, schemes};
use crate::Error;
use crate::files::Pair;
use crate::trust::Roots;

/// Which servers a client believes; replaceable while in use.
#[derive(Debug)]
pub struct ServerTrust {
    current: ArcSwap<Belief>,
}

#[derive(Debug)]
enum Belief {
    Roots(Roots, Arc<WebPkiServerVerifier>),
    Nobody,
    Anybody,
}

impl ServerTrust {
    /// Believes servers whose certificate leads to one of `roots` and carries their name.
    pub fn roots(roots: Roots) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(ServerTrust { current: ArcSwap::from_pointee(belief(roots)?) }))
    }

    /// Believes whoever answers: what a user asks for with `insecure-skip-tls-verify`.
    pub fn anybody() -> Arc<Self> {
        Arc::new(ServerTrust { current: ArcSwap::from_pointee(Belief::Anybody) })
    }

    /// Believes other roots from the next handshake on.
    pub fn replace(&self, roots: Roots) -> Result<(), Error> {
        self.current.store(Arc::new(belief(roots)?));
        Ok(())
    }
}

fn belief(roots: Roots) -> Result<Belief, Error> {
    if roots.certificates().is_empty() {
        return Ok(Belief::Nobody);
    }
    let mut store = RootCertStore::empty();
    for root in roots.certificates() {
        store.add(root.der().clone())?;
    }
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider()).build();
    let verifier = built.map_err(|_opaque| Error::Malformed("the roots cannot be used to verify servers"))?;
    Ok(Belief::Roots(roots, verifier))
}

impl ServerCertVerifier for ServerTrust {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &**self.current.load() {
            Belief::Anybody => Ok(ServerCertVerified::assertion()),
            Belief::Nobody => Err(rustls::CertificateError::UnknownIssuer.into()),
            Belief::Roots(roots, verifier) => {
                let verdict = verifier.verify_server_cert(leaf, intermediates, name, ocsp, now);
                // A self-signed server certificate that is itself on the list: common with webhooks, fine with Go.
                match roots.holds(leaf) {
                    Some(root) if verdict.is_err() => {
                        listed_server(root, name, now).then(ServerCertVerified::assertion).map_or(verdict, Ok)
                    }
                    _ => verdict,
                }
            }
        }
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

fn listed_server(root: &crate::Certificate, name: &ServerName<'_>, now: UnixTime) -> bool {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let current = (root.not_before.as_second()..=root.not_after.as_second()).contains(&seconds);
    let named = match name {
        ServerName::DnsName(wanted) => {
            let wanted = wanted.as_ref().to_ascii_lowercase();
            let star = wanted.split_once('.').map(|(_, parent)| format!("*.{parent}"));
            let matches = |known: &String| {
                let known = known.to_ascii_lowercase();
                known == wanted || Some(&known) == star.as_ref()
            };
            root.names.dns.iter().any(matches)
        }
        ServerName::IpAddress(wanted) => root.names.ips.contains(&(*wanted).into()),
        _ => false,
    };
    current && named && root.for_servers
}

/// The certificate that a client shows, if any; replaceable while in use.
#[derive(Debug, Default)]
pub struct ClientCertificate {
    current: ArcSwapOption<CertifiedKey>,
}

impl ClientCertificate {
    /// A client with a certificate.
    pub fn new(pair: &Pair) -> Result<Arc<Self>, Error> {
        let certificate = ClientCertificate::default();
        certificate.replace(pair)?;
        Ok(Arc::new(certificate))
    }

    /// Shows another certificate from the next handshake on.
    pub fn replace(&self, pair: &Pair) -> Result<(), Error> {
        self.current.store(Some(certified(pair)?));
        Ok(())
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }

    fn has_certs(&self) -> bool {
        self.current.load().is_some()
    }
}

/// A client's configuration. `protocols` goes into ALPN, best first; empty for none.
pub fn client_config(
    trust: Arc<ServerTrust>,
    certificate: Option<Arc<ClientCertificate>>,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(trust);
    let mut config = builder.with_client_cert_resolver(certificate.unwrap_or_default());
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}
