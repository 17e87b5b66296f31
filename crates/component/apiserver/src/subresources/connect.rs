//! Connections to kubelets, pods and services: logs, exec, attach, port-forward, proxies.
//!
//! The request is rewritten for its receiver and passed on; upgrades are passed through byte for byte, so that client
//! and kubelet negotiate with each other. Two things change on the way: links of proxied pages lead through the proxy
//! (`page`), and a log goes out in the messages of a WebSocket to who asks for them.

mod links;
mod page;
mod place;
mod refused;

use std::sync::Arc;
use std::time::Duration;

use env::task::Fate;
use http::header::{HOST, HeaderName};
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use kind::Refusal;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serving::Body;
use streaming::Io;
use streaming::passage::{self, Passed};
use streaming::websocket::outflow;

use super::Asked;
use crate::routes::Routes;
use place::{Link, Place};

/// How long a connection may take to come about.
const DIAL_MAX: Duration = Duration::from_secs(10);

/// Headers that concern one hop, or that the receiver must not see.
const NOT_PASSED_ON: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "impersonate-user",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How others are reached: kubelets with the API server's own client certificate, pods and what is behind services without
/// asking who they are, since their certificates are their users' business.
#[derive(Clone)]
pub(crate) struct Kubelets {
    tls: Arc<ClientConfig>,
    anybody: Arc<ClientConfig>,
}

impl std::fmt::Debug for Kubelets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubelets").finish_non_exhaustive()
    }
}

impl Kubelets {
    /// Kubelets that are called with `tls`, and others that are called with `anybody`.
    pub(crate) fn new(tls: Arc<ClientConfig>, anybody: Arc<ClientConfig>) -> Kubelets {
        Kubelets { tls, anybody }
    }

    /// Answers by asking whoever can.
    pub(super) async fn connect(
        &self,
        asked: &Asked<'_>,
        routes: &Routes,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let place = place::find(asked, routes).await?;
        let links = (asked.target.subresource == "proxy").then(|| page::links_of(asked, &place));
        let is_upgrade = streaming::upgrade::is_upgrade(&asked.by.parts().headers);
        if links.is_some()
            && !is_upgrade
            && let Some(root) = page::root(asked)
        {
            return Ok(root);
        }
        let io = env::time::timeout(DIAL_MAX, self.dial(&place)).await;
        let io = match io {
            Ok(Ok(io)) => io,
            Ok(Err(error)) => return Err(unreachable(&place, &error)),
            Err(_elapsed) => return Err(unreachable(&place, &std::io::ErrorKind::TimedOut.into())),
        };
        let mut request = onward(asked, &place)?;
        // A log flows one way: kubelets know it as a plain answer, and clients may want it in messages.
        if asked.target.subresource == "log" {
            if is_upgrade {
                return in_messages(asked, io, request).await;
            }
            return refused::unless_log(send(io, request, body).await?).await;
        }
        if is_upgrade {
            return pass(asked, io, request).await;
        }
        let Some(links) = links else { return send(io, request, body).await };
        let is_head = request.method() == Method::HEAD;
        page::announce(&mut request, &links);
        let mut response = send(io, request, body).await?;
        page::redirect(response.headers_mut(), &links);
        if is_head || !page::is_page(response.headers()) { Ok(response) } else { page::rewrite(response, &links).await }
    }

