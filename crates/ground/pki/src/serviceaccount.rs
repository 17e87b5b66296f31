//! Service-account tokens: their claims, who issues them, who believes them, and OIDC discovery about them.
//!
//! Whether the bound objects still exist is asked by whoever has a store to look in; this module knows signatures and
//! times only.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::jws::{self, Jwk, Jwks, Token};
use crate::{Error, PrivateKey, PublicKey};

/// The issuer of tokens that stand in Secrets.
pub const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
/// How much clocks may disagree, as upstream's JWT library allows.
const LEEWAY_SECONDS: i64 = 60;

/// The claims of a bound token, in the order in which upstream writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For whom it is meant.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// Who issued it.
    pub iss: String,
    /// Its own identifier, a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// What it is bound to.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Binding,
    /// When it begins.
    pub nbf: i64,
    /// `system:serviceaccount:<namespace>:<name>`.
    pub sub: String,
}

/// What a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Binding {
    /// The service account's namespace.
    pub namespace: String,
    /// A node; of the pod, where that is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// A pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// A Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// The service account itself.
    #[serde(rename = "serviceaccount")]
    pub service_account: Reference,
    /// After this time a use is worth a warning, in seconds since 1970.
    #[serde(default, rename = "warnafter", skip_serializing_if = "Option::is_none")]
    pub warn_after: Option<i64>,
}

/// An object that a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its UID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// The claims of a token that stands in a Secret and never ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyClaims {
    /// [`LEGACY_ISSUER`].
    pub iss: String,
    /// The service account's namespace.
    #[serde(rename = "kubernetes.io/serviceaccount/namespace")]
    pub namespace: String,
    /// The Secret's name.
    #[serde(rename = "kubernetes.io/serviceaccount/secret.name")]
    pub secret_name: String,
    /// The service account's name.
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.name")]
    pub name: String,
    /// The service account's UID.
    #[serde(rename = "kubernetes.io/serviceaccount/service-account.uid")]
    pub uid: String,
    /// `system:serviceaccount:<namespace>:<name>`.
    pub sub: String,
}

/// The user name of a service account.
pub fn user_name(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// What a believed token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// A bound token.
    Bound(Box<Claims>),
    /// A token from a Secret.
    Legacy(LegacyClaims),
}

/// Why a token is not believed. The texts are upstream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a token of these issuers: somebody else may believe it.
    #[error("not a service account token of this cluster")]
    Foreign,
    /// No known key signed it.
    #[error("invalid signature, no keys found")]
    Signature,
    /// Its claims are malformed.
    #[error("service account token claims could not be validated due to unexpected validation error")]
    Claims,
    /// Its time is over.
    #[error("service account token has expired")]
    Expired,
    /// Its time has not come.
    #[error("service account token is not valid yet")]
    NotYetValid,
}

/// Signs tokens.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    key: PrivateKey,
}

impl Issuer {
    /// `name` is the first `--service-account-issuer`.
    ///
    /// # Errors
    /// When tokens cannot be signed with a key of this kind.
    pub fn new(name: impl Into<String>, key: PrivateKey) -> Result<Self, Error> {
        let usable = jws::algorithm(&key.public()).is_some();
        let issuer = Issuer { name: name.into(), key };
        if usable { Ok(issuer) } else { Err(Error::Malformed("tokens are signed with RSA or ECDSA keys")) }
    }

    /// A bound token for `binding`, from `now` for `seconds`.
    pub fn issue(
        &self,
        binding: Binding,
        audiences: Vec<String>,
        now: Timestamp,
        seconds: i64,
    ) -> Result<(String, Claims), Error> {
        let begin = now.as_second();
        let claims = Claims {
            aud: audiences,
            exp: begin.saturating_add(seconds),
            iat: begin,
            iss: self.name.clone(),
            jti: Some(env::rand::uuid()),
            sub: user_name(&binding.namespace, &binding.service_account.name),
            kubernetes: binding,
            nbf: begin,
        };
        Ok((self.sign(&claims)?, claims))
    }

