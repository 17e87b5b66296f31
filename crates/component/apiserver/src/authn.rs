//! Who sent a request: a union of authenticators, asked in upstream's order.
//!
//! One that recognises its credentials decides; one that does not passes on. If none recognises them but some rejected
//! theirs, the answer is 401; without credentials the user is anonymous.

mod bootstrap;
mod proxy;
mod serviceaccount;

use std::sync::Arc;

use futures::future::BoxFuture;
use gate::{Authenticator, Known};
use http::header::AUTHORIZATION;
use kind::{Refusal, User};
use pki::serviceaccount::Verifier;
use pki::trust::ClientTrust;
use serving::Peer;

use crate::routes::Routes;

/// What one authenticator says.
enum Verdict {
    Accepted(User),
    Rejected(String),
    NotMine,
}

/// The union.
#[derive(Debug)]
pub(crate) struct Union {
    /// Client certificates' authorities.
    pub(crate) clients: Arc<ClientTrust>,
    /// The authority of front proxies, and the names they may have.
    pub(crate) front_proxy: Option<(Arc<ClientTrust>, Vec<String>)>,
    /// Service-account tokens.
    pub(crate) tokens: Arc<Verifier>,
    /// Audiences this server answers to.
    pub(crate) audiences: Vec<String>,
    /// Where accounts, pods and secrets are looked up.
    pub(crate) routes: Arc<Routes>,
    /// Tokens that are known from the start: the server's own, made anew each time it starts.
    pub(crate) fixed: Vec<TokenUser>,
}

/// A token and whose it is.
pub(crate) struct TokenUser {
    pub(crate) token: String,
    pub(crate) user: User,
}

impl std::fmt::Debug for TokenUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenUser").field("user", &self.user.name).finish_non_exhaustive()
    }
}

impl Authenticator for Union {
    fn authenticate<'a>(&'a self, known: &'a Known) -> BoxFuture<'a, Result<User, Refusal>> {
        Box::pin(self.ask_all(known))
    }
}

impl Union {
    async fn ask_all(&self, known: &Known) -> Result<User, Refusal> {
        let mut rejected = false;
        let presented = bearer_token(known);
        // Front proxies speak for others, so they come first; certificates need no lookup, so they come before tokens.
        let mut verdicts = vec![self.by_front_proxy(known), self.by_certificate(known)];
        if let Some(token) = presented {
            verdicts.push(self.by_fixed_token(token));
            verdicts.push(self.by_service_account_token(token).await);
            verdicts.push(self.by_bootstrap_token(token).await);
        }
        for verdict in verdicts {
            match verdict {
                Verdict::Accepted(user) => return Ok(with_group(user)),
                Verdict::Rejected(reason) => {
                    tracing::info!(%reason, "credentials rejected");
                    rejected = true;
                }
                Verdict::NotMine => {}
            }
        }
        if rejected || presented.is_some() { Err(Refusal::Unauthorized) } else { Ok(User::anonymous()) }
    }

    fn by_fixed_token(&self, token: &str) -> Verdict {
        let same = |fixed: &&TokenUser| pki::same_secret(fixed.token.as_bytes(), token.as_bytes());
        self.fixed.iter().find(same).map_or(Verdict::NotMine, |fixed| Verdict::Accepted(fixed.user.clone()))
    }

    fn by_certificate(&self, known: &Known) -> Verdict {
        let Some(chain) = known.parts().extensions.get::<Peer>().and_then(Peer::chain) else { return Verdict::NotMine };
        match self.clients.verify(chain, env::time::now()) {
            Ok(identity) => Verdict::Accepted(User {
                name: identity.common_name.clone(),
                uid: identity.uid.clone().unwrap_or_default(),
                groups: identity.organizations.clone(),
                extra: vec![(
                    "authentication.kubernetes.io/credential-id".to_owned(),
                    vec![format!("X509SHA256={}", identity.sha256)],
                )],
            }),
            Err(distrust) => Verdict::Rejected(distrust.to_string()),
        }
    }

    /// Judges a token alone, for TokenReviews.
    pub(crate) async fn review_token(&self, token: &str, audiences: &[String]) -> Result<(User, Vec<String>), String> {
        for verdict in [self.by_service_account_token_for(token, audiences).await, self.by_bootstrap_token(token).await]
        {
            match verdict {
                Verdict::Accepted(user) => {
                    let matched = if audiences.is_empty() { self.audiences.clone() } else { audiences.to_vec() };
                    return Ok((with_group(user), matched));
                }
                Verdict::Rejected(reason) => return Err(reason),
                Verdict::NotMine => {}
            }
        }
        Err("invalid bearer token".to_owned())
    }
}

/// Everybody who is somebody is in one group.
fn with_group(mut user: User) -> User {
    let known = user.in_group(User::AUTHENTICATED) || user.in_group(User::UNAUTHENTICATED);
    if !known && user.name != User::ANONYMOUS {
        user.groups.push(User::AUTHENTICATED.to_owned());
    }
    user
}

/// The bearer token, from the header or from a WebSocket subprotocol (browsers cannot set the header).
fn bearer_token(known: &Known) -> Option<&str> {
    let headers = &known.parts().headers;
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