    async fn dial(&self, place: &Place) -> std::io::Result<Io> {
        let stream = env::net::connect_tcp((place.host.as_str(), place.port)).await?;
        let tls = match place.link {
            Link::Plain => return Ok(Box::new(stream)),
            Link::Kubelet => &self.tls,
            Link::Anybody => &self.anybody,
        };
        let name = ServerName::try_from(place.server_name.clone()).map_err(std::io::Error::other)?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

/// The request as its receiver wants it.
fn onward(asked: &Asked<'_>, place: &Place) -> Result<Request<()>, Refusal> {
    let parts = asked.by.parts();
    let path = PathAndQuery::try_from(place.path_and_query.as_str())
        .map_err(|error| Refusal::BadRequest(format!("the path cannot be passed on: {error}")))?;
    let method = if place.as_get { Method::GET } else { parts.method.clone() };
    let mut request = Request::builder().method(method).uri(http::Uri::from(path)).body(()).map_err(internal)?;
    for (name, value) in &parts.headers {
        if !NOT_PASSED_ON.contains(&name.as_str()) && !name.as_str().starts_with("impersonate-") {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    let host = format!("{}:{}", place.server_name, place.port);
    request.headers_mut().insert(HOST, host.parse().map_err(internal)?);
    if let Some(peer) = parts.extensions.get::<serving::Peer>().and_then(serving::Peer::address) {
        let forwarded = HeaderName::from_static("x-forwarded-for");
        request.headers_mut().insert(forwarded, peer.ip().to_string().parse().map_err(internal)?);
    }
    Ok(request)
}

async fn pass(asked: &Asked<'_>, io: Io, mut onward: Request<()>) -> Result<Response<Body>, Refusal> {
    let mut client = Request::from_parts(asked.by.parts().clone(), ());
    *onward.method_mut() = client.method().clone();
    match passage::pass(&mut client, io, onward).await {
        Ok(Passed::Switched(response, copying)) => {
            env::task::spawn(Fate::Local, "passed upgrade", async move {
                if let Err(error) = copying.await {
                    tracing::debug!(%error, "a passed connection broke");
                }
            });
            Ok(response.map(|()| Body::empty()))
        }
        Ok(Passed::Plain(response)) => Ok(response.map(Body::passed_on)),
        Err(error) => Err(Refusal::Unavailable(format!("error trying to reach service: {error}"))),
    }
}

/// Sends the request plainly and its answer in the messages of a WebSocket.
async fn in_messages(asked: &Asked<'_>, io: Io, request: Request<()>) -> Result<Response<Body>, Refusal> {
    let mut client = Request::from_parts(asked.by.parts().clone(), ());
    let granted = match streaming::upgrade::grant_websocket(&mut client, &outflow::PROTOCOLS) {
        Ok(granted) => granted,
        Err(refusal) => return Ok(refusal.into_response().map(Body::from)),
    };
    let answer = refused::unless_log(send(io, request, Body::empty()).await?).await?;
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let head = granted.response.headers().clone();
    let mut switched = Response::new(Body::empty());
    *switched.status_mut() = granted.response.status();
    *switched.headers_mut() = head;
    env::task::spawn(Fate::Local, "log in messages", async move {
        let chunks = futures::stream::unfold(answer.into_body(), |mut body| async {
            let chunk = body.next().await?;
            Some((chunk, body))
        });
        if let Err(error) = outflow::pour(granted, chunks, &streaming::Limits::default()).await {
            tracing::debug!(%error, "a log's connection broke");
        }
    });
    Ok(switched)
}

async fn send(io: Io, request: Request<()>, body: Body) -> Result<Response<Body>, Refusal> {
    let broken = |error: hyper::Error| Refusal::Unavailable(format!("error trying to reach service: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(broken)?;
    env::task::spawn(Fate::Local, "passed request", async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a passed request's connection broke");
        }
    });
    let response = sender.send_request(request.map(|()| body)).await.map_err(broken)?;
    let mut response = response.map(Body::passed_on);
    for name in ["connection", "keep-alive", "transfer-encoding"] {
        response.headers_mut().remove(name);
    }
    Ok(response)
}

fn unreachable(place: &Place, error: &std::io::Error) -> Refusal {
    let words = env::net::dial_words(format_args!("{}:{}", place.host, place.port), error);
    Refusal::Unavailable(format!("error trying to reach service: {words}"))
}

fn internal(error: impl std::fmt::Display) -> Refusal {
    Refusal::Internal(error.to_string())
}
