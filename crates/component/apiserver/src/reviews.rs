//! Resources that are questions: reviews of tokens and of access. Nothing is stored.

use std::sync::Arc;

use futures::future::BoxFuture;
use gate::{Authorized, Authorizer, Decision, Query, RequestInfo, Target};
use http::{Response, StatusCode};
use kind::{Refusal, User};
use object::{Meta, Value, timestamp};
use serving::Body;

use crate::answer;
use crate::subresources;

/// The questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Token,
    SelfSubject,
    SubjectAccess,
    LocalSubjectAccess,
    SelfSubjectAccess,
    SelfSubjectRules,
    /// What is served elsewhere or not at all.
    NotBuilt(&'static str),
}

/// What a user may do in a namespace, for SelfSubjectRulesReviews.
pub(crate) trait Rules: Send + Sync {
    /// `(resourceRules, nonResourceRules)` as the review's status shows them.
    fn of(&self, user: &User, namespace: &str) -> (Vec<Value>, Vec<Value>);

    /// The rule that allows the user the request; empty when none does.
    fn allowing(&self, user: &User, info: &RequestInfo) -> String;
}

/// Judges a token alone.
pub(crate) trait TokenJudge: Send + Sync {
    /// The token's user and the audiences that matched, or why not.
    fn judge<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
    ) -> BoxFuture<'a, Result<(User, Vec<String>), String>>;
}

/// Who is asked.
#[derive(Clone)]
pub(crate) struct Reviews {
    pub(crate) authorizer: Arc<dyn Authorizer>,
    pub(crate) tokens: Arc<dyn TokenJudge>,
    pub(crate) rules: Arc<dyn Rules>,
}

impl std::fmt::Debug for Reviews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reviews").finish_non_exhaustive()
    }
}

impl Question {
    /// The question that a resource is.
    pub(crate) fn of(kind: &str) -> Question {
        match kind {
            "TokenReview" => Question::Token,
            "SelfSubjectReview" => Question::SelfSubject,
            "SubjectAccessReview" => Question::SubjectAccess,
            "LocalSubjectAccessReview" => Question::LocalSubjectAccess,
            "SelfSubjectAccessReview" => Question::SelfSubjectAccess,
            "SelfSubjectRulesReview" => Question::SelfSubjectRules,
            _ => Question::NotBuilt("this resource is not built"),
        }
    }
}

