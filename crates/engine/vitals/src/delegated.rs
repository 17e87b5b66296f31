//! Who asks and what they may: certificates and tokens say who it is, the API server says what they may.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Client, Kept};
use futures::future::BoxFuture;
use gate::{Authenticator, Authorizer, Decision, Known, RequestInfo};
use http::header::AUTHORIZATION;
use kind::{Refusal, User};
use pki::trust::{ClientTrust, Roots};
use serving::Peer;
use typed::api::authentication::v1::{TokenReview, TokenReviewSpec};
use typed::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};

/// How many users and how many answers are kept.
const KEPT_MAX: usize = 4096;
/// A token is at most this long.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// What everybody may see, so that whoever watches over a component needs no rights.
const OPEN_PATHS: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// How long answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// Whose a token is.
    pub token: Duration,
    /// That somebody may do something.
    pub grant: Duration,
    /// That somebody may not.
    pub refusal: Duration,
}

impl Lives {
    /// Upstream's for components that delegate.
    pub const COMPONENT: Lives =
        Lives { token: Duration::from_secs(10), grant: Duration::from_secs(10), refusal: Duration::from_secs(10) };
    /// Upstream's for kubelets.
    pub const KUBELET: Lives =
        Lives { token: Duration::from_secs(120), grant: Duration::from_secs(300), refusal: Duration::from_secs(30) };
}

/// What somebody wants to do.
#[derive(Debug, Clone)]
pub enum Asked {
    /// Something with a resource.
    Resource(Box<ResourceAttributes>),
    /// Something with a path that is no resource.
    Path {
        /// The verb.
        verb: String,
        /// The path.
        path: String,
    },
}

/// Why it is not known who asks or what they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The credentials are not believed.
    Stranger,
    /// The API server did not say.
    Unanswered,
}

/// The judge of a component's own port.
#[derive(Debug)]
pub struct Delegated {
    client: Client,
    trust: Option<Arc<ClientTrust>>,
    lives: Lives,
    tokens: Kept<Arc<User>>,
    answers: Kept<bool>,
}

impl Delegated {
    /// Asks through `client`; without `roots` certificates are worth nothing.
    pub fn new(client: Client, roots: Option<Roots>, lives: Lives) -> Delegated {
        Delegated {
            client,
            trust: roots.map(|roots| Arc::new(ClientTrust::new(roots))),
            lives,
            tokens: Kept::new(KEPT_MAX),
            answers: Kept::new(KEPT_MAX),
        }
    }

    /// The roots that certificates lead to, to be replaced when they change.
    pub fn trust(&self) -> Option<&Arc<ClientTrust>> {
        self.trust.as_ref()
    }

    /// Who sends a request; `None` when it comes without credentials.
    pub async fn who(&self, request: &http::request::Parts) -> Result<Option<Arc<User>>, Doubt> {
        let chain = request.extensions.get::<Peer>().and_then(Peer::chain);
        let mut doubted = false;
        if let (Some(chain), Some(trust)) = (chain, &self.trust) {
            match trust.verify(chain, env::time::now()) {
                Ok(identity) => {
                    let mut groups = identity.organizations.clone();
                    groups.push(User::AUTHENTICATED.to_owned());
                    let uid = identity.uid.clone().unwrap_or_default();
                    let name = identity.common_name.clone();
                    return Ok(Some(Arc::new(User { name, uid, groups, extra: Vec::new() })));
                }
                Err(distrust) => {
                    tracing::debug!(%distrust, "a client certificate is not believed");
                    doubted = true;
                }
            }
        }
        let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| {
            let (scheme, token) = value.trim().split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match token.filter(|token| !token.is_empty()) {
            Some(token) if token.len() > TOKEN_BYTES_MAX => Err(Doubt::Stranger),
            Some(token) => self.holder(token).await?.ok_or(Doubt::Stranger).map(Some),
            None if doubted => Err(Doubt::Stranger),
            None => Ok(None),
        }
    }

    /// Whose token it is, if anybody's.
    async fn holder(&self, token: &str) -> Result<Option<Arc<User>>, Doubt> {
        let key = pki::hex(&pki::sha256(token.as_bytes()));
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
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default().into_iter().collect(),
        });
        self.tokens.put(key, user.clone(), self.lives.token);
        Ok(Some(user))
    }

    /// Whether `user` may do what is asked.
    pub async fn may(&self, user: &User, asked: &Asked) -> Result<bool, Doubt> {
        let key = format!("{user:?} {asked:?}");
        if let Some(known) = self.answers.get(&key) {
            return Ok(known);
        }
        let extra: BTreeMap<String, Vec<String>> = user.extra.iter().cloned().collect();
        let mut spec = SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
            groups: Some(user.groups.clone()),
            extra: Some(extra).filter(|extra| !extra.is_empty()),
            ..Default::default()
        };
        match asked {
            Asked::Resource(attributes) => spec.resource_attributes = Some((**attributes).clone()),
            Asked::Path { verb, path } => {
                spec.non_resource_attributes =
                    Some(NonResourceAttributes { path: Some(path.clone()), verb: Some(verb.clone()) });
            }
        }
        let review = SubjectAccessReview { spec, ..Default::default() };
        let review = self.client.create(&review).await.map_err(unanswered)?;
        let allowed = review.status.is_some_and(|status| status.allowed && status.denied != Some(true));
        self.answers.put(key, allowed, if allowed { self.lives.grant } else { self.lives.refusal });
        Ok(allowed)
    }
}

impl Authenticator for Delegated {
    fn authenticate<'a>(&'a self, known: &'a Known) -> BoxFuture<'a, Result<User, Refusal>> {
        Box::pin(async move {
            match self.who(known.parts()).await {
                Ok(Some(user)) => Ok(Arc::unwrap_or_clone(user)),
                Ok(None) => Ok(User::anonymous()),
                Err(Doubt::Stranger | Doubt::Unanswered) => Err(Refusal::Unauthorized),
            }
        })
    }
}

impl Authorizer for Delegated {
    fn authorize<'a>(&'a self, user: &'a User, info: &'a RequestInfo) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            // Masters may do everything, also while the API server is away.
            if user.in_group(User::MASTERS) || OPEN_PATHS.contains(&info.path.as_str()) {
                return Decision::Allow;
            }
            let asked = Asked::Path { verb: info.verb.to_owned(), path: info.path.clone() };
            match self.may(user, &asked).await {
                Ok(true) => Decision::Allow,
                Ok(false) => Decision::NoOpinion(String::new()),
                Err(_doubt) => Decision::NoOpinion("the API server does not say who may".to_owned()),
            }
        })
    }
}

/// The API server did not say: nobody is let in meanwhile.
fn unanswered(error: client::Error) -> Doubt {
    tracing::warn!(%error, "the API server does not say who may ask");
    Doubt::Unanswered
}
