//! Who somebody says to be: tokens, keys of issuers, kubeconfigs, pull secrets.

use std::sync::LazyLock;

use jiff::Timestamp;
use pki::PublicKey;
use pki::jws::{self, Jwk, Token};
use pki::kubeconfig::Kubeconfig;
use pki::serviceaccount::{Claims, LegacyClaims, Verifier};

/// A token, who issued it, and the key that it was signed with.
const TOKEN: &str = include_str!("../seeds/credentials/token");
const ISSUER: &str = "https://kubernetes.default.svc";
const KEY: &[u8] = include_bytes!("../seeds/certificates/public-key.pem");
/// Within the token's hour.
const NOW: &str = "2026-01-01T00:10:00Z";

static VERIFIER: LazyLock<(Verifier, Timestamp)> = LazyLock::new(|| {
    let keys = PublicKey::all_from_pem(KEY).expect("it is a key");
    (Verifier::new(vec![ISSUER.to_owned()], keys), NOW.parse().expect("it is a time"))
});

/// A token, its claims, a key, a kubeconfig or a pull secret.
pub fn credentials(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (verifier, now) = &*VERIFIER;
    if Token::parse(text).is_some() && verifier.verify(text, *now).is_ok() {
        let signed = |token: &str| token.rsplit_once('.').map(|(signed, _)| signed.to_owned());
        assert_eq!(signed(text), signed(TOKEN), "nobody signed any other");
    }
    claims(text);
    if let Ok(jwk) = serde_json::from_str::<Jwk>(text)
        && let Some(key) = jwk.to_key()
        && let Some(written) = Jwk::from_key(&key)
    {
        let again = written.to_key().expect("what was written can be read");
        assert_eq!(again.spki(), key.spki(), "a key that was written is the same");
        assert_eq!(jws::key_id(&again), jws::key_id(&key), "and is called the same");
    }
    if let Ok(config) = Kubeconfig::from_yaml(text) {
        let written = config.to_yaml().expect("a kubeconfig can be written");
        let again = Kubeconfig::from_yaml(&written).unwrap_or_else(|error| panic!("{error} in {written:?}"));
        assert_eq!(again, config, "a kubeconfig that was written reads the same");
        let _context = config.resolve(None);
    }
    kubelet::fuzz::pull_secret(bytes);
}

fn claims(text: &str) {
    if let Ok(claims) = serde_json::from_str::<Claims>(text) {
        let written = serde_json::to_string(&claims).expect("claims can be written");
        assert_eq!(
            serde_json::from_str::<Claims>(&written).ok(),
            Some(claims),
            "claims that were written read the same"
        );
    }
    drop(serde_json::from_str::<LegacyClaims>(text));
}