impl Reviews {
    pub(crate) async fn answer(
        &self,
        question: Question,
        by: &Authorized,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        if let Question::NotBuilt(what) = question {
            return Err(Refusal::NotImplemented(what.to_owned()));
        }
        if by.info().verb != "create" {
            return Err(Refusal::MethodNotAllowed(
                "the server does not allow this method on the requested resource".to_owned(),
            ));
        }
        let type_meta = match question {
            Question::Token => ("authentication.k8s.io/v1", "TokenReview"),
            Question::SelfSubject => ("authentication.k8s.io/v1", "SelfSubjectReview"),
            Question::SubjectAccess => ("authorization.k8s.io/v1", "SubjectAccessReview"),
            Question::LocalSubjectAccess => ("authorization.k8s.io/v1", "LocalSubjectAccessReview"),
            Question::SelfSubjectAccess => ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
            Question::SelfSubjectRules | Question::NotBuilt(_) => ("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
        };
        let wanted = answer::wanted_whole(&by.parts().headers, &by.info().query)?;
        let mut review = subresources::read(by, body, &[type_meta]).await?;
        match question {
            Question::Token => self.review_token(&mut review).await,
            Question::SelfSubject => review_self(by, &mut review),
            Question::SelfSubjectAccess => self.review_access(by.user(), &mut review).await?,
            Question::SubjectAccess => self.review_access(&user_of(&review)?, &mut review).await?,
            Question::LocalSubjectAccess => self.review_local(by, &mut review).await?,
            Question::SelfSubjectRules | Question::NotBuilt(_) => self.review_rules(by, &mut review)?,
        }
        answer::builtin(&review, type_meta, StatusCode::CREATED, wanted)
    }

    async fn review_token(&self, review: &mut Value) {
        let token = review.str_at(&["spec", "token"]).unwrap_or_default().to_owned();
        let audiences: Vec<String> =
            review.list_at(&["spec", "audiences"]).iter().filter_map(|a| a.as_str().map(str::to_owned)).collect();
        review.set(&["status"], Value::map());
        match self.tokens.judge(&token, &audiences).await {
            Ok((user, matched)) => {
                review.set(&["status", "authenticated"], true);
                review.set(&["status", "user"], user_tree(&user));
                review.set(&["status", "audiences"], matched);
            }
            Err(reason) => review.set(&["status", "error"], reason),
        }
    }

    async fn review_local(&self, by: &Authorized, review: &mut Value) -> Result<(), Refusal> {
        let namespace = by.info().target.as_ref().map(|target| target.namespace.clone()).unwrap_or_default();
        let asked = review.str_at(&["spec", "resourceAttributes", "namespace"]).unwrap_or_default();
        if asked != namespace {
            return Err(Refusal::BadRequest(format!(
                "spec.resourceAttributes.namespace must match namespace: {namespace}"
            )));
        }
        self.review_access(&user_of(review)?, review).await
    }

    async fn review_access(&self, user: &User, review: &mut Value) -> Result<(), Refusal> {
        let info = info_of(review)?;
        let decision = self.authorizer.authorize(user, &info).await;
        let (allowed, denied, reason) = match decision {
            Decision::Allow => (true, false, self.rules.allowing(user, &info)),
            Decision::Deny(reason) => (false, true, reason),
            Decision::NoOpinion(reason) => (false, false, reason),
        };
        review.set(&["status"], Value::map());
        review.set(&["status", "allowed"], allowed);
        if denied {
            review.set(&["status", "denied"], true);
        }
        if !reason.is_empty() {
            review.set(&["status", "reason"], reason);
        }
        Ok(())
    }

    fn review_rules(&self, by: &Authorized, review: &mut Value) -> Result<(), Refusal> {
        let namespace = review.str_at(&["spec", "namespace"]).unwrap_or_default().to_owned();
        if namespace.is_empty() {
            return Err(Refusal::BadRequest("no namespace on request".to_owned()));
        }
        let (resources, others) = self.rules.of(by.user(), &namespace);
        review.set(&["status", "resourceRules"], resources);
        review.set(&["status", "nonResourceRules"], others);
        review.set(&["status", "incomplete"], false);
        Ok(())
    }
}

fn review_self(by: &Authorized, review: &mut Value) {
    review.set(&["metadata", "creationTimestamp"], timestamp::seconds(env::time::now()));
    review.set(&["status", "userInfo"], user_tree(by.user()));
}

fn user_tree(user: &User) -> Value {
    let mut tree = Value::map();
    if !user.name.is_empty() {
        tree.set(&["username"], user.name.as_str());
    }
    if !user.uid.is_empty() {
        tree.set(&["uid"], user.uid.as_str());
    }
    if !user.groups.is_empty() {
        tree.set(&["groups"], user.groups.clone());
    }
    for (key, values) in &user.extra {
        tree.set(&["extra", key], values.clone());
    }
    tree
}

/// The user that a SubjectAccessReview is about.
fn user_of(review: &Value) -> Result<User, Refusal> {
    let texts = |keys: &[&str]| -> Vec<String> {
        review.list_at(keys).iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let name = review.str_at(&["spec", "user"]).unwrap_or_default().to_owned();
    let groups = texts(&["spec", "groups"]);
    if name.is_empty() && groups.is_empty() {
        return Err(invalid(review, "spec.user", "at least one of user or group must be specified"));
    }
    let extra = review.at(&["spec", "extra"]).and_then(Value::as_map).into_iter().flat_map(object::Map::iter);
    let extra = extra.map(|(key, _)| (key.to_owned(), texts(&["spec", "extra", key]))).collect();
    Ok(User { name, uid: review.str_at(&["spec", "uid"]).unwrap_or_default().to_owned(), groups, extra })
}

/// The request that a review asks about.
fn info_of(review: &Value) -> Result<RequestInfo, Refusal> {
    let resource = review.at(&["spec", "resourceAttributes"]).filter(|value| !value.is_null());
    let other = review.at(&["spec", "nonResourceAttributes"]).filter(|value| !value.is_null());
    match (resource, other) {
        (Some(_), Some(_)) => Err(invalid(
            review,
            "spec.nonResourceAttributes",
            "cannot be specified in combination with resourceAttributes",
        )),
        (None, None) => Err(invalid(
            review,
            "spec.resourceAttributes",
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        (Some(resource), None) => {
            let text = |key: &str| resource.str_at(&[key]).unwrap_or_default().to_owned();
            let target = Target {
                group: text("group"),
                version: text("version"),
                namespace: text("namespace"),
                resource: text("resource"),
                subresource: text("subresource"),
                named: !text("name").is_empty(),
                name: text("name"),
                rest: String::new(),
            };
            let verb = known_verb(&text("verb"));
            Ok(RequestInfo { verb, path: String::new(), target: Some(target), query: Query::default() })
        }
        (None, Some(other)) => {
            let text = |key: &str| other.str_at(&[key]).unwrap_or_default().to_owned();
            Ok(RequestInfo {
                verb: known_verb(&text("verb")),
                path: text("path"),
                target: None,
                query: Query::default(),
            })
        }
    }
}

/// Verbs are a small language; any other word is a verb that nothing allows but `*`.
fn known_verb(verb: &str) -> &'static str {
    const VERBS: [&str; 22] = [
        "approve",
        "attest",
        "bind",
        "create",
        "delete",
        "deletecollection",
        "escalate",
        "get",
        "head",
        "impersonate",
        "list",
        "options",
        "patch",
        "post",
        "proxy",
        "put",
        "request-serviceaccounts-token-audience",
        "sign",
        "update",
        "use",
        "watch",
        "*",
    ];
    VERBS.iter().find(|known| **known == verb).copied().unwrap_or("(unknown)")
}

fn invalid(review: &Value, field: &str, text: &str) -> Refusal {
    Refusal::Invalid {
        kind: kind::GroupKind {
            group: "authorization.k8s.io".into(),
            name: review.str_at(&["kind"]).unwrap_or("SubjectAccessReview").into(),
        },
        name: Meta::of(review).name().to_owned(),
        problems: vec![kind::Problem::invalid(object::Path::of(field), Value::Null, text)],
    }
}
