//! Whom to believe: roots, verification of client chains, and who the client is.
//!
//! The TLS handshake has proven that the peer holds the key ([`crate::tls`]); here, and only here, is decided whether
//! its certificate means anything.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};

use crate::{Certificate, Error};

/// How many verified chains a [`ClientTrust`] remembers.
const REMEMBERED_CHAINS_MAX: usize = 4096;

/// Certificates that are believed because they are on this list.
#[derive(Debug, Clone)]
pub struct Roots {
    certificates: Vec<Certificate>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Roots {
    /// A list of roots; empty means that nobody is believed.
    pub fn new(certificates: Vec<Certificate>) -> Result<Self, Error> {
        let anchor = |certificate: &Certificate| {
            let anchor = webpki::anchor_from_trusted_cert(certificate.der());
            anchor
                .map(|anchor| anchor.to_owned())
                .map_err(|_opaque| Error::Malformed("a root certificate cannot be used"))
        };
        let anchors = certificates.iter().map(anchor).collect::<Result<_, _>>()?;
        Ok(Roots { certificates, anchors })
    }

    /// Reads a bundle of roots.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        Self::new(Certificate::all_from_pem(text)?)
    }

    /// The roots.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Whether `leaf` itself is on the list: such a certificate is believed without a chain, as Go does.
    pub(crate) fn holds(&self, leaf: &CertificateDer<'_>) -> Option<&Certificate> {
        self.certificates.iter().find(|root| root.der().as_ref() == leaf.as_ref())
    }

    /// The anchors that are within their validity; webpki itself does not look at the validity of roots.
    fn current_anchors(&self, now: Timestamp) -> Vec<TrustAnchor<'static>> {
        let pairs = self.certificates.iter().zip(&self.anchors);
        pairs.filter(|(root, _)| root.is_current(now)).map(|(_, anchor)| anchor.clone()).collect()
    }
}

/// Certificates that a peer presented, leaf first. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PeerChain {
    certificates: Arc<[CertificateDer<'static>]>,
    fingerprint: [u8; 32],
}

impl PeerChain {
    /// `None` when there is no certificate.
    pub fn new(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        if certificates.is_empty() {
            return None;
        }
        let digests: Vec<u8> = certificates.iter().flat_map(|certificate| crate::sha256(certificate)).collect();
        Some(PeerChain { fingerprint: crate::sha256(&digests), certificates: certificates.into() })
    }

    /// Leaf first.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}

/// Who a believed client certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user name; never empty.
    pub common_name: String,
    /// The groups.
    pub organizations: Vec<String>,
    /// The user's UID, where the certificate carries one.
    pub uid: Option<String>,
    /// The serial number, lower-case hexadecimal.
    pub serial: String,
    /// Lower-case hexadecimal SHA-256 of the certificate; upstream's credential ID is `X509SHA256=` and this.
    pub sha256: String,
    /// When the identity ends: the earliest end in the chain that was presented.
    pub not_after: Timestamp,
}

/// Why a client certificate was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Not X.509.
    #[error("the client certificate is malformed")]
    Malformed,
    /// It speaks for nobody.
    #[error("the client certificate has no common name")]
    Nameless,
    /// Expired, or from elsewhere, or for another use.
    #[error("the client certificate is not trusted: {0}")]
    Untrusted(String),
}

/// Whether `chain` (leaf first) leads to one of `roots` and may be used by a client, and whose it is.
pub fn verify_client_chain(roots: &Roots, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Identity, Distrust> {
    let (leaf, intermediates) = chain.split_first().ok_or(Distrust::Malformed)?;
    let facts = Certificate::from_der(leaf.clone().into_owned()).map_err(|_opaque| Distrust::Malformed)?;
    if facts.subject.common_name.is_empty() {
        return Err(Distrust::Nameless);
    }
    let listed = roots.holds(leaf).is_some_and(|root| root.is_current(now) && root.for_clients);
    if !listed {
        chain_leads_home(roots, leaf, intermediates, now)?;
    }
    let ends = intermediates.iter().filter_map(|one| Certificate::from_der(one.clone().into_owned()).ok());
    Ok(Identity {
        not_after: ends.map(|one| one.not_after).fold(facts.not_after, Timestamp::min),
        common_name: facts.subject.common_name,
        organizations: facts.subject.organizations,
        uid: facts.subject.uid,
        serial: crate::hex(&facts.serial),
        sha256: crate::hex(&crate::sha256(leaf)),
    })
}

fn chain_leads_home(
    roots: &Roots,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<(), Distrust> {
    let untrusted = |error: webpki::Error| Distrust::Untrusted(error.to_string());
    let leaf = webpki::EndEntityCert::try_from(leaf).map_err(untrusted)?;
    let usage = webpki::KeyUsage::client_auth();
    let anchors = roots.current_anchors(now);
    leaf.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, intermediates, unix(now), usage, None, None)
        .map(|_| ())
        .map_err(untrusted)
}

pub(crate) fn unix(now: Timestamp) -> UnixTime {
    let since = now.duration_since(Timestamp::UNIX_EPOCH);
    UnixTime::since_unix_epoch(std::time::Duration::try_from(since).unwrap_or_default())
}

/// Roots for clients, replaceable while in use, with a memory of chains that were verified before.
///
/// Only successes are remembered: a stranger cannot push them out by presenting many bad certificates.
#[derive(Debug)]
pub struct ClientTrust {
    state: ArcSwap<Generation>,
}

#[derive(Debug)]
struct Generation {
    roots: Roots,
    verified: Mutex<HashMap<[u8; 32], Remembered>>,
}

#[derive(Debug)]
struct Remembered {
    identity: Arc<Identity>,
    since: Timestamp,
}

impl ClientTrust {
    /// Trust in `roots`.
    pub fn new(roots: Roots) -> Self {
        ClientTrust { state: ArcSwap::from_pointee(Generation { roots, verified: Mutex::default() }) }
    }

    /// Believes `roots` from now on, and forgets what was verified against the old ones.
    pub fn replace(&self, roots: Roots) {
        self.state.store(Arc::new(Generation { roots, verified: Mutex::default() }));
    }

    /// Like [`verify_client_chain`]; a chain that was seen before costs a hash lookup.
    pub fn verify(&self, chain: &PeerChain, now: Timestamp) -> Result<Arc<Identity>, Distrust> {
        let state = self.state.load();
        if let Some(known) = state.verified.lock().get(&chain.fingerprint)
            && (known.since..=known.identity.not_after).contains(&now)
        {
            return Ok(Arc::clone(&known.identity));
        }
        let identity = Arc::new(verify_client_chain(&state.roots, &chain.certificates, now)?);
        let mut verified = state.verified.lock();
        if verified.len() >= REMEMBERED_CHAINS_MAX {
            verified.clear();
        }
        verified.insert(chain.fingerprint, Remembered { identity: Arc::clone(&identity), since: now });
        Ok(identity)
    }
}
