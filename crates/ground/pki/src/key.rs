//! Key pairs: made, read from PEM, used for signing.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroize;

use crate::Error;
use crate::der;

/// What kind of key pair to make. The names are those of kubeadm's `encryptionAlgorithm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// `ECDSA-P256`: small, fast, and what we make unless told otherwise.
    #[default]
    EcdsaP256,
    /// `ECDSA-P384`.
    EcdsaP384,
    /// `RSA-2048`: kubeadm's default.
    Rsa2048,
    /// `RSA-3072`.
    Rsa3072,
    /// `RSA-4096`.
    Rsa4096,
}

impl Algorithm {
    /// Reads kubeadm's spelling; the empty string means the default.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "" | "ECDSA-P256" => Self::EcdsaP256,
            "ECDSA-P384" => Self::EcdsaP384,
            "RSA-2048" => Self::Rsa2048,
            "RSA-3072" => Self::Rsa3072,
            "RSA-4096" => Self::Rsa4096,
            _ => return None,
        })
    }
}

/// The elliptic curves that certificates and tokens are signed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(crate) const ALL: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    fn signing(self) -> &'static signature::EcdsaSigningAlgorithm {
        match self {
            Curve::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Curve::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            Curve::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    pub(crate) fn oid(self) -> Vec<u8> {
        match self {
            Curve::P256 => der::oid(&[1, 2, 840, 10045, 3, 1, 7]),
            Curve::P384 => der::oid(&[1, 3, 132, 0, 34]),
            Curve::P521 => der::oid(&[1, 3, 132, 0, 35]),
        }
    }

    /// The length of a coordinate, in bytes.
    pub(crate) fn field_bytes(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }
}

pub(crate) enum Kind {
    Ec(Curve, EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// A private key with its public half. Never printed; wiped from memory when dropped.
pub struct PrivateKey {
    encoded: PrivateKeyDer<'static>,
    pub(crate) kind: Kind,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Ec(curve, _) => format!("{curve:?}"),
            Kind::Rsa(pair) => format!("RSA-{}", pair.public_modulus_len() * 8),
            Kind::Ed25519(_) => "Ed25519".to_owned(),
        };
        write!(f, "PrivateKey({kind})")
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.encoded.zeroize();
    }
}

impl PrivateKey {
    /// Makes a new key pair from the operating system's randomness.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let failed = |_| Error::Crypto("a key pair could not be generated");
        let document = match algorithm {
            Algorithm::EcdsaP256 => generate_ec(Curve::P256),
            Algorithm::EcdsaP384 => generate_ec(Curve::P384),
            Algorithm::Rsa2048 => generate_rsa(aws_lc_rs::rsa::KeySize::Rsa2048),
            Algorithm::Rsa3072 => generate_rsa(aws_lc_rs::rsa::KeySize::Rsa3072),
            Algorithm::Rsa4096 => generate_rsa(aws_lc_rs::rsa::KeySize::Rsa4096),
        };
        Self::from_der(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(document.map_err(failed)?)))
    }

    /// Reads the first private key of a PEM text: PKCS#8, PKCS#1 (`RSA PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`).
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let encoded =
            PrivateKeyDer::from_pem_slice(text).map_err(|source| Error::Pem { what: "private key", source })?;
        Self::from_der(encoded)
    }

    /// Reads a private key in any of the three encodings.
    pub fn from_der(encoded: PrivateKeyDer<'static>) -> Result<Self, Error> {
        let kind = match &encoded {
            PrivateKeyDer::Pkcs1(key) => rsa(RsaKeyPair::from_der(key.secret_pkcs1_der())),
            PrivateKeyDer::Sec1(key) => elliptic(key.secret_sec1_der()),
            PrivateKeyDer::Pkcs8(key) => {
                let bytes = key.secret_pkcs8_der();
                elliptic(bytes)
                    .or_else(|| rsa(RsaKeyPair::from_pkcs8(bytes)))
                    .or_else(|| Ed25519KeyPair::from_pkcs8(bytes).ok().map(Kind::Ed25519))
            }
            _ => None,
        };
        match kind {
            Some(kind) => Ok(PrivateKey { encoded, kind }),
            None => Err(Error::Malformed("private key is of no supported kind (ECDSA P-256/384/521, RSA, Ed25519)")),
        }
    }

    /// The key as PEM, in the encoding that it was read in (PKCS#8 when made here).
    pub fn to_pem(&self) -> String {
        let label = match &self.encoded {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        crate::pem_text(label, self.encoded.secret_der())
    }

    /// The encoded key, for TLS.
    pub fn to_der(&self) -> PrivateKeyDer<'static> {
        self.encoded.clone_key()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let (algorithm, bits) = match &self.kind {
            Kind::Ec(curve, pair) => {
                let parts = [der::oid(&[1, 2, 840, 10045, 2, 1]), curve.oid()];
                (der::sequence(&parts), pair.public_key().as_ref().to_vec())
            }
            Kind::Rsa(pair) => {
                let parts = [der::oid(&[1, 2, 840, 113_549, 1, 1, 1]), der::element(der::NULL, &[])];
                (der::sequence(&parts), pair.public_key().as_ref().to_vec())
            }
            Kind::Ed25519(pair) => (der::sequence(&[der::oid(&[1, 3, 101, 112])]), pair.public_key().as_ref().to_vec()),
        };
        PublicKey { spki: der::sequence(&[algorithm, der::bit_string(&bits)]) }
    }

    /// The X.509 algorithm identifier of [`PrivateKey::sign`].
    pub(crate) fn signature_algorithm(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Ec(Curve::P256, _) => der::sequence(&[der::oid(&[1, 2, 840, 10045, 4, 3, 2])]),
            Kind::Ec(Curve::P384, _) => der::sequence(&[der::oid(&[1, 2, 840, 10045, 4, 3, 3])]),
            Kind::Ec(Curve::P521, _) => der::sequence(&[der::oid(&[1, 2, 840, 10045, 4, 3, 4])]),
            Kind::Rsa(_) => der::sequence(&[der::oid(&[1, 2, 840, 113_549, 1, 1, 11]), der::element(der::NULL, &[])]),
            Kind::Ed25519(_) => der::sequence(&[der::oid(&[1, 3, 101, 112])]),
        }
    }

    /// Signs `message` as X.509 does: ECDSA in ASN.1 form with the curve's hash, RSA PKCS#1 v1.5 with SHA-256.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        let failed = |_| Error::Crypto("signing failed");
        match &self.kind {
            Kind::Ec(_, pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Kind::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Kind::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out).map_err(failed)?;
                Ok(out)
            }
        }
    }
}

