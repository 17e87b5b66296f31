//! Certificate requests (PKCS#10, RFC 2986), made by those who want a certificate and signed by the
//! `certificates.k8s.io` signers.

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use crate::authority::{BACKDATE, extension, shift, signed};
use crate::certificate::signed_parts;
use crate::{AlternativeNames, Authority, Certificate, Error, Leaf, PrivateKey, PublicKey, Subject, Usage, der};

/// A request whose signature has been verified: the requester holds the private key.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who the certificate shall speak for.
    pub subject: Subject,
    /// The names it shall carry.
    pub names: AlternativeNames,
    /// The key it shall certify.
    pub public_key: PublicKey,
    subject_der: Vec<u8>,
}

/// What a signer decides about a certificate; nothing of it comes from the request.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Extended key usages.
    pub usages: Vec<Usage>,
    /// Whether the key may decrypt session keys.
    pub key_encipherment: bool,
    /// How long the certificate is valid from now on; cut at the authority's own end.
    pub validity: SignedDuration,
}

/// Writes a request for `subject` and `names`, signed with `key`, as a `CERTIFICATE REQUEST` block.
pub fn create(subject: &Subject, names: &AlternativeNames, key: &PrivateKey) -> Result<String, Error> {
    let mut attributes = Vec::new();
    if !names.is_empty() {
        let extensions = der::sequence(&[extension(17, false, &names.to_der())]);
        let request = der::oid(&[1, 2, 840, 113_549, 1, 9, 14]);
        attributes.push(der::sequence(&[request, der::constructed(der::SET, &[extensions])]));
    }
    let body = der::sequence(&[
        der::unsigned(&[0]),
        subject.to_der(),
        key.public().spki.clone(),
        der::explicit(0, &attributes),
    ]);
    Ok(crate::pem_text("CERTIFICATE REQUEST", &signed(body, key)?))
}

impl Request {
    /// Reads a PEM request and verifies its signature.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let der = CertificateSigningRequestDer::from_pem_slice(text)
            .map_err(|source| Error::Pem { what: "certificate request", source })?;
        Self::from_der(&der)
    }

    /// Reads a DER request and verifies its signature.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let malformed = Error::Malformed("not a certificate request");
        let Ok((_, parsed)) = X509CertificationRequest::from_der(der) else { return Err(malformed) };
        let info = &parsed.certification_request_info;
        let public_key = PublicKey::from_spki(info.subject_pki.raw)?;
        let Some((body, algorithm, signature)) = signed_parts(der) else { return Err(malformed) };
        if !public_key.verify(algorithm, body, signature) {
            return Err(Error::Malformed("the certificate request's signature is not from its own key"));
        }
        let mut names = AlternativeNames::default();
        for extension in parsed.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(found) = extension {
                names = AlternativeNames::read(&found.general_names);
            }
        }
        let subject_der = info.subject.as_raw().to_vec();
        Ok(Request { subject: Subject::read(&info.subject), names, public_key, subject_der })
    }

    /// Issues the certificate: subject, names and key from the request, all else from `policy`.
    pub fn sign(&self, authority: &Authority, policy: &Policy, now: Timestamp) -> Result<Certificate, Error> {
        let leaf = Leaf {
            subject: self.subject.clone(),
            names: self.names.clone(),
            usages: policy.usages.clone(),
            key_encipherment: policy.key_encipherment,
            not_before: shift(now, -BACKDATE),
            not_after: shift(now, policy.validity),
        };
        authority.issue_as(&leaf, &self.subject_der, &self.public_key)
    }
}
