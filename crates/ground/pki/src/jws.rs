//! Signed tokens: JWS compact serialization (RFC 7515) with the algorithms of RFC 7518, and keys as JWK (RFC 7517).
//!
//! Deliberately not here: `none`, shared-secret algorithms (but for [`sign_detached`]), encryption, and the meaning of claims.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::key::{Curve, Kind};
use crate::{Error, PrivateKey, PublicKey, der};

/// A row of [`ALGORITHMS`].
struct Row {
    name: &'static str,
    family: Family,
    verification: &'static dyn VerificationAlgorithm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    Ec(Curve),
}

const ALGORITHMS: [Row; 9] = [
    Row { name: "RS256", family: Family::Rsa, verification: &signature::RSA_PKCS1_2048_8192_SHA256 },
    Row { name: "RS384", family: Family::Rsa, verification: &signature::RSA_PKCS1_2048_8192_SHA384 },
    Row { name: "RS512", family: Family::Rsa, verification: &signature::RSA_PKCS1_2048_8192_SHA512 },
    Row { name: "PS256", family: Family::Rsa, verification: &signature::RSA_PSS_2048_8192_SHA256 },
    Row { name: "PS384", family: Family::Rsa, verification: &signature::RSA_PSS_2048_8192_SHA384 },
    Row { name: "PS512", family: Family::Rsa, verification: &signature::RSA_PSS_2048_8192_SHA512 },
    Row { name: "ES256", family: Family::Ec(Curve::P256), verification: &signature::ECDSA_P256_SHA256_FIXED },
    Row { name: "ES384", family: Family::Ec(Curve::P384), verification: &signature::ECDSA_P384_SHA384_FIXED },
    Row { name: "ES512", family: Family::Ec(Curve::P521), verification: &signature::ECDSA_P521_SHA512_FIXED },
];

/// The header of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The algorithm's name.
    pub alg: String,
    /// Which key signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// A token taken apart; nothing in it is believed before [`Token::is_signed_by`] says so.
#[derive(Debug, Clone)]
pub struct Token {
    /// The header.
    pub header: Header,
    /// The payload, usually JSON.
    pub payload: Vec<u8>,
    signed: String,
    signature: Vec<u8>,
}

/// The name by which Kubernetes calls a key: unpadded base64url of SHA-256 over its SubjectPublicKeyInfo.
pub fn key_id(key: &PublicKey) -> String {
    URL_SAFE_NO_PAD.encode(crate::sha256(key.spki()))
}

/// The algorithm that [`sign`] uses with `key`: RS256 for RSA, ES256, ES384 or ES512 by curve; `None` for Ed25519.
pub fn algorithm(key: &PublicKey) -> Option<&'static str> {
    let family = family(key)?;
    ALGORITHMS.iter().find(|row| row.family == family).map(|row| row.name)
}

/// Signs `payload`.
///
/// # Errors
/// When the key is of a kind that tokens are not signed with.
pub fn sign(key: &PrivateKey, payload: &[u8]) -> Result<String, Error> {
    let public = key.public();
    let alg = algorithm(&public).ok_or(Error::Malformed("tokens are signed with RSA or ECDSA keys"))?;
    let header = Header { alg: alg.to_owned(), kid: Some(key_id(&public)) };
    let header =
        serde_json::to_vec(&header).map_err(|_opaque| Error::Malformed("a token's header cannot be written"))?;
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    let signature = match &key.kind {
        Kind::Ec(curve, _) => {
            fixed_width(&signature, curve.field_bytes()).ok_or(Error::Crypto("a signature cannot be converted"))?
        }
        _ => signature,
    };
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Signs `payload` with a shared secret (HMAC-SHA256) and leaves it out of the token: `header..signature`. Bootstrap tokens
/// vouch for `cluster-info` in this way; nothing else is ever signed like this.
pub fn sign_detached(id: &str, secret: &str, payload: &[u8]) -> String {
    let header = format!(r#"{{"alg":"HS256","kid":"{id}"}}"#);
    let header = URL_SAFE_NO_PAD.encode(header);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(tag))
}

impl Token {
    /// Takes a compact token apart; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.contains('.') {
            return None;
        }
        let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        Some(Token {
            header: serde_json::from_str(&header).ok()?,
            payload: URL_SAFE_NO_PAD.decode(payload).ok()?,
            signed: signed.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Whether the holder of `key` signed it; the algorithm must be one for this kind of key.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let Some(row) = ALGORITHMS.iter().find(|row| row.name == self.header.alg) else { return false };
        let Some((_, bits)) = der::split_spki(key.spki()) else { return false };
        family(key) == Some(row.family)
            && UnparsedPublicKey::new(row.verification, bits).verify(self.signed.as_bytes(), &self.signature).is_ok()
    }
}

/// A public key as JSON (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `sig`.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// `RSA` or `EC`.
    pub kty: String,
    /// The key's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The curve: `P-256`, `P-384` or `P-521`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// A point's first coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// A point's second coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// An RSA modulus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// An RSA exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

/// A set of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

impl Jwks {
    /// The document as `/openid/v1/jwks` serves it.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|_opaque| Error::Malformed("the key set cannot be written"))
    }
}

