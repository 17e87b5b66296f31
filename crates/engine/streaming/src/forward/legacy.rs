//! Port forwarding over WebSocket channels: for each port of the query a data channel and an error channel, each
//! beginning with the port number in two little-endian bytes. One connection per port, and no half close.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::Request;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Dialer, Pair, Target, forward, parse_port};
use crate::lane::Outgoing;
use crate::upgrade::Refusal;
use crate::websocket::channels::{Channels, Dialect};
use crate::{Io, Limits};

const BINARY: &str = "v4.channel.k8s.io";
const BASE64: &str = "v4.base64.channel.k8s.io";
pub(super) const PROTOCOLS: [&str; 2] = [BINARY, BASE64];

/// Channel numbers are bytes, 255 is reserved, and each port takes two.
const PORTS_MAX: usize = 127;

/// The ports of the query: `port` as the kubelet takes them, `ports` as the API server does.
pub(super) fn ports<B>(request: &Request<B>) -> Result<Vec<u16>, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let values =
        query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| matches!(*key, "port" | "ports"));
    let mut ports = Vec::new();
    for (_, value) in values {
        if value.is_empty() {
            return Err(Refusal::bad_request("query parameter \"port\" cannot be empty"));
        }
        // A comma may have been escaped on the way.
        for text in value.replace("%2C", ",").replace("%2c", ",").split(',') {
            ports.push(parse_port(text).map_err(Refusal::bad_request)?);
        }
    }
    match ports.len() {
        0 => Err(Refusal::bad_request("query parameter \"port\" is required")),
        1..=PORTS_MAX => Ok(ports),
        count => Err(Refusal::bad_request(format!("{count} ports; at most {PORTS_MAX} can be forwarded"))),
    }
}

/// Serves all ports until their connections have ended or the client goes away.
pub(super) async fn run(
    io: Io,
    protocol: Option<&str>,
    ports: &[u16],
    (dialer, target): (&dyn Dialer, &Target),
    limits: &Limits,
) {
    let dialect = Dialect { base64: protocol == Some(BASE64), close_signal: false };
    let count = u8::try_from(2 * ports.len()).expect("ports were counted");
    let channels = Channels::start(io, Role::Server, dialect, count, limits).await;
    let mut lanes = channels.lanes.into_iter();
    let mut forwards = FuturesUnordered::new();
    for port in ports {
        let (Some(data), Some(error)) = (lanes.next(), lanes.next()) else { break };
        let mark = Bytes::copy_from_slice(&port.to_le_bytes());
        for lane in [data.id(), error.id()] {
            let mark = Outgoing::Data { lane, bytes: mark.clone() };
            if channels.link.outgoing.send(mark).await.is_err() {
                return;
            }
        }
        forwards.push(forward(dialer, target, Pair { port: *port, data, error }));
    }
    let all = async { while forwards.next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        () = channels.link.ended.cancelled() => {}
    }
    drop(env::time::timeout(limits.close_timeout, channels.link.close()).await);
}
