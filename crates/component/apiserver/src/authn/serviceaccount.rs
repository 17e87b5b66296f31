//! Service-account tokens, bound to objects that must still be there.

use kind::User;
use object::{Meta, Value};
use pki::serviceaccount::{Claims, Reference, Refusal, Verified};

use super::{Union, Verdict};

const EXTRA_PREFIX: &str = "authentication.kubernetes.io/";

impl Union {
    pub(super) async fn by_service_account_token(&self, token: &str) -> Verdict {
        self.by_service_account_token_for(token, &[]).await
    }

    /// Judges a token; `audiences` empty means this server's own.
    pub(super) async fn by_service_account_token_for(&self, token: &str, audiences: &[String]) -> Verdict {
        match self.tokens.verify(token, env::time::now()) {
            Ok(Verified::Bound(claims)) => self.judge(&claims, audiences).await,
            Ok(Verified::Legacy(_)) => {
                Verdict::Rejected("tokens of Secrets are not accepted; request one by TokenRequest".to_owned())
            }
            Err(Refusal::Foreign) => Verdict::NotMine,
            Err(refusal) => Verdict::Rejected(refusal.to_string()),
        }
    }

    async fn judge(&self, claims: &Claims, audiences: &[String]) -> Verdict {
        let accepted = if audiences.is_empty() { &self.audiences } else { audiences };
        if !claims.aud.iter().any(|audience| accepted.contains(audience)) {
            return Verdict::Rejected(format!(
                "token audiences {:?} is invalid for the target audiences {accepted:?}",
                claims.aud
            ));
        }
        let binding = &claims.kubernetes;
        let account = &binding.service_account;
        if let Err(reason) = self.check("serviceaccounts", &binding.namespace, account).await {
            return Verdict::Rejected(reason);
        }
        let mut extra = Vec::new();
        if let Some(id) = &claims.jti {
            extra.push((format!("{EXTRA_PREFIX}credential-id"), vec![format!("JTI={id}")]));
        }
        if let Some(pod) = &binding.pod {
            if let Err(reason) = self.check("pods", &binding.namespace, pod).await {
                return Verdict::Rejected(reason);
            }
            extra.push((format!("{EXTRA_PREFIX}pod-name"), vec![pod.name.clone()]));
            extra.push((format!("{EXTRA_PREFIX}pod-uid"), vec![pod.uid.clone()]));
        }
        if let Some(node) = &binding.node {
            if binding.pod.is_none()
                && let Err(reason) = self.check("nodes", "", node).await
            {
                return Verdict::Rejected(reason);
            }
            extra.push((format!("{EXTRA_PREFIX}node-name"), vec![node.name.clone()]));
            extra.push((format!("{EXTRA_PREFIX}node-uid"), vec![node.uid.clone()]));
        }
        if let Some(secret) = &binding.secret
            && let Err(reason) = self.check("secrets", &binding.namespace, secret).await
        {
            return Verdict::Rejected(reason);
        }
        extra.sort();
        Verdict::Accepted(account_user(&binding.namespace, account, extra))
    }

    /// The object that a token is bound to must be the one it was made for, and not be long on its way out.
    async fn check(&self, plural: &str, namespace: &str, bound: &Reference) -> Result<(), String> {
        let gone = || format!("the {plural} that the token is bound to is gone: {}", bound.name);
        let object: Value = self.routes.look_up("", plural, namespace, &bound.name).await.ok_or_else(gone)?;
        let meta = Meta::of(&object);
        let over = meta.deletion_timestamp().is_some_and(|at| at < env::time::now());
        if meta.uid() == bound.uid && !over { Ok(()) } else { Err(gone()) }
    }
}

/// The user that a service account is.
pub(crate) fn account_user(namespace: &str, account: &Reference, extra: Vec<(String, Vec<String>)>) -> User {
    User {
        name: pki::serviceaccount::user_name(namespace, &account.name),
        uid: account.uid.clone(),
        groups: vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")],
        extra,
    }
}