impl Jwk {
    /// Writes `key`; `None` for keys that tokens are not signed with.
    pub fn from_key(key: &PublicKey) -> Option<Self> {
        let (_, bits) = der::split_spki(key.spki())?;
        let text = |bytes: &[u8]| Some(URL_SAFE_NO_PAD.encode(bytes));
        let (kty, crv) = match family(key)? {
            Family::Rsa => ("RSA", None),
            Family::Ec(curve) => ("EC", Some(curve_name(curve).to_owned())),
        };
        let mut jwk = Jwk {
            usage: Some("sig".to_owned()),
            kty: kty.to_owned(),
            kid: Some(key_id(key)),
            crv,
            alg: Some(algorithm(key)?.to_owned()),
            x: None,
            y: None,
            n: None,
            e: None,
        };
        match family(key)? {
            Family::Rsa => {
                let mut parts = der::Reader::new(der::Reader::new(bits).expect(der::SEQUENCE)?.content);
                jwk.n = text(without_zeros(parts.expect(der::INTEGER)?.content));
                jwk.e = text(without_zeros(parts.expect(der::INTEGER)?.content));
            }
            Family::Ec(curve) => {
                let (x, y) = bits.get(1..)?.split_at_checked(curve.field_bytes())?;
                (jwk.x, jwk.y) = (text(x), text(y));
            }
        }
        Some(jwk)
    }

    /// Reads a key; `None` when it is malformed or of another kind.
    pub fn to_key(&self) -> Option<PublicKey> {
        let bytes = |field: &Option<String>| URL_SAFE_NO_PAD.decode(field.as_deref()?).ok();
        let (algorithm, bits) = match self.kty.as_str() {
            "RSA" => {
                let parts = [der::oid(&[1, 2, 840, 113_549, 1, 1, 1]), der::element(der::NULL, &[])];
                let (modulus, exponent) = (bytes(&self.n)?, bytes(&self.e)?);
                (der::sequence(&parts), der::sequence(&[der::unsigned(&modulus), der::unsigned(&exponent)]))
            }
            "EC" => {
                let curve = Curve::named(self.crv.as_deref()?)?;
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                if x.len() != curve.field_bytes() || y.len() != curve.field_bytes() {
                    return None;
                }
                let parts = [der::oid(&[1, 2, 840, 10045, 2, 1]), curve.oid()];
                (der::sequence(&parts), [&[4][..], &x, &y].concat())
            }
            _ => return None,
        };
        PublicKey::from_spki(&der::sequence(&[algorithm, der::bit_string(&bits)])).ok()
    }
}

fn curve_name(curve: Curve) -> &'static str {
    match curve {
        Curve::P256 => "P-256",
        Curve::P384 => "P-384",
        Curve::P521 => "P-521",
    }
}

impl Curve {
    fn named(name: &str) -> Option<Self> {
        Curve::ALL.into_iter().find(|curve| curve_name(*curve) == name)
    }
}

fn family(key: &PublicKey) -> Option<Family> {
    let (algorithm, _) = der::split_spki(key.spki())?;
    let rsa = der::oid(&[1, 2, 840, 113_549, 1, 1, 1]);
    if algorithm.starts_with(&rsa) {
        return Some(Family::Rsa);
    }
    let ends = |curve: &Curve| algorithm.ends_with(&curve.oid());
    Curve::ALL.into_iter().find(ends).map(Family::Ec)
}

/// An ASN.1 ECDSA signature as r and s of fixed width (RFC 7518, 3.4).
fn fixed_width(asn1: &[u8], field_bytes: usize) -> Option<Vec<u8>> {
    let mut parts = der::Reader::new(der::Reader::new(asn1).expect(der::SEQUENCE)?.content);
    let mut out = Vec::with_capacity(field_bytes * 2);
    for _ in 0..2 {
        let number = without_zeros(parts.expect(der::INTEGER)?.content);
        out.resize(out.len() + field_bytes.checked_sub(number.len())?, 0);
        out.extend_from_slice(number);
    }
    Some(out)
}

fn without_zeros(big_endian: &[u8]) -> &[u8] {
    let first = big_endian.iter().position(|byte| *byte != 0).unwrap_or(big_endian.len());
    &big_endian[first..]
}
