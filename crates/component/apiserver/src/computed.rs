//! Resources whose objects are made when they are asked for, and stored nowhere.

use std::sync::Arc;

use futures::future::BoxFuture;
use gate::{Authorized, Target};
use http::{Response, StatusCode};
use kind::{Refusal, Strategy};
use object::{Meta, Value};
use registry::form::made;
use registry::negotiate;
use serving::Body;

use crate::answer;
use crate::verbs::{selection_of, wanted_by};

/// Where the objects come from.
pub(crate) trait Source: Send + Sync {
    /// All of them, in the order of their names.
    fn all(&self) -> BoxFuture<'_, Vec<Value>>;
    /// The one called `name`.
    fn one<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Value>>;
}

/// A resource of this sort.
#[derive(Clone)]
pub(crate) struct Computed {
    pub(crate) strategy: Arc<dyn Strategy>,
    pub(crate) source: Arc<dyn Source>,
}

impl std::fmt::Debug for Computed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Computed").field("resource", &self.strategy.resource().group_resource()).finish_non_exhaustive()
    }
}

impl Computed {
    /// Reads; nothing of this sort can be written or watched.
    pub(crate) async fn answer(&self, by: &Authorized, target: &Target) -> Result<Response<Body>, Refusal> {
        let (strategy, now) = (self.strategy.as_ref(), env::time::now());
        by.warn(strategy.deprecation().map(str::to_owned));
        let wanted = wanted_by(by)?;
        let pieces = match by.info().verb {
            "get" => {
                let resource = strategy.resource().group_resource();
                let found = self.source.one(&target.name).await;
                let found = found.ok_or_else(|| Refusal::NotFound { resource, name: target.name.clone() })?;
                made::object(strategy, &found, wanted, now)?
            }
            "list" => {
                let selection = selection_of(by, target, strategy)?;
                let mut all = self.source.all().await;
                all.retain(|tree| {
                    let meta = Meta::of(tree);
                    let field = |field: &str| (field == "metadata.name").then(|| meta.name());
                    let label = |key: &str| tree.str_at(&["metadata", "labels", key]);
                    selection.labels.matches(label) && selection.fields.matches(field)
                });
                made::list(strategy, Value::map(), all, wanted, now)?
            }
            _ => {
                let text = "the server does not allow this method on the requested resource";
                return Err(Refusal::MethodNotAllowed(text.to_owned()));
            }
        };
        Ok(answer::pieces_with(StatusCode::OK, negotiate::content_type(wanted, false), pieces))
    }
}
