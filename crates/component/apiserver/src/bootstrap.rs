//! Objects that every cluster has from its first start on.
//!
//! They are made through the front door, like everybody's: same admission, same validation. What exists stays, except
//! that default roles get back what they must have.

mod network;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use kind::{Refusal, Resource};
use object::{Meta, Value};
use serving::{Body, Door};
use typed::Kind;

use ::authz::bootstrap::{Reconcile, Step, bootstrap, reconcile};

use crate::config::Config;

/// Objects made at the same time, so that they share the store's syncs.
const AT_ONCE: usize = 32;

/// Namespaces that are always there.
const NAMESPACES: [&str; 4] = ["kube-system", "default", "kube-public", "kube-node-lease"];

/// The server as its own client.
#[derive(Debug)]
pub(crate) struct Loopback {
    pub(crate) door: Door,
    pub(crate) token: String,
}

impl Loopback {
    /// Sends one request and reads the answer as a tree.
    pub(crate) async fn send(&self, method: Method, path: String, body: Option<&Value>) -> Result<Value, Refusal> {
        let mut text = Vec::new();
        if let Some(body) = body {
            codec::json::write(body, &mut text);
        }
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(USER_AGENT, concat!("kube-apiserver/", "v1.36.0"))
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(Bytes::from(text)))
            .map_err(|error| Refusal::Internal(error.to_string()))?;
        let response = self.door.call(request).await;
        let succeeded = response.status().is_success();
        let bytes = crate::verbs::body_bytes(response.into_body()).await?;
        let tree = codec::json::parse(&bytes).map_err(|error| Refusal::Internal(error.to_string()))?;
        if succeeded { Ok(tree) } else { Err(Refusal::Status(Box::new(tree))) }
    }

    /// An object, if it is there.
    pub(crate) async fn find(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Refusal> {
        match self.send(Method::GET, resource.path(namespace, name, ""), None).await {
            Ok(tree) => Ok(Some(tree)),
            Err(refusal) if refusal.code() == 404 => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Creates an object unless one of its name is there.
    pub(crate) async fn make(&self, resource: &Resource, object: &Value) -> Result<(), Refusal> {
        let meta = Meta::of(object);
        if self.find(resource, meta.namespace(), meta.name()).await?.is_some() {
            return Ok(());
        }
        match self.send(Method::POST, resource.path(meta.namespace(), "", ""), Some(object)).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.code() == 409 => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }
}

/// Makes sure of everything.
pub(crate) async fn ensure(loopback: &Loopback, config: &Config) -> Result<(), Refusal> {
    let namespaces = row("v1", "Namespace")?;
    for name in NAMESPACES {
        loopback.make(namespaces, &named(name)).await?;
    }
    let classes = row("scheduling.k8s.io/v1", "PriorityClass")?;
    let objects = [
        priority_class(
            "system-cluster-critical",
            2_000_000_000,
            "For pods that the cluster cannot do without and that may run on another node.",
        ),
        priority_class("system-node-critical", 2_000_001_000, "For pods that their node cannot do without."),
    ];
    let mut work: Vec<BoxFuture<'_, Result<(), Refusal>>> = Vec::new();
    let defaults = bootstrap();
    for role in &defaults.cluster_roles {
        work.push(Box::pin(settle(loopback, role)));
    }
    for binding in &defaults.cluster_role_bindings {
        work.push(Box::pin(settle(loopback, binding)));
    }
    for role in &defaults.roles {
        work.push(Box::pin(settle(loopback, role)));
    }
    for binding in &defaults.role_bindings {
        work.push(Box::pin(settle(loopback, binding)));
    }
    for object in &objects {
        work.push(Box::pin(loopback.make(classes, object)));
    }
    work.push(Box::pin(network::ensure(loopback, config)));
    let done: Vec<Result<(), Refusal>> = futures::stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
    done.into_iter().collect()
}

/// Brings a default role or binding up to what it must have.
async fn settle<K: Kind + Reconcile>(loopback: &Loopback, expected: &K) -> Result<(), Refusal> {
    let resource = K::resource();
    let found = loopback.find(resource, expected.namespace(), expected.name()).await?;
    let existing = found.as_ref().and_then(|tree| K::from_tree(tree).ok());
    match reconcile(existing.as_ref(), expected) {
        Step::Keep => Ok(()),
        Step::Create(object) => loopback.make(resource, &object.to_tree()).await,
        Step::Update(object) => {
            let path = resource.path(object.namespace(), object.name(), "");
            loopback.send(Method::PUT, path, Some(&object.to_tree())).await.map(drop)
        }
        Step::Recreate(object) => {
            let path = resource.path(object.namespace(), object.name(), "");
            loopback.send(Method::DELETE, path, None).await?;
            loopback.make(resource, &object.to_tree()).await
        }
    }
}

/// The row of a built-in kind.
pub(crate) fn row(api_version: &str, kind: &str) -> Result<&'static Resource, Refusal> {
    let found = kind::builtin().iter().find(|row| row.kind == kind && row.api_version() == api_version);
    found.map(AsRef::as_ref).ok_or_else(|| Refusal::Internal(format!("{kind} of {api_version} is not served")))
}

fn named(name: &str) -> Value {
    let mut object = Value::map();
    object.set(&["metadata", "name"], name);
    object
}

fn priority_class(name: &str, value: i64, description: &str) -> Value {
    let mut object = named(name);
    object.set(&["value"], value);
    object.set(&["description"], description);
    object
}
