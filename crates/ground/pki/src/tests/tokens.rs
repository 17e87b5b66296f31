//! Tokens: signed, believed, refused; keys as JSON.

use crate::jws::{self, Jwk, Token};
use crate::serviceaccount::{Binding, Issuer, LEGACY_ISSUER, Reference, Refusal, Verified, Verifier};
use crate::tests::{days, noon};
use crate::{Algorithm, PrivateKey};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

fn reference(name: &str) -> Reference {
    Reference { name: name.to_owned(), uid: format!("uid-of-{name}") }
}

fn binding() -> Binding {
    Binding {
        namespace: "ns".to_owned(),
        pod: Some(reference("pod")),
        node: Some(reference("node")),
        service_account: reference("sa"),
        ..Binding::default()
    }
}

fn parties(algorithm: Algorithm) -> (Issuer, Verifier) {
    let key = PrivateKey::generate(algorithm).unwrap();
    let verifier = Verifier::new(vec![ISSUER.to_owned()], vec![key.public()]);
    (Issuer::new(ISSUER, key).unwrap(), verifier)
}

#[test]
fn bound_tokens_are_believed_in_their_time() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Rsa2048] {
        let (issuer, verifier) = parties(algorithm);
        let (token, claims) = issuer.issue(binding(), vec!["api".to_owned()], noon(), 3600).unwrap();
        assert_eq!(verifier.verify(&token, noon()), Ok(Verified::Bound(Box::new(claims))), "{algorithm:?}");
        assert_eq!(verifier.verify(&token, noon() + days(1)), Err(Refusal::Expired));
        assert_eq!(verifier.verify(&token, noon() - days(1)), Err(Refusal::NotYetValid));
        let (_, stranger) = parties(algorithm);
        assert_eq!(stranger.verify(&token, noon()), Err(Refusal::Signature));
    }
}

#[test]
fn claims_have_the_shape_that_clients_know() {
    let (issuer, _) = parties(Algorithm::EcdsaP256);
    let (token, claims) = issuer.issue(binding(), vec!["api".to_owned()], noon(), 3600).unwrap();
    let payload = String::from_utf8(Token::parse(&token).unwrap().payload).unwrap();
    let jti = claims.jti.unwrap();
    let expected = format!(
        concat!(
            r#"{{"aud":["api"],"exp":{exp},"iat":{iat},"iss":"{iss}","jti":"{jti}","#,
            r#""kubernetes.io":{{"namespace":"ns","node":{{"name":"node","uid":"uid-of-node"}},"#,
            r#""pod":{{"name":"pod","uid":"uid-of-pod"}},"serviceaccount":{{"name":"sa","uid":"uid-of-sa"}}}},"#,
            r#""nbf":{iat},"sub":"system:serviceaccount:ns:sa"}}"#
        ),
        exp = noon().as_second() + 3600,
        iat = noon().as_second(),
        iss = ISSUER,
        jti = jti,
    );
    assert_eq!(payload, expected);
}

#[test]
fn legacy_tokens_are_believed() {
    let (issuer, verifier) = parties(Algorithm::Rsa2048);
    let token = issuer.issue_legacy("ns", &reference("sa"), "sa-token-x").unwrap();
    match verifier.verify(&token, noon()).unwrap() {
        Verified::Legacy(claims) => {
            assert_eq!((claims.secret_name.as_str(), claims.iss.as_str()), ("sa-token-x", LEGACY_ISSUER))
        }
        Verified::Bound(claims) => panic!("a legacy token reads as {claims:?}"),
    }
}

#[test]
fn tampering_is_noticed() {
    let (issuer, verifier) = parties(Algorithm::EcdsaP256);
    let (token, _) = issuer.issue(binding(), vec![], noon(), 3600).unwrap();
    let mut parts: Vec<&str> = token.split('.').collect();
    let (other, _) =
        issuer.issue(Binding { namespace: "kube-system".to_owned(), ..binding() }, vec![], noon(), 1).unwrap();
    let swapped = other.split('.').nth(1).unwrap();
    parts[1] = swapped;
    assert_eq!(verifier.verify(&parts.join("."), noon()), Err(Refusal::Signature));
    for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(verifier.verify(text, noon()), Err(Refusal::Foreign), "{text:?}");
    }
}

#[test]
fn the_algorithm_must_suit_the_key() {
    let rsa = PrivateKey::generate(Algorithm::Rsa2048).unwrap();
    let ec = PrivateKey::generate(Algorithm::EcdsaP256).unwrap();
    let token = Token::parse(&jws::sign(&ec, b"{}").unwrap()).unwrap();
    assert!(token.is_signed_by(&ec.public()));
    assert!(!token.is_signed_by(&rsa.public()));
    let mut renamed = token.clone();
    renamed.header.alg = "none".to_owned();
    assert!(!renamed.is_signed_by(&ec.public()));
    renamed.header.alg = "HS256".to_owned();
    assert!(!renamed.is_signed_by(&ec.public()));
}

#[test]
fn keys_survive_json() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaP384, Algorithm::Rsa2048] {
        let key = PrivateKey::generate(algorithm).unwrap().public();
        let jwk = Jwk::from_key(&key).unwrap();
        assert_eq!(jwk.kid.as_deref(), Some(jws::key_id(&key).as_str()));
        assert_eq!(jwk.to_key(), Some(key), "{algorithm:?}");
    }
}

#[test]
fn discovery_names_issuer_keys_and_algorithms() {
    let (_, verifier) = parties(Algorithm::EcdsaP256);
    let document = verifier.discovery("https://10.0.0.5:6443/openid/v1/jwks");
    assert_eq!(document.issuer, ISSUER);
    assert_eq!(document.id_token_signing_alg_values_supported, ["ES256"]);
    assert_eq!(verifier.jwks().keys.len(), 1);
}