    /// A token for a Secret of type `kubernetes.io/service-account-token`; it never ends.
    pub fn issue_legacy(&self, namespace: &str, account: &Reference, secret_name: &str) -> Result<String, Error> {
        self.sign(&LegacyClaims {
            iss: LEGACY_ISSUER.to_owned(),
            namespace: namespace.to_owned(),
            secret_name: secret_name.to_owned(),
            name: account.name.clone(),
            uid: account.uid.clone(),
            sub: user_name(namespace, &account.name),
        })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<String, Error> {
        let payload = serde_json::to_vec(claims).map_err(|_opaque| Error::Malformed("claims cannot be written"))?;
        jws::sign(&self.key, &payload)
    }
}

/// Believes tokens.
#[derive(Debug, Clone)]
pub struct Verifier {
    issuers: Vec<String>,
    keys: Vec<(String, PublicKey)>,
}

/// The part of the claims that tells whose token it is.
#[derive(Deserialize)]
struct Origin {
    #[serde(default)]
    iss: String,
}

impl Verifier {
    /// Believes tokens of `issuers` that one of `keys` signed.
    pub fn new(issuers: Vec<String>, keys: Vec<PublicKey>) -> Self {
        let keys = keys.into_iter().map(|key| (jws::key_id(&key), key)).collect();
        Verifier { issuers, keys }
    }

    /// Checks signature, issuer and times. Audiences are the caller's to compare.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let token = Token::parse(token).ok_or(Refusal::Foreign)?;
        let payload = str::from_utf8(&token.payload).map_err(|_opaque| Refusal::Foreign)?;
        let origin: Origin = serde_json::from_str(payload).map_err(|_opaque| Refusal::Foreign)?;
        let legacy = origin.iss == LEGACY_ISSUER;
        if !legacy && !self.issuers.contains(&origin.iss) {
            return Err(Refusal::Foreign);
        }
        if !self.is_signed(&token) {
            return Err(Refusal::Signature);
        }
        if legacy {
            let claims: LegacyClaims = serde_json::from_str(payload).map_err(|_opaque| Refusal::Claims)?;
            let consistent = claims.sub == user_name(&claims.namespace, &claims.name);
            return if consistent { Ok(Verified::Legacy(claims)) } else { Err(Refusal::Claims) };
        }
        let claims: Claims = serde_json::from_str(payload).map_err(|_opaque| Refusal::Claims)?;
        match now.as_second() {
            now if now > claims.exp.saturating_add(LEEWAY_SECONDS) => Err(Refusal::Expired),
            now if now < claims.nbf.saturating_sub(LEEWAY_SECONDS) => Err(Refusal::NotYetValid),
            _ if claims.sub != user_name(&claims.kubernetes.namespace, &claims.kubernetes.service_account.name) => {
                Err(Refusal::Claims)
            }
            _ => Ok(Verified::Bound(Box::new(claims))),
        }
    }

    /// The named key first; a token without a name, or with one of another naming, is tried with all.
    fn is_signed(&self, token: &Token) -> bool {
        let kid = token.header.kid.as_deref();
        let named = self.keys.iter().find(|(id, _)| Some(id.as_str()) == kid);
        match named {
            Some((_, key)) => token.is_signed_by(key),
            None => self.keys.iter().any(|(_, key)| token.is_signed_by(key)),
        }
    }

    /// The document at `/openid/v1/jwks`.
    pub fn jwks(&self) -> Jwks {
        Jwks { keys: self.keys.iter().filter_map(|(_, key)| Jwk::from_key(key)).collect() }
    }

    /// The document at `/.well-known/openid-configuration`.
    pub fn discovery(&self, jwks_uri: &str) -> Discovery {
        let mut algorithms: Vec<_> = self.keys.iter().filter_map(|(_, key)| jws::algorithm(key)).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        Discovery {
            issuer: self.issuers.first().cloned().unwrap_or_default(),
            jwks_uri: jwks_uri.to_owned(),
            response_types_supported: vec!["id_token"],
            subject_types_supported: vec!["public"],
            id_token_signing_alg_values_supported: algorithms,
        }
    }
}

/// OpenID provider metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Discovery {
    /// The first issuer.
    pub issuer: String,
    /// Where the keys are.
    pub jwks_uri: String,
    /// Always `id_token`.
    pub response_types_supported: Vec<&'static str>,
    /// Always `public`.
    pub subject_types_supported: Vec<&'static str>,
    /// What the keys sign with.
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
}

impl Discovery {
    /// The document as `/.well-known/openid-configuration` serves it.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|_opaque| Error::Malformed("the discovery document cannot be written"))
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Audience::deserialize(deserializer)? {
        Audience::One(one) => vec![one],
        Audience::Many(many) => many,
    })
}
