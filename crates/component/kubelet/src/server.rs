//! What the kubelet answers on port 10250.
//!
//! Whoever asks is admitted by a [`Gatekeeper`] first: authentication and authorization are not this module's, and there
//! is no way past them. Checkpoints and the node's own logs answer 501 until they are built.

mod configz;
mod logs;
mod metrics;
pub(crate) mod query;
mod stats;
mod streams;

use std::sync::Arc;

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use object::Value;
use serving::{Body, Service};
use typed::Kind;
use typed::api::core::v1::Pod;

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
            let (parts, body) = request.into_parts();
            let access = access(&parts.method, parts.uri.path());
            if let Err(refusal) = self.gatekeeper.admit(&parts, access).await {
                return refusal;
            }
            route(&self.view, Request::from_parts(parts, body)).await
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

/// The pod, and where it matters the container, that a path names.
struct Asked<'a> {
    namespace: &'a str,
    pod: &'a str,
    uid: Option<&'a str>,
    container: &'a str,
}

impl<'a> Asked<'a> {
    /// From `{namespace}/{pod}/{container}` or `{namespace}/{pod}/{uid}/{container}`.
    fn container(segments: &[&'a str]) -> Option<Asked<'a>> {
        match *segments {
            [namespace, pod, container] => Some(Asked { namespace, pod, uid: None, container }),
            [namespace, pod, uid, container] => Some(Asked { namespace, pod, uid: Some(uid), container }),
            _ => None,
        }
    }

    /// From `{namespace}/{pod}` or `{namespace}/{pod}/{uid}`.
    fn pod(segments: &[&'a str]) -> Option<Asked<'a>> {
        match *segments {
            [namespace, pod] => Some(Asked { namespace, pod, uid: None, container: "" }),
            [namespace, pod, uid] => Some(Asked { namespace, pod, uid: Some(uid), container: "" }),
            _ => None,
        }
    }

    fn find(&self, view: &View) -> Option<Pod> {
        find(view, self.namespace, self.pod, self.uid)
    }
}

fn find(view: &View, namespace: &str, name: &str, uid: Option<&str>) -> Option<Pod> {
    view.pods().into_iter().find(|pod| {
        let meta = &pod.metadata;
        meta.namespace.as_deref() == Some(namespace)
            && meta.name.as_deref() == Some(name)
            && uid.is_none_or(|uid| meta.uid.as_deref() == Some(uid))
    })
}

async fn route(view: &View, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    let asks = request.method() == Method::GET || request.method() == Method::POST;
    let nowhere = || text(StatusCode::NOT_FOUND, "404 page not found");
    match segments[..] {
        ["healthz"] | ["healthz", "ping"] if reads => text(StatusCode::OK, "ok"),
        ["pods"] if reads => pods(view),
        ["containerLogs", namespace, pod, container] if reads => {
            logs::answer(view, (namespace, pod, container), request.uri().query().unwrap_or_default()).await
        }
        ["exec", ref rest @ ..] if asks => match Asked::container(rest) {
            Some(asked) => streams::exec(view, &asked, request).await,
            None => nowhere(),
        },
        ["attach", ref rest @ ..] if asks => match Asked::container(rest) {
            Some(asked) => streams::attach(view, &asked, request).await,
            None => nowhere(),
        },
        ["run", ref rest @ ..] if request.method() == Method::POST => match Asked::container(rest) {
            Some(asked) => streams::run(view, &asked, request.uri().query().unwrap_or_default()).await,
            None => nowhere(),
        },
        ["portForward", ref rest @ ..] if asks => match Asked::pod(rest) {
            Some(asked) => streams::port_forward(view, &asked, request).await,
            None => nowhere(),
        },
        ["stats", "summary"] if reads => stats::summary(view).await,
        ["metrics", "resource"] if reads => stats::resource_metrics(view).await,
        ["metrics"] if reads => metrics::own(view),
        ["metrics", "probes"] if reads => stats::exposition_response(view.metrics().encode_probes()),
        ["configz"] if reads => json(&configz::answer(view.config())),
        ["metrics", "cadvisor"] if reads => metrics::cadvisor(view).await,
        ["checkpoint" | "runningpods" | "logs", ..] | ["metrics", ..] => {
            let message = format!("{path} is not built");
            text(StatusCode::NOT_IMPLEMENTED, &message)
        }
        _ => nowhere(),
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