fn generate_ec(curve: Curve) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    Ok(EcdsaKeyPair::generate(curve.signing())?.to_pkcs8v1()?.as_ref().to_vec())
}

fn generate_rsa(size: aws_lc_rs::rsa::KeySize) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let pair = RsaKeyPair::generate(size)?;
    let document: aws_lc_rs::encoding::Pkcs8V1Der<'static> = pair.as_der()?;
    Ok(document.as_ref().to_vec())
}

fn rsa(read: Result<RsaKeyPair, aws_lc_rs::error::KeyRejected>) -> Option<Kind> {
    read.ok().map(|pair| Kind::Rsa(Box::new(pair)))
}

fn elliptic(bytes: &[u8]) -> Option<Kind> {
    let read = |curve: Curve| {
        let pair = EcdsaKeyPair::from_private_key_der(curve.signing(), bytes);
        pair.ok().map(|pair| Kind::Ec(curve, pair))
    };
    Curve::ALL.into_iter().find_map(read)
}

/// A public key as its SubjectPublicKeyInfo.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    pub(crate) spki: Vec<u8>,
}

impl PublicKey {
    /// From SubjectPublicKeyInfo DER.
    pub fn from_spki(spki: &[u8]) -> Result<Self, Error> {
        der::split_spki(spki).ok_or(Error::Malformed("public key is not a SubjectPublicKeyInfo"))?;
        Ok(PublicKey { spki: spki.to_vec() })
    }

    /// Every public key of a PEM text: of `PUBLIC KEY`, `CERTIFICATE` and private-key blocks alike, which is what
    /// `--service-account-key-file` accepts.
    ///
    /// # Errors
    /// When a block does not parse, and when there is none.
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, Error> {
        let mut keys = Vec::new();
        for key in SubjectPublicKeyInfoDer::pem_slice_iter(text) {
            keys.push(Self::from_spki(&key.map_err(|source| Error::Pem { what: "public key", source })?)?);
        }
        for key in PrivateKeyDer::pem_slice_iter(text) {
            let key = key.map_err(|source| Error::Pem { what: "private key", source })?;
            keys.push(PrivateKey::from_der(key)?.public());
        }
        for certificate in CertificateDer::pem_slice_iter(text) {
            let certificate = certificate.map_err(|source| Error::Pem { what: "certificate", source })?;
            keys.push(crate::Certificate::from_der(certificate)?.public_key());
        }
        if keys.is_empty() { Err(Error::Malformed("the PEM text holds no public key")) } else { Ok(keys) }
    }

    /// SubjectPublicKeyInfo DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// As a `PUBLIC KEY` block.
    pub fn to_pem(&self) -> String {
        crate::pem_text("PUBLIC KEY", &self.spki)
    }

    /// `sha256:<hex>` over the SubjectPublicKeyInfo: what `kubeadm join --discovery-token-ca-cert-hash` takes
    /// (RFC 7469's pin).
    pub fn pin(&self) -> String {
        format!("sha256:{}", crate::hex(&crate::sha256(&self.spki)))
    }

    /// Checks a signature made with the X.509 algorithm identifier `algorithm` (content bytes, without tag and length).
    pub(crate) fn verify(&self, algorithm: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let Some((key_algorithm, bits)) = der::split_spki(&self.spki) else { return false };
        webpki::ALL_VERIFICATION_ALGS.iter().any(|candidate| {
            candidate.public_key_alg_id().as_ref() == key_algorithm
                && candidate.signature_alg_id().as_ref() == algorithm
                && candidate.verify_signature(bits, message, signature).is_ok()
        })
    }
}
