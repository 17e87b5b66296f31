//! Bootstrap tokens.

use plan::Key;
use rehearsal::{Playhouse, at, script};
use typed::api::core::v1::ConfigMap;

use super::{Token, plan_expiry, plan_signatures};

fn token(id: &str, expiration: &str) -> String {
    let encode = |text: &str| {
        // Base64 by hand would be a second implementation; the YAML reader takes what the API takes.
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in text.as_bytes().chunks(3) {
            let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for place in 0..4 {
                let digit = char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]);
                out.push(if place <= chunk.len() { digit } else { '=' });
            }
        }
        out
    };
    format!(
        "
apiVersion: v1
kind: Secret
type: bootstrap.kubernetes.io/token
metadata: {{name: bootstrap-token-{id}, namespace: kube-system}}
data:
  token-id: {}
  token-secret: {}
  expiration: {}
  usage-bootstrap-signing: {}
",
        encode(id),
        encode("0123456789abcdef"),
        encode(expiration),
        encode("true")
    )
}

#[test]
fn tokens_end_at_their_time() {
    let house = Playhouse::read(at(0), &token("abcdef", &at(100).to_string()));
    let key = Key::new("kube-system", "bootstrap-token-abcdef");
    assert_eq!(plan_expiry(&key, &house, at(99)).requeue_at, Some(at(100)));
    assert_eq!(script(&plan_expiry(&key, &house, at(100))), "delete Secret bootstrap-token-abcdef");
    assert!(plan_expiry(&Key::new("kube-system", "other"), &house, at(100)).is_idle());
}

#[test]
fn valid_tokens_sign_and_others_do_not() {
    let mut house = Playhouse::read(at(0), &token("aaaaaa", &at(100).to_string()));
    house.add_yaml(&token("bbbbbb", &at(5).to_string()));
    house.add_yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: cluster-info, namespace: kube-public}, data: {kubeconfig: text, jws-kubeconfig-cccccc: old}}");
    let sign = |content: &str, token: &Token| format!("{content} by {}", token.id);
    let plan = plan_signatures(&house, &house, &sign, at(10));
    house.play(&plan);
    let data = house.expect::<ConfigMap>("kube-public", "cluster-info").data.clone().unwrap();
    assert_eq!(data.get("jws-kubeconfig-aaaaaa").map(String::as_str), Some("text by aaaaaa"));
    assert_eq!(data.len(), 2, "{data:?}");
    assert!(plan_signatures(&house, &house, &sign, at(10)).is_idle());
    assert_eq!(format!("{:?}", Token { id: "a".into(), secret: "hidden".into() }), "Token(a, …)");
}
