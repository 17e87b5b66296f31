//! Passing upgraded connections on, as an API server does between its client and a kubelet.
//!
//! [`pass`] hands the bytes through unchanged, whatever they are. [`tunnel_to_spdy`] takes the WebSocket off a tunnelled
//! SPDY connection for a server that only knows the bare one (upstream's StreamTunneling). What WebSocket channels need
//! for such a server (upstream's StreamTranslator) is [`crate::remote::serve`], [`crate::remote::client::connect_spdy`] and
//! [`crate::remote::bridge`].

use futures::future::BoxFuture;
use http::header::{CONNECTION, HeaderName, UPGRADE};
use http::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::forward::{PROTOCOL, TUNNEL_PROTOCOL};
use crate::upgrade::{self, Answer, Refusal, Wanted};
use crate::websocket::tunnel::Tunnel;
use crate::{Error, Io, Limits, splice};

/// Headers of one hop that a passed-on upgrade needs all the same are copied by [`pass`] itself.
const UPGRADE_HEADERS: [HeaderName; 7] = [
    CONNECTION,
    UPGRADE,
    upgrade::STREAM_PROTOCOL,
    HeaderName::from_static("sec-websocket-key"),
    HeaderName::from_static("sec-websocket-version"),
    HeaderName::from_static("sec-websocket-protocol"),
    HeaderName::from_static("sec-websocket-extensions"),
];

/// What became of a passed-on upgrade.
pub enum Passed {
    /// The server switched: the answer to send to the client, and the copying to run beside the sending. It resolves,
    /// once both directions have ended, to the bytes moved (to the server, to the client).
    Switched(Response<()>, BoxFuture<'static, Result<(u64, u64), Error>>),
    /// The server answered like any HTTP server; the client gets that answer.
    Plain(Response<hyper::body::Incoming>),
}

impl std::fmt::Debug for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Passed::Switched(response, _) => f.debug_tuple("Switched").field(response).finish_non_exhaustive(),
            Passed::Plain(response) => f.debug_tuple("Plain").field(response).finish(),
        }
    }
}

/// Passes the upgrade of `request` on over the fresh connection `server` and joins the two connections.
///
/// `onward` is what to ask the server: method, URI and headers as the caller wants them, to which the client's upgrade
/// headers are added. The server's answer reaches the client unchanged.
pub async fn pass<B>(request: &mut Request<B>, server: Io, mut onward: Request<()>) -> Result<Passed, Error> {
    for name in &UPGRADE_HEADERS {
        onward.headers_mut().remove(name);
        for value in request.headers().get_all(name) {
            onward.headers_mut().append(name, value.clone());
        }
    }
    match upgrade::dial(server, onward).await? {
        Answer::Plain(response) => Ok(Passed::Plain(response)),
        Answer::Switched(response, server) => {
            let client = hyper::upgrade::on(request);
            let copying = async move {
                let client = client.await?;
                Ok(splice(Box::new(TokioIo::new(client)), Box::new(TokioIo::new(server))).await?)
            };
            // Copied from client to server first.
            Ok(Passed::Switched(response, Box::pin(copying)))
        }
    }
}

/// Why a tunnel was not made.
#[derive(Debug, thiserror::Error)]
pub enum NoTunnel {
    /// The client's request does not make sense.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server cannot be reached or did not switch; [`Error::Rejected`] has its answer.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Whether `request` asks for a tunnelled port forward.
pub fn is_tunnel<B>(request: &Request<B>) -> bool {
    upgrade::wanted(request.headers()) == Some(Wanted::WebSocket)
        && upgrade::websocket_protocols(request.headers()).contains(&TUNNEL_PROTOCOL)
}

/// Joins a tunnelled port forward (`SPDY/3.1+portforward.k8s.io`) to a server that speaks bare SPDY.
///
/// `onward` is the request to the server (`POST`), without its upgrade headers.
pub async fn tunnel_to_spdy<B>(
    request: &mut Request<B>,
    server: Io,
    mut onward: Request<()>,
    limits: &Limits,
) -> Result<(Response<()>, BoxFuture<'static, Result<(u64, u64), Error>>), NoTunnel> {
    if !is_tunnel(request) {
        return Err(Refusal::bad_request("unable to upgrade: no tunneling spdy protocols provided").into());
    }
    let mut granted = upgrade::grant_websocket(request, &[TUNNEL_PROTOCOL])?;
    upgrade::ask_spdy(&mut onward, &[PROTOCOL]);
    let (_protocol, server) = upgrade::dial_switch(server, onward, Wanted::Spdy, limits).await?;
    let response = std::mem::take(&mut granted.response);
    let limits = limits.clone();
    let copying = async move {
        let tunnel = Tunnel::server(granted.connection().await?, &limits).await;
        Ok(splice(Box::new(tunnel), server).await?)
    };
    Ok((response, Box::pin(copying)))
}
