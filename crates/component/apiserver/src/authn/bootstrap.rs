//! Bootstrap tokens: Secrets in kube-system with which new nodes introduce themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kind::User;
use object::Value;

use super::{Union, Verdict};

const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";

impl Union {
    pub(super) async fn by_bootstrap_token(&self, token: &str) -> Verdict {
        let Some((id, secret)) = split(token) else { return Verdict::NotMine };
        let name = format!("bootstrap-token-{id}");
        let Some(object) = self.routes.look_up("", "secrets", "kube-system", &name).await else {
            return Verdict::NotMine;
        };
        let field = |key: &str| -> Vec<u8> {
            let text = object.str_at(&["data", key]).unwrap_or_default();
            STANDARD.decode(text).unwrap_or_default()
        };
        let text = |key: &str| String::from_utf8_lossy(&field(key)).into_owned();
        let usable = object.str_at(&["type"]) == Some(SECRET_TYPE)
            && object.at(&["metadata", "deletionTimestamp"]).is_none_or(Value::is_null)
            && text("token-id") == id
            && text("usage-bootstrap-authentication") == "true";
        if !usable || !pki::same_secret(&field("token-secret"), secret.as_bytes()) {
            return Verdict::Rejected(format!("the bootstrap token {id} is not usable"));
        }
        let expiration = text("expiration");
        let expired = match object::timestamp::parse(&expiration) {
            _ if expiration.is_empty() => false,
            Some(at) => at <= env::time::now(),
            // An expiration that cannot be read must not mean "never".
            None => true,
        };
        if expired {
            return Verdict::Rejected(format!("the bootstrap token {id} has expired"));
        }
        let groups = text("auth-extra-groups");
        let extra = groups.split(',').map(str::trim).filter(|group| group.starts_with("system:bootstrappers:"));
        let mut all = vec!["system:bootstrappers".to_owned()];
        all.extend(extra.map(str::to_owned));
        Verdict::Accepted(User { name: format!("system:bootstrap:{id}"), groups: all, ..User::default() })
    }
}

/// `abcdef.0123456789abcdef`, or nothing.
fn split(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let shaped = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (shaped(id, 6) && shaped(secret, 16)).then_some((id, secret))
}
