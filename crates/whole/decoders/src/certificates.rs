//! Certificates, certificate requests and keys, as DER and in PEM blocks.

use jiff::Timestamp;
use pki::csr::Request;
use pki::trust::{Roots, verify_client_chain};
use pki::{Certificate, CertificateDer, PrivateKey, PublicKey};

/// DER or PEM of any of them.
pub fn certificates(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(CertificateDer::from(bytes.to_vec())) {
        seen(&certificate);
    }
    drop(Request::from_der(bytes));
    drop(Request::from_pem(bytes));
    drop(PublicKey::from_spki(bytes));
    if let Ok(key) = PrivateKey::from_pem(bytes) {
        let again = PrivateKey::from_pem(key.to_pem().as_bytes()).expect("what was written can be read");
        assert_eq!(again.public().spki(), key.public().spki(), "a key that was written is the same");
    }
    for key in PublicKey::all_from_pem(bytes).unwrap_or_default() {
        let again = PublicKey::all_from_pem(key.to_pem().as_bytes()).expect("what was written can be read");
        assert_eq!(again.first().map(PublicKey::spki), Some(key.spki()), "a key that was written is the same");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        resources::fuzz::key_pair(text, text);
    }
    let Ok(chain) = Certificate::all_from_pem(bytes) else { return };
    chain.iter().for_each(seen);
    let ders: Vec<CertificateDer<'_>> = chain.iter().map(|certificate| certificate.der().clone()).collect();
    if let Ok(roots) = Roots::from_pem(bytes) {
        drop(verify_client_chain(&roots, &ders, Timestamp::UNIX_EPOCH));
    }
}

fn seen(certificate: &Certificate) {
    let again = Certificate::all_from_pem(certificate.to_pem().as_bytes()).expect("what was written can be read");
    assert_eq!(again.len(), 1, "a certificate is written as one block");
    assert_eq!(again[0].der(), certificate.der(), "a certificate that was written is the same");
    assert!(certificate.names.covers(&certificate.names), "names cover themselves");
    let _signed = certificate.is_signed_by(certificate);
    let _current = certificate.is_current(Timestamp::UNIX_EPOCH);
    let _used = certificate.used_fraction(Timestamp::UNIX_EPOCH);
    drop(certificate.public_key());
}
