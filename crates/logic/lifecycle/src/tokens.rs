//! Bootstrap tokens: expired ones go, valid ones sign the ConfigMap `cluster-info` by which joining nodes know the cluster.
//!
//! Rules: `kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens`.

use jiff::Timestamp;
use plan::{Action, Key, Plan, Step, Target, View, meta};
use typed::api::core::v1::{ConfigMap, Secret};

const TYPE: &str = "bootstrap.kubernetes.io/token";
const NAMESPACE: &str = "kube-system";
const SIGNATURE_PREFIX: &str = "jws-kubeconfig-";

/// Signs a text with a token: a detached JSON web signature (HMAC-SHA256) whose key id is the token's id.
pub type Sign<'a> = &'a dyn Fn(&str, &Token) -> String;

/// A bootstrap token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The public half.
    pub id: String,
    /// The secret half.
    pub secret: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Token({}, …)", self.id)
    }
}

fn field(secret: &Secret, key: &str) -> Option<String> {
    let bytes = &secret.data.as_ref()?.get(key)?.0;
    String::from_utf8(bytes.clone()).ok()
}

fn is_token(secret: &Secret) -> bool {
    secret.type_.as_deref() == Some(TYPE) && meta::namespace(&secret.metadata) == NAMESPACE
}

/// When a token ends; a time that cannot be read has passed.
fn expiration(secret: &Secret) -> Option<Timestamp> {
    let text = field(secret, "expiration").filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or(Timestamp::MIN))
}

/// Deletes one token when its time has passed.
#[must_use]
pub fn plan_expiry(key: &Key, secrets: &dyn View<Secret>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let secret = secrets
        .get(&key.namespace, &key.name)
        .filter(|secret| is_token(secret) && !meta::is_deleting(&secret.metadata));
    let Some((secret, end)) = secret.and_then(|secret| expiration(&secret).map(|end| (secret, end))) else {
        return plan;
    };
    if end > now {
        plan.look_again_at(end);
        return plan;
    }
    let delete = Action::Delete {
        // Exactly this revision: an extended token must not fall to an old plan.
        target: Target::exactly(secret.as_ref()),
        propagation: plan::Propagation::Background,
        grace_seconds: None,
    };
    plan.then(vec![Step::of(delete)]);
    plan
}

/// The token in a secret, if it is valid for signing now.
fn signing_token(secret: &Secret, now: Timestamp) -> Option<Token> {
    let (id, half) = (field(secret, "token-id")?, field(secret, "token-secret")?);
    let named = meta::name(&secret.metadata).strip_prefix("bootstrap-token-") == Some(id.as_str());
    let alive = expiration(secret).is_none_or(|end| end > now) && !meta::is_deleting(&secret.metadata);
    let may_sign = field(secret, "usage-bootstrap-signing").as_deref() == Some("true");
    (is_token(secret) && named && alive && may_sign && !half.is_empty()).then_some(Token { id, secret: half })
}

/// Makes the signatures in `kube-public/cluster-info` those of today's tokens. Does nothing while there is no ConfigMap.
#[must_use]
pub fn plan_signatures(maps: &dyn View<ConfigMap>, secrets: &dyn View<Secret>, sign: Sign<'_>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(map) = maps.get("kube-public", "cluster-info") else { return plan };
    let Some(content) = map.data.as_ref().and_then(|data| data.get("kubeconfig")) else { return plan };
    let mut data = map.data.clone().unwrap_or_default();
    data.retain(|key, _| !key.starts_with(SIGNATURE_PREFIX));
    for secret in secrets.within(NAMESPACE) {
        if let Some(token) = signing_token(&secret, now) {
            data.insert(format!("{SIGNATURE_PREFIX}{}", token.id), sign(content, &token));
            if let Some(end) = expiration(&secret) {
                plan.look_again_at(end);
            }
        }
    }
    if map.data.as_ref() != Some(&data) {
        let mut signed = map.as_ref().clone();
        signed.data = Some(data);
        plan.then_do(Action::update(signed));
    }
    plan
}

#[cfg(test)]
mod tests;
