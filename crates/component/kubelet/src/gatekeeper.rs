//! Who may ask the kubelet: certificates and tokens say who it is, the API server says what they may.
//!
//! Answers are kept for a while, as upstream keeps them: tokens for 2 min, grants for 5 min, refusals for 30 s. Nobody
//! is anonymous here.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use futures::future::BoxFuture;
use http::{Response, StatusCode, header};
use pki::trust::{ClientTrust, Roots};
use serving::{Body, Peer};
use typed::api::authentication::v1::{TokenReview, TokenReviewSpec};
use typed::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};

use crate::remote::kept::Kept;
use crate::server::{Access, Gatekeeper, text};

const TOKEN_LIFE: Duration = Duration::from_secs(2 * 60);
const GRANT_LIFE: Duration = Duration::from_secs(5 * 60);
const REFUSAL_LIFE: Duration = Duration::from_secs(30);
/// How many users and how many answers are kept.
const KEPT_MAX: usize = 4096;
/// A token is at most this long.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// The group of everybody who is known.
const AUTHENTICATED: &str = "system:authenticated";

/// A caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct User {
    name: String,
    uid: Option<String>,
    groups: Vec<String>,
    extra: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

/// Lets in whom the cluster's authority vouches for or the API server knows, for what the API server allows them.
#[derive(Debug)]
pub struct Guard {
    client: Client,
    node_name: String,
    trust: Option<Arc<ClientTrust>>,
    tokens: Kept<Arc<User>>,
    answers: Kept<bool>,
}

impl Guard {
    /// A guard of the node `node_name` that asks through `client`; without `roots` certificates are worth nothing.
    pub fn new(client: Client, node_name: &str, roots: Option<Roots>) -> Guard {
        Guard {
            client,
            node_name: node_name.to_owned(),
            trust: roots.map(|roots| Arc::new(ClientTrust::new(roots))),
            tokens: Kept::new(KEPT_MAX),
            answers: Kept::new(KEPT_MAX),
        }
    }

    /// The roots that certificates lead to, to be replaced when they change.
    pub fn trust(&self) -> Option<&Arc<ClientTrust>> {
        self.trust.as_ref()
    }

    async fn who(&self, request: &http::request::Parts) -> Result<Arc<User>, Response<Body>> {
        let unauthorized = || text(StatusCode::UNAUTHORIZED, "Unauthorized");
        let chain = request.extensions.get::<Peer>().and_then(Peer::chain);
        if let (Some(chain), Some(trust)) = (chain, &self.trust) {
            match trust.verify(chain, env::time::now()) {
                Ok(identity) => {
                    let mut groups = identity.organizations.clone();
                    groups.push(AUTHENTICATED.to_owned());
                    let (name, uid) = (identity.common_name.clone(), identity.uid.clone());
                    return Ok(Arc::new(User { name, uid, groups, extra: None }));
                }
                Err(distrust) => tracing::debug!(%distrust, "a client certificate is not believed"),
            }
        }
        let header = request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let token = token.filter(|token| !token.is_empty() && token.len() <= TOKEN_BYTES_MAX);
        match token {
            Some(token) => self.holder(token).await?.ok_or_else(unauthorized),
            None => Err(unauthorized()),
        }
    }

    /// Whose token it is, if anybody's.
    async fn holder(&self, token: &str) -> Result<Option<Arc<User>>, Response<Body>> {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let key: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(user) = self.tokens.get(&key) {
            return Ok(Some(user));
        }
        let spec = TokenReviewSpec { token: token.to_owned(), ..Default::default() };
        let review = self.client.create(&TokenReview { spec, ..Default::default() }).await.map_err(unanswered)?;
        let status = review.status.unwrap_or_default();
        let user = status.user.filter(|_| status.authenticated == Some(true));
        let Some(user) = user else { return Ok(None) };
        let user = Arc::new(User {
            name: user.username.unwrap_or_default(),
            uid: user.uid,
            groups: user.groups.unwrap_or_default(),
            extra: user.extra,
        });
        self.tokens.put(key, user.clone(), TOKEN_LIFE);
        Ok(Some(user))
    }

    async fn may(&self, user: &User, verb: &str, subresource: &str) -> Result<bool, Response<Body>> {
        let key = format!("{user:?} {verb} {subresource}");
        if let Some(known) = self.answers.get(&key) {
            return Ok(known);
        }
        let attributes = ResourceAttributes {
            verb: Some(verb.to_owned()),
            version: Some("v1".to_owned()),
            resource: Some("nodes".to_owned()),
            subresource: Some(subresource.to_owned()),
            name: Some(self.node_name.clone()),
            ..Default::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            uid: user.uid.clone(),
            groups: Some(user.groups.clone()),
            extra: user.extra.clone(),
            resource_attributes: Some(attributes),
            ..Default::default()
        };
        let review = SubjectAccessReview { spec, ..Default::default() };
        let review = self.client.create(&review).await.map_err(unanswered)?;
        let allowed = review.status.is_some_and(|status| status.allowed && status.denied != Some(true));
        self.answers.put(key, allowed, if allowed { GRANT_LIFE } else { REFUSAL_LIFE });
        Ok(allowed)
    }
}

impl Gatekeeper for Guard {
    fn admit<'a>(
        &'a self,
        request: &'a http::request::Parts,
        access: Access,
    ) -> BoxFuture<'a, Result<(), Response<Body>>> {
        // What is asked of the request is read before anything is waited for.
        Box::pin(async move {
            let user = self.who(request).await?;
            for subresource in &access.subresources {
                if self.may(&user, access.verb, subresource).await? {
                    return Ok(());
                }
            }
            let message = format!(
                "Forbidden (user={}, verb={}, resource=nodes, subresource(s)=[{}])",
                user.name,
                access.verb,
                access.subresources.join(" ")
            );
            Err(text(StatusCode::FORBIDDEN, &message))
        })
    }
}

/// The API server did not say: nobody is let in meanwhile.
fn unanswered(error: client::Error) -> Response<Body> {
    tracing::warn!(%error, "the API server does not say who may ask the kubelet");
    text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error")
}
