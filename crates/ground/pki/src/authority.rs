//! Issuing certificates.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{AlternativeNames, Certificate, Error, PrivateKey, PublicKey, Subject, der};

/// How far before the moment of issue a certificate becomes valid, for clocks that are a little late.
pub const BACKDATE: SignedDuration = SignedDuration::from_mins(5);

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// TLS server.
    Server,
    /// TLS client.
    Client,
}

impl Usage {
    fn oid(self) -> Vec<u8> {
        match self {
            Usage::Server => der::oid(&[1, 3, 6, 1, 5, 5, 7, 3, 1]),
            Usage::Client => der::oid(&[1, 3, 6, 1, 5, 5, 7, 3, 2]),
        }
    }
}

/// A certificate to be issued to somebody who is not an authority.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Who it speaks for.
    pub subject: Subject,
    /// Its alternative names.
    pub names: AlternativeNames,
    /// What it may be used for (extended key usage).
    pub usages: Vec<Usage>,
    /// Whether the key may also decrypt a session key (key encipherment; meaningful for RSA).
    pub key_encipherment: bool,
    /// Valid from; not before the authority itself.
    pub not_before: Timestamp,
    /// Valid until; the authority's own end is never exceeded.
    pub not_after: Timestamp,
}

impl Leaf {
    /// A certificate valid from five minutes ago for `validity` from `now`.
    pub fn new(subject: Subject, usages: &[Usage], now: Timestamp, validity: SignedDuration) -> Self {
        Leaf {
            subject,
            names: AlternativeNames::default(),
            usages: usages.to_vec(),
            key_encipherment: true,
            not_before: shift(now, -BACKDATE),
            not_after: shift(now, validity),
        }
    }

    /// The same with alternative names.
    #[must_use]
    pub fn with_names(mut self, names: AlternativeNames) -> Self {
        self.names = names;
        self
    }
}

/// A certificate authority: certificate and key.
#[derive(Debug, Clone)]
pub struct Authority {
    certificate: Certificate,
    key: Arc<PrivateKey>,
}

impl Authority {
    /// Makes a self-signed authority named `common_name`, as kubeadm does (the name is an alternative name as well).
    pub fn create(common_name: &str, key: PrivateKey, now: Timestamp, validity: SignedDuration) -> Result<Self, Error> {
        let subject = Subject::new(common_name, &[]).to_der();
        let names = AlternativeNames { dns: vec![common_name.to_owned()], ..AlternativeNames::default() };
        let public = key.public();
        let extensions = [
            extension(15, true, &der::named_bits(0b1010_0100)),
            extension(19, true, &der::sequence(&[der::element(der::BOOLEAN, &[0xff])])),
            extension(14, false, &der::element(der::OCTET_STRING, &key_identifier(&public))),
            extension(17, false, &names.to_der()),
        ];
        let body = Body {
            issuer: &subject,
            subject: &subject,
            public_key: &public,
            not_before: shift(now, -BACKDATE),
            not_after: shift(now, validity),
            extensions: &extensions,
        };
        let certificate = body.sign(&key)?;
        Ok(Authority { certificate, key: Arc::new(key) })
    }

    /// Joins a certificate and its key.
    ///
    /// # Errors
    /// When they do not belong together, or the certificate is not an authority's.
    pub fn new(certificate: Certificate, key: PrivateKey) -> Result<Self, Error> {
        if certificate.public_key() != key.public() {
            return Err(Error::Mismatch);
        }
        if !certificate.is_authority {
            return Err(Error::Malformed("the certificate is not a certificate authority"));
        }
        Ok(Authority { certificate, key: Arc::new(key) })
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authority's key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Issues `leaf` for the holder of `public_key`.
    pub fn issue(&self, leaf: &Leaf, public_key: &PublicKey) -> Result<Certificate, Error> {
        self.issue_as(leaf, &leaf.subject.to_der(), public_key)
    }

    /// Issues with a subject given as DER, so that a request's subject is copied to the letter.
    pub(crate) fn issue_as(&self, leaf: &Leaf, subject: &[u8], public_key: &PublicKey) -> Result<Certificate, Error> {
        let usage_bits = if leaf.key_encipherment { 0b1010_0000 } else { 0b1000_0000 };
        let mut extensions = vec![extension(15, true, &der::named_bits(usage_bits))];
        if !leaf.usages.is_empty() {
            let usages: Vec<_> = leaf.usages.iter().map(|usage| usage.oid()).collect();
            extensions.push(extension(37, false, &der::sequence(&usages)));
        }
        extensions.push(extension(19, true, &der::sequence(&[])));
        if let Some(id) = &self.certificate.key_identifier {
            extensions.push(extension(35, false, &der::sequence(&[der::implicit(0, id)])));
        }
        if !leaf.names.is_empty() {
            extensions.push(extension(17, subject == [0x30, 0x00], &leaf.names.to_der()));
        }
        let body = Body {
            issuer: &self.certificate.subject_der,
            subject,
            public_key,
            not_before: leaf.not_before.max(self.certificate.not_before),
            not_after: leaf.not_after.min(self.certificate.not_after),
            extensions: &extensions,
        };
        body.sign(&self.key)
    }
}

/// A certificate before it is signed.
struct Body<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    public_key: &'a PublicKey,
    not_before: Timestamp,
    not_after: Timestamp,
    extensions: &'a [Vec<u8>],
}

impl Body<'_> {
    fn sign(&self, key: &PrivateKey) -> Result<Certificate, Error> {
        let mut serial = [0_u8; 16];
        env::rand::fill(&mut serial);
        // Positive and never zero (RFC 5280, 4.1.2.2).
        serial[0] = (serial[0] & 0x7f) | 0x40;
        let body = der::sequence(&[
            der::explicit(0, &[der::unsigned(&[2])]),
            der::unsigned(&serial),
            key.signature_algorithm(),
            self.issuer.to_vec(),
            der::sequence(&[der::time(self.not_before), der::time(self.not_after)]),
            self.subject.to_vec(),
            self.public_key.spki.clone(),
            der::explicit(3, &[der::sequence(self.extensions)]),
        ]);
        Certificate::from_der(signed(body, key)?.into())
    }
}

/// Appends algorithm and signature to `body`: the outer form of certificates and requests alike.
pub(crate) fn signed(body: Vec<u8>, key: &PrivateKey) -> Result<Vec<u8>, Error> {
    let signature = key.sign(&body)?;
    Ok(der::sequence(&[body, key.signature_algorithm(), der::bit_string(&signature)]))
}

/// The extension `2.5.29.<number>` (id-ce).
pub(crate) fn extension(number: u64, critical: bool, value: &[u8]) -> Vec<u8> {
    let mut parts = vec![der::oid(&[2, 5, 29, number])];
    if critical {
        parts.push(der::element(der::BOOLEAN, &[0xff]));
    }
    parts.push(der::element(der::OCTET_STRING, value));
    der::sequence(&parts)
}

/// RFC 7093, method 1: the first 160 bits of SHA-256 over the key's bits.
fn key_identifier(key: &PublicKey) -> Vec<u8> {
    let bits = der::split_spki(&key.spki).map_or(&[][..], |(_, bits)| bits);
    crate::sha256(bits)[..20].to_vec()
}

pub(crate) fn shift(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or_else(|_| if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
}
