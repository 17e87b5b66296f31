//! What the kubelet answers on port 10250.
//!
//! Whoever asks is admitted by a [`Gatekeeper`] first: authentication and authorization are not this module's, and there
//! is no way past them. Streams (`exec`, `attach`, `portForward`, `run`) and checkpoints answer 501 until they are built.

mod logs;
mod stats;

use std::sync::Arc;

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use object::Value;
use serving::{Body, Service};
use typed::Kind;

use crate::node::View;

/// What a request is about, in the words of authorization: a verb on `nodes/<subresource>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `get`, `create`, `update`, `patch`, `delete`.
    pub verb: &'static str,
    /// The subresources of `nodes` any of which suffices, the finest first (KEP-2862).
    pub subresources: Vec<&'static str>,
    /// The path.
    pub path: String,
}

/// Decides who may ask.
pub trait Gatekeeper: std::fmt::Debug + Send + Sync {
    /// Lets a request in, or answers it (401, 403).
    fn admit<'a>(
        &'a self,
        request: &'a http::request::Parts,
        access: Access,
    ) -> BoxFuture<'a, Result<(), Response<Body>>>;
}

/// The kubelet's server.
#[derive(Debug)]
pub struct NodeServer {
    view: View,
    gatekeeper: Arc<dyn Gatekeeper>,
}

impl NodeServer {
    /// A server of what `view` shows, for those whom `gatekeeper` lets in.
    pub fn new(view: View, gatekeeper: Arc<dyn Gatekeeper>) -> NodeServer {
        NodeServer { view, gatekeeper }
    }
}

impl Service for NodeServer {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            let (parts, _body) = request.into_parts();
            let access = access(&parts.method, parts.uri.path());
            if let Err(refusal) = self.gatekeeper.admit(&parts, access).await {
                return refusal;
            }
            route(&self.view, &parts).await
        })
    }
}

/// What authorization is asked for a request.
pub(crate) fn access(method: &Method, path: &str) -> Access {
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "get",
    };
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let subresources = match first {
        "stats" => vec!["stats"],
        "metrics" => vec!["metrics"],
        "logs" => vec!["log"],
        "checkpoint" => vec!["checkpoint"],
        "statusz" => vec!["statusz"],
        "flagz" => vec!["flagz"],
        "configz" => vec!["configz", "proxy"],
        "healthz" => vec!["healthz", "proxy"],
        "pods" | "runningpods" => vec!["pods", "proxy"],
        _ => vec!["proxy"],
    };
    Access { verb, subresources, path: path.to_owned() }
}

async fn route(view: &View, request: &http::request::Parts) -> Response<Body> {
    let path = request.uri.path();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    match segments[..] {
        ["healthz"] | ["healthz", "ping"] if reads => text(StatusCode::OK, "ok"),
        ["pods"] if reads => pods(view),
        ["containerLogs", namespace, pod, container] if reads => {
            logs::answer(view, (namespace, pod, container), request.uri.query().unwrap_or_default()).await
        }
        ["stats", "summary"] if reads => stats::summary(view).await,
        ["metrics", "resource"] if reads => stats::resource_metrics(view).await,
        ["exec" | "attach" | "portForward" | "run" | "checkpoint" | "runningpods" | "logs" | "configz", ..]
        | ["metrics", ..] => {
            let message = format!("{path} is not built");
            text(StatusCode::NOT_IMPLEMENTED, &message)
        }
        _ => text(StatusCode::NOT_FOUND, "404 page not found"),
    }
}

fn pods(view: &View) -> Response<Body> {
    let items: Vec<Value> = view.pods().iter().map(|pod| pod.to_tree()).collect();
    let list = Value::from_pairs([
        ("kind", Value::from("PodList")),
        ("apiVersion", Value::from("v1")),
        ("metadata", Value::map()),
        ("items", Value::from(items)),
    ]);
    json(&list)
}

pub(crate) fn json(value: &Value) -> Response<Body> {
    let mut bytes = Vec::new();
    codec::json::write(value, &mut bytes);
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn text(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(message.to_owned()));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
