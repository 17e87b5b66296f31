//! Paths that are no resources: health, metrics, version, discovery, keys.

use std::sync::Arc;

use gate::Authorized;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, Response, StatusCode};
use kind::Refusal;
use observe::health::{Answer, Checks};
use pki::serviceaccount::Verifier;
use registry::negotiate;
use serving::Body;

use crate::answer;
use crate::discovery;
use crate::openapi::Published;
use crate::routes::Routes;

/// What these paths show.
#[derive(Debug)]
pub(crate) struct Documents {
    pub(crate) healthz: Checks,
    pub(crate) livez: Checks,
    pub(crate) readyz: Checks,
    pub(crate) metrics: Arc<observe::metrics::Registry>,
    pub(crate) openapi: Published,
    pub(crate) tokens: Arc<Verifier>,
    /// Where clients outside find the keys.
    pub(crate) keys_uri: String,
}

/// The paths that `/` lists.
const PATHS: &[&str] = &[
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
];

impl Documents {
    pub(crate) async fn answer(&self, by: &Authorized, routes: &Routes) -> Result<Response<Body>, Refusal> {
        let info = by.info();
        if !matches!(by.parts().method, Method::GET | Method::HEAD) {
            return Err(Refusal::MethodNotAllowed(
                "the server does not allow this method on the requested resource".to_owned(),
            ));
        }
        let raw_query = by.parts().uri.query().unwrap_or_default();
        let segments: Vec<&str> = info.path.split('/').filter(|part| !part.is_empty()).collect();
        match segments.as_slice() {
            [] => Ok(answer::json(paths(routes))),
            ["healthz", rest @ ..] => Ok(health(&self.healthz, rest, raw_query)),
            ["livez", rest @ ..] => Ok(health(&self.livez, rest, raw_query)),
            ["readyz", rest @ ..] => Ok(health(&self.readyz, rest, raw_query)),
            ["metrics"] => Ok(self.metrics()),
            ["version"] => Ok(answer::json(observe::version().to_json())),
            ["api", ..] | ["apis", ..] => discover(by, routes, &segments),
            ["openapi", rest @ ..] => self.openapi.answer(by, routes, rest),
            ["openid", "v1", "jwks"] => self.keys(),
            [".well-known", "openid-configuration"] => self.issuer(),
            _ => Err(Refusal::NoSuchPath),
        }
    }

    fn metrics(&self) -> Response<Body> {
        answer::pieces_with(StatusCode::OK, observe::metrics::CONTENT_TYPE, vec![self.metrics.encode().into()])
    }

    fn keys(&self) -> Result<Response<Body>, Refusal> {
        let text = self.tokens.jwks().to_json().map_err(|error| Refusal::Internal(error.to_string()))?;
        Ok(answer::pieces_with(StatusCode::OK, "application/jwk-set+json", vec![text.into()]))
    }

    fn issuer(&self) -> Result<Response<Body>, Refusal> {
        let document = self.tokens.discovery(&self.keys_uri);
        let text = document.to_json().map_err(|error| Refusal::Internal(error.to_string()))?;
        Ok(answer::json(text))
    }
}

fn health(checks: &Checks, rest: &[&str], query: &str) -> Response<Body> {
    let Answer { status, text, .. } = match rest {
        [] => checks.answer(query),
        [name] => checks.answer_one(name),
        many => checks.answer_one(&many.join("/")),
    };
    answer::text(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &text)
}

fn paths(routes: &Routes) -> Vec<u8> {
    let mut all: Vec<String> = PATHS.iter().map(|path| (*path).to_owned()).collect();
    for row in &routes.snapshot().rows {
        if !row.resource.group.is_empty() {
            all.push(format!("/apis/{}", row.resource.group));
            all.push(format!("/apis/{}", row.resource.api_version()));
        }
    }
    all.sort();
    all.dedup();
    let tree = object::Value::from_pairs([("paths", all)]);
    let mut text = Vec::new();
    codec::json::write(&tree, &mut text);
    codec::json::pretty(&text)
}

/// Discovery, in the form that the client accepts; unchanged documents are not sent again.
fn discover(by: &Authorized, routes: &Routes, segments: &[&str]) -> Result<Response<Body>, Refusal> {
    let headers = &by.parts().headers;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let table = routes.snapshot();
    if negotiate::wants_aggregated_discovery(accept) && segments.len() == 1 {
        let text = bytes::Bytes::from(discovery::aggregated(&table, segments[0] == "api"));
        let etag = format!("\"{}\"", registry::digest(&text));
        let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(&etag);
        let mut response = if known { Response::new(Body::empty()) } else { answer::json(text) };
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let label = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(label));
        response.headers_mut().insert(http::header::VARY, HeaderValue::from_static("Accept"));
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            response.headers_mut().insert(ETAG, etag);
        }
        return Ok(response);
    }
    let wanted = answer::wanted_for_refusals(headers);
    let (tree, kind) = discovery::classic(&table, segments, by).ok_or(Refusal::NoSuchPath)?;
    answer::builtin(&tree, ("v1", kind), StatusCode::OK, wanted)
}
