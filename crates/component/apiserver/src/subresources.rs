//! Subresources that are more than the object itself: each is a row with what answers it.

mod binding;
mod connect;
mod eviction;
mod scale;
mod token;

use std::sync::Arc;

use gate::{Authorized, Target};
use http::{Response, StatusCode};
use kind::Refusal;
use object::Value;
use pki::serviceaccount::Issuer;
use registry::{Registry, WriteOptions};
use serving::Body;

use crate::answer;
use crate::reviews::Reviews;
use crate::routes::{Answerer, Route, Routes};
use crate::verbs::{body_bytes, body_media};

pub(crate) use connect::Kubelets;

/// What the subresources need beyond the object's registry.
#[derive(Debug)]
pub(crate) struct Subresources {
    pub(crate) routes: Arc<Routes>,
    pub(crate) issuer: Arc<Issuer>,
    /// Audiences of tokens that ask for none.
    pub(crate) audiences: Vec<String>,
    pub(crate) reviews: Reviews,
    pub(crate) kubelets: Kubelets,
}

/// A request for a subresource.
pub(crate) struct Asked<'a> {
    pub(crate) by: &'a Authorized,
    pub(crate) target: &'a Target,
    pub(crate) registry: &'a Registry,
}

impl Asked<'_> {
    pub(crate) fn address(&self) -> (&str, &str) {
        (&self.target.namespace, &self.target.name)
    }

    /// How to write on behalf of the request.
    pub(crate) fn write_options(&self) -> Result<WriteOptions, Refusal> {
        let query = &self.by.info().query;
        let agent = self.by.parts().headers.get(http::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let manager = query.get("fieldManager").filter(|manager| !manager.is_empty()).map(str::to_owned);
        Ok(WriteOptions {
            dry_run: query.all("dryRun").any(|value| value == "All"),
            field_manager: manager.unwrap_or_else(|| patch::apply::manager_name(agent.unwrap_or("unknown"))),
            owners_settled: false,
        })
    }

    /// Answers with a kind of the built-in table.
    pub(crate) fn answer(
        &self,
        tree: &Value,
        type_meta: (&str, &str),
        code: StatusCode,
    ) -> Result<Response<Body>, Refusal> {
        answer::builtin(tree, type_meta, code, answer::wanted_for_refusals(&self.by.parts().headers))
    }
}

impl Subresources {
    /// Answers a request for a subresource.
    pub(crate) async fn answer(
        &self,
        by: Authorized,
        target: Target,
        route: &Route,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let row = route.resource.subresource(&target.subresource).ok_or(Refusal::NoSuchPath)?;
        let Answerer::Stored(registry) = &route.answerer else { return Err(Refusal::NoSuchPath) };
        let verb = by.info().verb;
        // OPTIONS is no verb of the API, and what is behind a proxy may know it.
        let passed_on = target.subresource == "proxy" && by.parts().method == http::Method::OPTIONS;
        if !passed_on && !row.verbs.iter().any(|allowed| allowed.name() == verb) {
            return Err(Refusal::MethodNotAllowed(
                "the server does not allow this method on the requested resource".to_owned(),
            ));
        }
        let asked = Asked { by: &by, target: &target, registry };
        match (route.resource.plural.as_str(), target.subresource.as_str()) {
            (_, "scale") => scale::answer(&asked, body).await,
            ("pods", "binding") => binding::bind(&asked, body).await,
            ("pods", "eviction") => eviction::evict(&asked, &self.routes, body).await,
            ("serviceaccounts", "token") => token::issue(self, &asked, body).await,
            ("pods" | "nodes" | "services", _) => self.kubelets.connect(&asked, &self.routes, body).await,
            _ => Err(Refusal::NotImplemented(format!("{}/{} is not built", route.resource.plural, target.subresource))),
        }
    }
}

/// Reads a body that is of one of the types `accepted`, of which the first is asked for by what a refusal says.
pub(crate) async fn read(by: &Authorized, body: Body, accepted: &[(&str, &str)]) -> Result<Value, Refusal> {
    let media = body_media(by.parts())?;
    let bytes = body_bytes(body).await?;
    let mut refused = None;
    for &(api_version, kind) in accepted {
        let root = codec::Root::builtin(api_version, kind)
            .ok_or_else(|| Refusal::Internal(format!("the table holds no {kind} of {api_version}")))?;
        match crate::verbs::read_kind(&bytes, media, root, (api_version, kind)) {
            Ok(object) => return Ok(object),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    Err(refused.unwrap_or_else(|| Refusal::Internal("no type is accepted".to_owned())))
}
