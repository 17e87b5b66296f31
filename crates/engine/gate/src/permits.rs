//! The permits, and the judges that grant them.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::request::Parts;
use kind::{GroupKind, Refusal, User};
use object::Value;
use parking_lot::Mutex;

use crate::{Admission, Attributes, RequestInfo};

/// A request of which we know what it asks for.
#[derive(Debug)]
pub struct Known {
    info: RequestInfo,
    parts: Parts,
}

/// A request of which we know who asks.
#[derive(Debug)]
pub struct Authenticated {
    known: Known,
    user: Arc<User>,
    /// What the client shall be told though all is well.
    warnings: Mutex<Vec<String>>,
}

/// A request that its user may make. Shared by everything the request does.
#[derive(Debug, Clone)]
pub struct Authorized {
    request: Arc<Authenticated>,
}

/// An object that mutating admission has seen; validation and validating admission are still to come.
#[derive(Debug)]
pub struct Mutated {
    by: Authorized,
    object: Value,
}

/// An object that admission lets in: the only thing that is ever written.
#[derive(Debug)]
pub struct Admitted {
    by: Authorized,
    object: Option<Value>,
}

/// Says who sent a request.
pub trait Authenticator: Send + Sync {
    /// The user, or why the credentials are not accepted.
    fn authenticate<'a>(&'a self, known: &'a Known) -> BoxFuture<'a, Result<User, Refusal>>;
}

/// What an authorizer thinks of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// No, whatever others say.
    Deny(String),
    /// Not that I know of.
    NoOpinion(String),
}

/// Says whether a user may do something.
pub trait Authorizer: Send + Sync {
    /// The decision on `verb` by `user`.
    fn authorize<'a>(&'a self, user: &'a User, info: &'a RequestInfo) -> BoxFuture<'a, Decision>;
}

impl Known {
    /// Reads what the request asks for.
    pub fn read(parts: Parts) -> Known {
        let info = RequestInfo::parse(&parts.method, parts.uri.path(), parts.uri.query().unwrap_or_default());
        Known { info, parts }
    }

    /// What is asked for.
    pub fn info(&self) -> &RequestInfo {
        &self.info
    }

    /// Method, headers and extensions.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Asks who it is.
    pub async fn authenticate(self, judge: &dyn Authenticator) -> Result<Authenticated, (Known, Refusal)> {
        match judge.authenticate(&self).await {
            Ok(user) => Ok(Authenticated { known: self, user: Arc::new(user), warnings: Mutex::default() }),
            Err(refusal) => Err((self, refusal)),
        }
    }
}

impl Authenticated {
    /// Who asks.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// What is asked for.
    pub fn info(&self) -> &RequestInfo {
        &self.known.info
    }

    /// Method, headers and extensions.
    pub fn parts(&self) -> &Parts {
        &self.known.parts
    }

    /// Acts as another user from here on. The caller has asked the authorizer whether it may (`impersonate`).
    #[must_use]
    pub fn impersonating(mut self, user: User) -> Authenticated {
        self.user = Arc::new(user);
        self
    }

    /// Asks whether the user may.
    pub async fn authorize(self, judge: &dyn Authorizer) -> Result<Authorized, (Authenticated, Refusal)> {
        match judge.authorize(&self.user, &self.known.info).await {
            Decision::Allow => Ok(Authorized { request: Arc::new(self) }),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => {
                let refusal = forbidden(&self.user, &self.known.info, &reason);
                Err((self, refusal))
            }
        }
    }
}

impl Authorized {
    /// Who asks.
    pub fn user(&self) -> &Arc<User> {
        self.request.user()
    }

    /// What is asked for.
    pub fn info(&self) -> &RequestInfo {
        self.request.info()
    }

    /// Method, headers and extensions.
    pub fn parts(&self) -> &Parts {
        self.request.parts()
    }

    /// Notes something that the client shall be told though all is well.
    pub fn warn(&self, warnings: impl IntoIterator<Item = String>) {
        self.request.warnings.lock().extend(warnings);
    }

    /// What has been noted for the client so far, each thing once.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        for warning in std::mem::take(&mut *self.request.warnings.lock()) {
            if !seen.contains(&warning) {
                seen.push(warning);
            }
        }
        seen
    }

    /// Lets mutating admission change `object`.
    pub async fn mutate(
        &self,
        judge: &dyn Admission,
        attributes: &Attributes<'_>,
        mut object: Value,
    ) -> Result<Mutated, Refusal> {
        judge.mutate(self, attributes, &mut object).await?;
        Ok(Mutated { by: self.clone(), object })
    }

    /// Asks validating admission about a deletion, which brings no object.
    pub async fn admit_deletion(
        &self,
        judge: &dyn Admission,
        attributes: &Attributes<'_>,
    ) -> Result<Admitted, Refusal> {
        judge.validate(self, attributes, None).await?;
        Ok(Admitted { by: self.clone(), object: None })
    }
}

impl Mutated {
    /// The object.
    pub fn object(&self) -> &Value {
        &self.object
    }

    /// The object, for the strategy to complete. Field ownership is recorded here too.
    pub fn object_mut(&mut self) -> &mut Value {
        &mut self.object
    }

    /// Asks validating admission.
    pub async fn admit(self, judge: &dyn Admission, attributes: &Attributes<'_>) -> Result<Admitted, Refusal> {
        judge.validate(&self.by, attributes, Some(&self.object)).await?;
        Ok(Admitted { by: self.by, object: Some(self.object) })
    }
}

impl Admitted {
    /// By whose permission.
    pub fn by(&self) -> &Authorized {
        &self.by
    }

    /// The object that was let in; `None` for deletions.
    pub fn object(&self) -> Option<&Value> {
        self.object.as_ref()
    }

    /// The object that was let in.
    pub fn into_object(self) -> Option<Value> {
        self.object
    }
}

/// The refusal of an unauthorized request, in the words that users and tools know.
fn forbidden(user: &User, info: &RequestInfo, reason: &str) -> Refusal {
    let Some(target) = &info.target else {
        let text = format!("User {:?} cannot {} path {:?}", user.name, info.verb, info.path);
        return Refusal::ForbiddenPath(with_reason(text, reason));
    };
    let resource = match target.subresource.as_str() {
        "" => target.resource.clone(),
        subresource => format!("{}/{subresource}", target.resource),
    };
    let scope = match target.namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let text = format!(
        "User {:?} cannot {} resource {resource:?} in API group {:?} {scope}",
        user.name, info.verb, target.group
    );
    Refusal::Forbidden {
        resource: GroupKind { group: target.group.as_str().into(), name: target.resource.as_str().into() },
        name: target.name.clone(),
        message: with_reason(text, reason),
    }
}

fn with_reason(text: String, reason: &str) -> String {
    if reason.is_empty() { text } else { format!("{text}: {reason}") }
}
