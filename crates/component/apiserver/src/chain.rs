//! A request's walk, outside in, as one function.

use std::sync::Arc;

use futures::future::BoxFuture;
use gate::{Authenticated, Authenticator, Authorizer, Decision, Known, RequestInfo, Target};
use http::{HeaderValue, Request, Response};
use kind::{Refusal, User};
use serving::Body;

use crate::answer;
use crate::seats::Seats;
use crate::verbs::Verbs;

/// The front door: everything that asks the cluster anything comes through here.
pub(crate) struct Front {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) seats: Seats,
    pub(crate) verbs: Arc<Verbs>,
}

impl serving::Service for Front {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(self.answer(request))
    }
}

impl Front {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let started = env::time::Instant::now();
        let audit_id = env::rand::uuid();
        let wanted = answer::wanted_for_refusals(request.headers());
        let compress = serving::gzip::is_accepted(request.headers());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let mut response = match self.walk(request).await {
            Ok(response) => response,
            Err(refusal) => answer::refusal(&refusal, wanted),
        };
        let headers = response.headers_mut();
        headers.insert("audit-id", HeaderValue::from_str(&audit_id).expect("a UUID is a header value"));
        headers.entry(http::header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
        tracing::debug!(%method, %path, status = response.status().as_u16(), took = ?started.elapsed(), "answered");
        if compress { serving::gzip::apply(response) } else { response }
    }

    async fn walk(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let (parts, body) = request.into_parts();
        // What is asked for: everything below judges this, so that no two stages can read the path differently.
        let known = Known::read(parts);
        // Who asks: before anything else, so that strangers learn nothing but that they are strangers.
        let authenticated = match known.authenticate(self.authenticator.as_ref()).await {
            Ok(authenticated) => authenticated,
            Err((_, refusal)) => return Err(refusal),
        };
        // In whose name: after authentication, which says whether the asker may, and before everything that asks who.
        let authenticated = self.impersonate(authenticated).await?;
        // A seat: before authorization, whose webhooks cost time; long-running requests hold none.
        let _seat = self.seats.take(&authenticated)?;
        // Whether they may.
        let authorized = match authenticated.authorize(self.authorizer.as_ref()).await {
            Ok(authorized) => authorized,
            Err((_, refusal)) => return Err(refusal),
        };
        // The verb: reads the body, asks admission, and reaches the registry.
        self.verbs.answer(authorized, body).await
    }

    /// `Impersonate-User` and its companions: each is a permission of its own.
    async fn impersonate(&self, request: Authenticated) -> Result<Authenticated, Refusal> {
        let headers = &request.parts().headers;
        let all = |name: &str| -> Vec<String> {
            let values = headers.get_all(name).iter();
            values.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
        };
        let name = all("impersonate-user").into_iter().next().unwrap_or_default();
        let groups = all("impersonate-group");
        let uid = all("impersonate-uid").into_iter().next().unwrap_or_default();
        let mut extra: Vec<(String, Vec<String>)> = headers
            .keys()
            .filter_map(|key| {
                let name = key.as_str().strip_prefix("impersonate-extra-")?;
                Some((gate::Query::parse(name).iter().next().map(|(key, _)| key.to_owned())?, all(key.as_str())))
            })
            .collect();
        extra.sort();
        if name.is_empty() {
            let stray = !groups.is_empty() || !uid.is_empty() || !extra.is_empty();
            return match stray {
                true => Err(Refusal::BadRequest("requested impersonation without impersonating a user".to_owned())),
                false => Ok(request),
            };
        }
        let wanted = User { name, uid, groups, extra };
        for target in impersonated(&wanted) {
            self.may_impersonate(request.user(), target).await?;
        }
        Ok(request.impersonating(completed(wanted)))
    }

    async fn may_impersonate(&self, user: &User, target: Target) -> Result<(), Refusal> {
        let message = |reason: &str| {
            let scope = match target.namespace.as_str() {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            let text = format!(
                "User {:?} cannot impersonate resource {:?} in API group {:?} {scope}",
                user.name, target.resource, target.group
            );
            if reason.is_empty() { text } else { format!("{text}: {reason}") }
        };
        let info = RequestInfo {
            verb: "impersonate",
            path: String::new(),
            target: Some(target.clone()),
            query: gate::Query::default(),
        };
        match self.authorizer.authorize(user, &info).await {
            Decision::Allow => Ok(()),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(Refusal::Forbidden {
                resource: kind::GroupKind {
                    group: target.group.as_str().into(),
                    name: target.resource.as_str().into(),
                },
                name: target.name.clone(),
                message: message(&reason),
            }),
        }
    }
}

/// The permissions that acting as `wanted` needs.
fn impersonated(wanted: &User) -> Vec<Target> {
    let target = |group: &str, resource: &str, name: &str, subresource: &str| Target {
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        name: name.to_owned(),
        named: true,
        ..Target::default()
    };
    let account = wanted.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let mut targets = vec![match account {
        Some((namespace, name)) => {
            Target { namespace: namespace.to_owned(), ..target("", "serviceaccounts", name, "") }
        }
        None => target("", "users", &wanted.name, ""),
    }];
    targets.extend(wanted.groups.iter().map(|group| target("", "groups", group, "")));
    if !wanted.uid.is_empty() {
        targets.push(target("authentication.k8s.io", "uids", &wanted.uid, ""));
    }
    for (key, values) in &wanted.extra {
        targets.extend(values.iter().map(|value| target("authentication.k8s.io", "userextras", value, key)));
    }
    targets
}

/// The groups that the user would have had, had they come themselves.
fn completed(mut user: User) -> User {
    let account = user.name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    if let Some((namespace, _)) = account
        && user.groups.is_empty()
    {
        user.groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
    }
    let anonymous = user.name == User::ANONYMOUS;
    let group = if anonymous { User::UNAUTHENTICATED } else { User::AUTHENTICATED };
    if !user.in_group(group) {
        user.groups.push(group.to_owned());
    }
    user
}
