//! Keys, certificates, requests, trust, tokens and files, against each other and against a real handshake.

mod files;
mod handshake;
mod tokens;

use jiff::{SignedDuration, Timestamp};

use crate::trust::{Distrust, Roots, verify_client_chain};
use crate::{
    Algorithm, AlternativeNames, Authority, Certificate, CertificateDer, Leaf, PrivateKey, PublicKey, Subject, Usage,
    csr,
};

pub(crate) fn noon() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

pub(crate) fn authority(algorithm: Algorithm) -> Authority {
    Authority::create("kubernetes", PrivateKey::generate(algorithm).unwrap(), noon(), days(3650)).unwrap()
}

fn client(authority: &Authority, subject: Subject, usages: &[Usage]) -> CertificateDer<'static> {
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let leaf = Leaf::new(subject, usages, noon(), days(365));
    authority.issue(&leaf, &key.public()).unwrap().der().clone()
}

#[test]
fn keys_survive_pem() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Rsa2048] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let again = PrivateKey::from_pem(key.to_pem().as_bytes()).unwrap();
        assert_eq!(key.public(), again.public(), "{algorithm:?}");
        let public = PublicKey::all_from_pem(key.public().to_pem().as_bytes()).unwrap();
        assert_eq!(public, [key.public()], "{algorithm:?}");
    }
}

#[test]
fn an_authority_reads_as_it_was_made() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Rsa2048] {
        let authority = authority(algorithm);
        let certificate = authority.certificate();
        assert_eq!(certificate.subject.common_name, "kubernetes");
        assert!(certificate.is_authority);
        assert!(certificate.is_signed_by(certificate), "{algorithm:?}: self-signed");
        assert_eq!(certificate.not_before, noon() - SignedDuration::from_mins(5));
        assert_eq!(certificate.not_after, noon() + days(3650));
        assert_eq!(certificate.names.dns, ["kubernetes"]);
    }
}

#[test]
fn a_leaf_carries_subject_names_and_usage() {
    let authority = authority(Algorithm::default());
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let names = AlternativeNames::from_hosts(["node-1", "10.96.0.1", "fd00::1", "node-1"]);
    let mut subject = Subject::new("system:node:näher", &["system:nodes", "a"]);
    subject.uid = Some("7c2".to_owned());
    let leaf = Leaf::new(subject, &[Usage::Server], noon(), days(365)).with_names(names.clone());
    let certificate = authority.issue(&leaf, &key.public()).unwrap();
    assert_eq!(certificate.names, names);
    assert_eq!(certificate.names.dns.len(), 1, "duplicates go");
    assert_eq!(certificate.subject.common_name, "system:node:näher");
    assert_eq!(certificate.subject.uid.as_deref(), Some("7c2"));
    let mut organizations = certificate.subject.organizations.clone();
    organizations.sort();
    assert_eq!(organizations, ["a", "system:nodes"]);
    assert!(certificate.for_servers && !certificate.for_clients && !certificate.is_authority);
    assert_eq!(certificate.public_key(), key.public());
}

#[test]
fn a_leaf_never_outlives_its_authority() {
    let authority = authority(Algorithm::default());
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let leaf = Leaf::new(Subject::new("x", &[]), &[Usage::Client], noon(), days(9999));
    let certificate = authority.issue(&leaf, &key.public()).unwrap();
    assert_eq!(certificate.not_after, authority.certificate().not_after);
}

#[test]
fn validity_beyond_2049_is_written_and_read() {
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let authority = Authority::create("far", key, noon(), days(365 * 60)).unwrap();
    assert_eq!(authority.certificate().not_after, noon() + days(365 * 60));
}

