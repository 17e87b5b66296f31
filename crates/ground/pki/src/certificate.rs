//! A certificate as read.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{AlternativeNames, Error, PublicKey, Subject};

/// A certificate with the facts that Kubernetes looks at.
#[derive(Debug, Clone)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// Who it speaks for.
    pub subject: Subject,
    /// Who signed it.
    pub issuer: Subject,
    /// Its alternative names.
    pub names: AlternativeNames,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// The serial number, big-endian.
    pub serial: Vec<u8>,
    /// Whether it may sign certificates (basic constraints).
    pub is_authority: bool,
    /// Whether it may be used by a server (extended key usage; absent means anything).
    pub for_servers: bool,
    /// Whether it may be used by a client (extended key usage; absent means anything).
    pub for_clients: bool,
    pub(crate) subject_der: Vec<u8>,
    pub(crate) key_identifier: Option<Vec<u8>>,
    key: PublicKey,
}

impl Certificate {
    /// Reads one certificate.
    pub fn from_der(der: CertificateDer<'static>) -> Result<Self, Error> {
        let malformed = Error::Malformed("not an X.509 certificate");
        let Ok((_, parsed)) = X509Certificate::from_der(&der) else { return Err(malformed) };
        let instant = |time: &x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp())
                .map_err(|_opaque| Error::Malformed("a certificate's time is out of range"))
        };
        let usage = parsed.extended_key_usage().ok().flatten().map(|extension| extension.value.clone());
        let names = parsed.subject_alternative_name().ok().flatten();
        Ok(Certificate {
            subject: Subject::read(parsed.subject()),
            issuer: Subject::read(parsed.issuer()),
            names: names.map(|names| AlternativeNames::read(&names.value.general_names)).unwrap_or_default(),
            not_before: instant(&parsed.validity().not_before)?,
            not_after: instant(&parsed.validity().not_after)?,
            serial: parsed.raw_serial().to_vec(),
            is_authority: parsed.is_ca(),
            for_servers: usage.as_ref().is_none_or(|usage| usage.any || usage.server_auth),
            for_clients: usage.as_ref().is_none_or(|usage| usage.any || usage.client_auth),
            subject_der: parsed.subject().as_raw().to_vec(),
            key_identifier: parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            }),
            // Its parser takes keys that nobody could read again.
            key: PublicKey::from_spki(parsed.public_key().raw)?,
            der: der.clone(),
        })
    }

    /// Every certificate of a PEM text, in its order.
    ///
    /// # Errors
    /// When a block does not parse, and when there is none.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, Error> {
        let mut all = Vec::new();
        for der in CertificateDer::pem_slice_iter(text) {
            all.push(Self::from_der(der.map_err(|source| Error::Pem { what: "certificate", source })?)?);
        }
        if all.is_empty() { Err(Error::Malformed("the PEM text holds no certificate")) } else { Ok(all) }
    }

    /// The bytes.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// As a `CERTIFICATE` block.
    pub fn to_pem(&self) -> String {
        crate::pem_text("CERTIFICATE", &self.der)
    }

    /// The key that it certifies.
    pub fn public_key(&self) -> PublicKey {
        self.key.clone()
    }

    /// Whether `now` is within its validity.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Which part of its life is over, 0 to 1; beyond 1 when it has expired.
    pub fn used_fraction(&self, now: Timestamp) -> f64 {
        let total = self.not_after.duration_since(self.not_before).as_secs_f64();
        let used = now.duration_since(self.not_before).as_secs_f64();
        if total > 0.0 { used / total } else { 2.0 }
    }

    /// Whether the signature on it was made by `authority`'s key.
    pub fn is_signed_by(&self, authority: &Certificate) -> bool {
        signed_parts(&self.der)
            .is_some_and(|(body, algorithm, signature)| authority.public_key().verify(algorithm, body, signature))
    }
}

/// The three parts of a signed structure (certificate or request): body, algorithm identifier's content, signature.
pub(crate) fn signed_parts(der: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    use crate::der::{BIT_STRING, Reader, SEQUENCE, bits};
    let mut inner = Reader::new(Reader::new(der).expect(SEQUENCE)?.content);
    let body = inner.expect(SEQUENCE)?;
    let algorithm = inner.expect(SEQUENCE)?;
    let signature = inner.expect(BIT_STRING)?;
    Some((body.whole, algorithm.content, bits(&signature)?))
}
