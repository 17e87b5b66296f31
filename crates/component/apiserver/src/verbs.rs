//! The verbs: from an authorized request to an answer.

mod body;
mod edits;
mod options;
mod read;
mod write;

use std::sync::Arc;

use env::task::Shutdown;
use gate::{Authorized, Target};
use http::Response;
use kind::{Refusal, Resource, Verb};
use registry::Registry;
use serving::Body;

use crate::answer;
use crate::documents::Documents;
use crate::routes::{Answerer, Routes};
use crate::subresources::Subresources;

/// Everything that answers.
#[derive(Debug)]
pub(crate) struct Verbs {
    pub(crate) routes: Arc<Routes>,
    pub(crate) documents: Documents,
    pub(crate) subresources: Subresources,
    /// Ends watches with the server, so that it does not wait for clients that wait for it.
    pub(crate) shutdown: Shutdown,
}

/// A request for a stored resource, with its route found.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) by: Authorized,
    pub(crate) target: Target,
    pub(crate) registry: Arc<Registry>,
}

impl Call {
    pub(crate) fn resource(&self) -> &Resource {
        self.registry.strategy().resource()
    }
}

impl Verbs {
    /// Answers an authorized request.
    pub(crate) async fn answer(&self, by: Authorized, body: Body) -> Result<Response<Body>, Refusal> {
        let Some(mut target) = by.info().target.clone() else { return self.documents.answer(&by, &self.routes).await };
        let route = self.routes.find(&target.group, &target.version, &target.resource).ok_or(Refusal::NoSuchPath)?;
        check_scope(&route.resource, &target)?;
        if !route.resource.namespaced {
            // A namespace's own path puts it inside itself, for authorization; it is stored like any other object.
            target.namespace.clear();
        }
        if !target.subresource.is_empty() && !is_plain(&target.subresource) {
            return self.subresources.answer(by, target, &route, body).await;
        }
        let registry = match route.answerer {
            Answerer::Computed(computed) => {
                let answered = computed.answer(&by, &target).await;
                return Ok(told(answered, &by));
            }
            Answerer::Virtual(question) => return self.subresources.reviews.answer(question, &by, body).await,
            Answerer::Stored(registry) => registry,
        };
        let call = Call { by, target, registry };
        let verb = call.verb()?;
        let by = call.by.clone();
        by.warn(call.registry.strategy().deprecation().map(str::to_owned));
        let answered = self.call(call, verb, body).await;
        Ok(told(answered, &by))
    }

    async fn call(&self, call: Call, verb: Verb, body: Body) -> Result<Response<Body>, Refusal> {
        match verb {
            Verb::Get => read::get(&call).await,
            Verb::List => read::list(&call).await,
            Verb::Watch => read::watch(call, self.shutdown.clone()).await,
            Verb::Create => write::create(&call, body).await,
            Verb::Update => write::update(&call, body).await,
            Verb::Patch => write::patch(&call, body).await,
            Verb::Delete => write::delete(&call, body).await,
            Verb::DeleteCollection => write::delete_collection(&call, body).await,
        }
    }
}

impl Call {
    /// The verb, if the resource or subresource has it.
    fn verb(&self) -> Result<Verb, Refusal> {
        let name = self.by.info().verb;
        let resource = self.resource();
        let verbs = match self.target.subresource.as_str() {
            "" => resource.verbs,
            subresource => resource.subresource(subresource).ok_or(Refusal::NoSuchPath)?.verbs,
        };
        let verb = Verb::ALL.into_iter().find(|verb| verb.name() == name).filter(|verb| verbs.contains(*verb));
        let verb = verb.filter(|verb| self.target.named || !matches!(verb, Verb::Update | Verb::Patch));
        // Objects are created in collections only.
        let verb = verb.filter(|verb| *verb != Verb::Create || !self.target.named);
        // All namespaces at once are for reading only.
        let everywhere = resource.namespaced && self.target.namespace.is_empty();
        let verb = verb.filter(|verb| !everywhere || matches!(verb, Verb::List | Verb::Watch));
        verb.ok_or_else(|| {
            Refusal::MethodNotAllowed("the server does not allow this method on the requested resource".to_owned())
        })
    }
}

/// An answer with what there is to tell the client besides. A refusal carries it too: an unknown field may be why the rest
/// makes no sense.
fn told(answered: Result<Response<Body>, Refusal>, by: &Authorized) -> Response<Body> {
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) => answer::refusal(&refusal, answer::wanted_for_refusals(&by.parts().headers)),
    };
    answer::warn(&mut response, &by.take_warnings());
    response
}

/// Subresources that are the object itself, written through another strategy.
fn is_plain(subresource: &str) -> bool {
    matches!(subresource, "status" | "approval" | "ephemeralcontainers" | "resize" | "finalize")
}

/// Cluster-scoped resources are not found inside namespaces, and objects in namespaces not outside.
fn check_scope(resource: &Resource, target: &Target) -> Result<(), Refusal> {
    let in_namespace = !target.namespace.is_empty() && resource.plural != "namespaces";
    if in_namespace && !resource.namespaced || (resource.namespaced && target.named && !in_namespace) {
        return Err(Refusal::NoSuchPath);
    }
    Ok(())
}

pub(crate) use body::{collect as body_bytes, media as body_media};
pub(crate) use edits::ScalePatch;
pub(crate) use options::selection_of;
pub(crate) use read::wanted_by;

/// Reads bytes that are of one kind; unknown fields are passed over.
pub(crate) fn read_kind(
    bytes: &[u8],
    media: registry::form::Media,
    root: codec::Root<'_>,
    type_meta: (&str, &str),
) -> Result<object::Value, Refusal> {
    Ok(body::of_kind(bytes, media, root, type_meta, options::FieldValidation::Ignore)?.object)
}