#[test]
fn trust_distinguishes_roots_times_and_usages() {
    let (ours, theirs) = (authority(Algorithm::default()), authority(Algorithm::Rsa2048));
    let roots = Roots::new(vec![ours.certificate().clone()]).unwrap();
    let admin = Subject::new("admin", &["one", "two"]);
    let good = client(&ours, admin.clone(), &[Usage::Client]);
    let identity = verify_client_chain(&roots, std::slice::from_ref(&good), noon()).unwrap();
    assert_eq!(identity.common_name, "admin");
    assert_eq!(identity.organizations.len(), 2);
    assert_eq!(identity.not_after, noon() + days(365));

    let refused =
        |chain: &CertificateDer<'static>, at| verify_client_chain(&roots, std::slice::from_ref(chain), at).unwrap_err();
    assert!(matches!(refused(&client(&theirs, admin.clone(), &[Usage::Client]), noon()), Distrust::Untrusted(_)));
    assert!(matches!(refused(&client(&ours, admin, &[Usage::Server]), noon()), Distrust::Untrusted(_)));
    assert!(matches!(refused(&good, noon() + days(400)), Distrust::Untrusted(_)), "expired");
    assert!(matches!(refused(&good, noon() - days(1)), Distrust::Untrusted(_)), "not yet valid");
    assert_eq!(refused(&client(&ours, Subject::default(), &[Usage::Client]), noon()), Distrust::Nameless);
    assert_eq!(refused(&CertificateDer::from(vec![1, 2, 3]), noon()), Distrust::Malformed);
}

#[test]
fn trust_remembers_and_forgets() {
    use crate::trust::{ClientTrust, PeerChain};
    let (ours, theirs) = (authority(Algorithm::default()), authority(Algorithm::default()));
    let trust = ClientTrust::new(Roots::new(vec![ours.certificate().clone()]).unwrap());
    let chain = PeerChain::new(vec![client(&ours, Subject::new("a", &[]), &[Usage::Client])]).unwrap();
    let first = trust.verify(&chain, noon()).unwrap();
    let second = trust.verify(&chain, noon()).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second), "the second look costs nothing");
    assert!(trust.verify(&chain, noon() + days(366)).is_err(), "memory does not outlive the certificate");
    trust.replace(Roots::new(vec![theirs.certificate().clone()]).unwrap());
    assert!(trust.verify(&chain, noon()).is_err(), "other roots, other trust");
}

#[test]
fn a_request_contributes_subject_names_and_key_only() {
    let authority = authority(Algorithm::default());
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Rsa2048] {
        let key = PrivateKey::generate(algorithm).unwrap();
        let subject = Subject::new("system:node:n1", &["system:nodes", "second"]);
        let names = AlternativeNames::from_hosts(["n1", "10.0.0.1"]);
        let text = csr::create(&subject, &names, &key).unwrap();
        let request = csr::Request::from_pem(text.as_bytes()).unwrap();
        assert_eq!(request.names, names);
        let policy = csr::Policy { usages: vec![Usage::Client], key_encipherment: false, validity: days(1) };
        let certificate = request.sign(&authority, &policy, noon()).unwrap();
        assert_eq!(certificate.subject.common_name, "system:node:n1");
        assert_eq!(certificate.subject.organizations.len(), 2);
        assert_eq!(certificate.names, names);
        assert_eq!(certificate.public_key(), key.public());
        assert_eq!(certificate.not_after, noon() + days(1));
        assert!(certificate.for_clients && !certificate.for_servers && !certificate.is_authority);
        assert!(certificate.is_signed_by(authority.certificate()));
    }
}

#[test]
fn a_forged_request_is_refused() {
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let text = csr::create(&Subject::new("honest", &[]), &AlternativeNames::default(), &key).unwrap();
    let parsed = pem::parse(text).unwrap();
    let mut bytes = parsed.into_contents();
    let at = bytes.windows(6).position(|window| window == b"honest").unwrap();
    bytes[at] = b'H';
    assert!(csr::Request::from_der(&bytes).is_err());
}

#[test]
fn rubbish_is_refused_without_a_panic() {
    let good = authority(Algorithm::default()).certificate().der().to_vec();
    for cut in 0..good.len() {
        assert!(Certificate::from_der(CertificateDer::from(good[..cut].to_vec())).is_err(), "cut at {cut}");
        assert!(csr::Request::from_der(&good[..cut]).is_err(), "cut at {cut}");
    }
    assert!(Certificate::all_from_pem(b"").is_err());
    assert!(PrivateKey::from_pem(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").is_err());
}

#[test]
fn secrets_compare() {
    assert!(crate::same_secret(b"abc", b"abc"));
    assert!(!crate::same_secret(b"abc", b"abd"));
    assert!(!crate::same_secret(b"abc", b"ab"));
}
