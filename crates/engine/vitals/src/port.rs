//! A component's vitals over HTTP.

use std::sync::Arc;

use futures::future::BoxFuture;
use gate::Known;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use kind::Refusal;
use object::Value;
use observe::health::{Answer, Checks};
use pki::files::Pair;
use pki::layout::{AUTHORITY_VALIDITY, LEAF_VALIDITY};
use pki::tls::{ServingCertificates, server_config};
use pki::{Algorithm, AlternativeNames, Authority, Leaf, PrivateKey, Subject, Usage};
use serving::{Body, Server, Service};

use crate::{Delegated, Vitals};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Shows a component's vitals to those who may see them.
#[derive(Debug)]
pub struct Port {
    vitals: Arc<Vitals>,
    judge: Delegated,
}

impl Port {
    /// Shows `vitals` to those whom `judge` lets in.
    pub fn new(vitals: Arc<Vitals>, judge: Delegated) -> Port {
        Port { vitals, judge }
    }

    /// A server of this port over TLS. Its certificate is made for this run and vouched for by nobody else, as upstream's
    /// is: whoever asks on the same machine does not ask who answers.
    ///
    /// # Errors
    /// When keys or certificates cannot be made.
    pub fn server(self: Arc<Self>) -> Result<Server, pki::Error> {
        let now = env::time::now();
        let authority_key = PrivateKey::generate(Algorithm::default())?;
        let authority = Authority::create("localhost-ca", authority_key, now, AUTHORITY_VALIDITY)?;
        let key = PrivateKey::generate(Algorithm::default())?;
        let names = AlternativeNames::from_hosts(["localhost", "127.0.0.1"]);
        let leaf = Leaf::new(Subject::new("localhost", &[]), &[Usage::Server], now, LEAF_VALIDITY).with_names(names);
        let certificate = authority.issue(&leaf, &key.public())?;
        let pair = Pair::new(vec![certificate, authority.certificate().clone()], key)?;
        Ok(Server::new(self).with_tls(server_config(ServingCertificates::new(&[pair])?)?))
    }

    async fn walk(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let (parts, _body) = request.into_parts();
        let known = Known::read(parts);
        let authenticated = known.authenticate(&self.judge).await.map_err(|(_, refusal)| refusal)?;
        let authorized = authenticated.authorize(&self.judge).await.map_err(|(_, refusal)| refusal)?;
        let (method, query) = (&authorized.parts().method, authorized.parts().uri.query().unwrap_or_default());
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Ok(answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed\n"));
        }
        Ok(self.show(&authorized.info().path, query))
    }

    fn show(&self, path: &str, query: &str) -> Response<Body> {
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match segments.as_slice() {
            ["healthz", rest @ ..] => health(&self.vitals.healthz, rest, query),
            ["livez", rest @ ..] => health(&self.vitals.livez, rest, query),
            ["readyz", rest @ ..] => health(&self.vitals.readyz, rest, query),
            ["metrics"] => answer(StatusCode::OK, observe::metrics::CONTENT_TYPE, self.vitals.metrics().encode()),
            ["configz"] => answer(StatusCode::OK, JSON, written(&self.vitals.configz())),
            ["metrics" | "debug", ..] => answer(StatusCode::NOT_IMPLEMENTED, TEXT, format!("{path} is not built\n")),
            _ => answer(StatusCode::NOT_FOUND, TEXT, "404 page not found\n"),
        }
    }
}

impl Service for Port {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            match self.walk(request).await {
                Ok(response) => response,
                Err(refusal) => {
                    let code = StatusCode::from_u16(refusal.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                    answer(code, JSON, status_text(&refusal))
                }
            }
        })
    }
}

fn health(checks: &Checks, rest: &[&str], query: &str) -> Response<Body> {
    let Answer { status, text } = match rest {
        [] => checks.answer(query),
        names => checks.answer_one(&names.join("/")),
    };
    answer(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), TEXT, text)
}

/// A `Status` with its fields in the order of their type.
fn status_text(refusal: &Refusal) -> Vec<u8> {
    let tree = refusal.status();
    let mut text = match codec::Root::builtin("v1", "Status") {
        Some(root) => codec::json::encode(&tree, root),
        None => written(&tree),
    };
    text.push(b'\n');
    text
}

fn written(tree: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    codec::json::write(tree, &mut text);
    text
}

fn answer(code: StatusCode, content_type: &'static str, body: impl Into<Vec<u8>>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
