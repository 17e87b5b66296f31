//! The end of a port forward that reaches the pod.

use std::collections::{BTreeMap, VecDeque};

use env::time::Instant;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Request, Response};
use tokio::io::AsyncWriteExt;

use super::{
    DATA, Dialer, ERROR, PORT, PROTOCOL, Pair, REQUEST_ID, STREAM_TYPE, TUNNEL_PROTOCOL, Target, forward, legacy,
};
use crate::spdy::{self, Incoming};
use crate::upgrade::{self, Granted, Refusal, Wanted};
use crate::websocket::tunnel::Tunnel;
use crate::{Error, Io, Lane, Limits};

/// Grants a port-forward request its upgrade: to SPDY, to SPDY inside of a WebSocket, or to the legacy channels.
///
/// The response has to be sent; [`Opening::run`] waits for that, so it runs beside the sending, not before.
pub fn serve<B>(request: &mut Request<B>, limits: &Limits) -> Result<(Response<()>, Opening), Refusal> {
    let (form, mut granted) = match upgrade::wanted(request.headers()) {
        Some(Wanted::WebSocket) => {
            let tunnelled = upgrade::websocket_protocols(request.headers()).contains(&TUNNEL_PROTOCOL);
            if tunnelled {
                (Form::Tunnel, upgrade::grant_websocket(request, &[TUNNEL_PROTOCOL])?)
            } else {
                let ports = legacy::ports(request)?;
                (Form::Legacy(ports), upgrade::grant_websocket(request, &legacy::PROTOCOLS)?)
            }
        }
        _ => (Form::Spdy, upgrade::grant_spdy(request, &[PROTOCOL])?),
    };
    let response = std::mem::take(&mut granted.response);
    Ok((response, Opening { form, granted, limits: limits.clone() }))
}

#[derive(Debug)]
enum Form {
    Spdy,
    Tunnel,
    Legacy(Vec<u16>),
}

/// A granted port forward.
#[derive(Debug)]
pub struct Opening {
    form: Form,
    granted: Granted,
    limits: Limits,
}

impl Opening {
    /// Serves forwarded connections until the client goes away. Dropping the future ends them all.
    pub async fn run(self, dialer: &dyn Dialer, target: &Target) -> Result<(), Error> {
        let protocol = self.granted.protocol;
        let io = self.granted.connection().await?;
        match self.form {
            Form::Spdy => over_spdy(io, dialer, target, &self.limits).await,
            Form::Tunnel => {
                let tunnel = Tunnel::server(io, &self.limits).await;
                over_spdy(Box::new(tunnel), dialer, target, &self.limits).await
            }
            Form::Legacy(ports) => legacy::run(io, protocol, &ports, (dialer, target), &self.limits).await,
        }
        Ok(())
    }
}

async fn over_spdy(io: Io, dialer: &dyn Dialer, target: &Target, limits: &Limits) {
    let (connection, mut accept) = spdy::Connection::start(io, spdy::Role::Server, limits);
    let mut pairs = Pairs::default();
    let mut forwards = FuturesUnordered::new();
    loop {
        let expiry = pairs.expiry();
        let expired = async {
            match expiry {
                Some(at) => env::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            incoming = accept.next() => {
                let Some(incoming) = incoming else { break };
                if let Some(pair) = pairs.add(incoming, limits).await {
                    forwards.push(forward(dialer, target, pair));
                }
            }
            Some(()) = forwards.next() => {}
            () = expired => pairs.expire(Instant::now()).await,
        }
    }
    connection.close().await;
}

/// Streams that wait for their other half.
#[derive(Default)]
struct Pairs {
    waiting: BTreeMap<String, Half>,
    /// In the order in which they were made, which is the order in which they expire.
    expiries: VecDeque<(Instant, String)>,
}

enum Half {
    Data(Lane),
    Error(Lane),
}

impl Pairs {
    fn expiry(&self) -> Option<Instant> {
        self.expiries.front().map(|(at, _)| *at)
    }

    /// Takes a new stream; returns the pair it completes. Streams that make no sense are refused.
    async fn add(&mut self, incoming: Incoming, limits: &Limits) -> Option<Pair> {
        let headers = incoming.headers();
        let port = match headers.get(PORT).map(super::parse_port) {
            Some(Ok(port)) => port,
            Some(Err(reason)) => {
                tracing::debug!(%reason, "a port-forward stream is refused");
                return None;
            }
            None => {
                tracing::debug!("a port-forward stream without a port is refused");
                return None;
            }
        };
        let is_data = match headers.get(STREAM_TYPE) {
            Some(DATA) => true,
            Some(ERROR) => false,
            other => {
                tracing::debug!(stream = other, "a port-forward stream of another type is refused");
                return None;
            }
        };
        let id = headers.get(REQUEST_ID).map_or_else(|| implied_id(incoming.id(), is_data), str::to_owned);
        let lane = incoming.accept();
        match (self.waiting.remove(&id), is_data) {
            (None, _) => {
                let half = if is_data { Half::Data(lane) } else { Half::Error(lane) };
                self.expiries.push_back((Instant::now() + limits.stream_creation_timeout, id.clone()));
                self.waiting.insert(id, half);
                None
            }
            (Some(Half::Data(data)), false) => Some(self.complete(&id, Pair { port, data, error: lane })),
            (Some(Half::Error(error)), true) => Some(self.complete(&id, Pair { port, data: lane, error })),
            (Some(Half::Data(_)), true) => {
                tracing::debug!(request = id, "data stream already assigned");
                None
            }
            (Some(Half::Error(error)), false) => {
                tell(error, &format!("error processing stream for request {id}: error stream already assigned")).await;
                None
            }
        }
    }

    fn complete(&mut self, id: &str, pair: Pair) -> Pair {
        self.expiries.retain(|(_, waiting)| waiting != id);
        pair
    }

    async fn expire(&mut self, now: Instant) {
        while self.expiries.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.expiries.pop_front() else { return };
            if let Some(Half::Error(error)) = self.waiting.remove(&id) {
                tell(error, &format!("(request={id}) timed out waiting for streams")).await;
            }
        }
    }
}

/// Clients of old send no request id: their error stream comes first and the data stream's number is two higher.
fn implied_id(stream: u32, is_data: bool) -> String {
    if is_data { stream.wrapping_sub(2) } else { stream }.to_string()
}

async fn tell(mut error: Lane, text: &str) {
    let told = async {
        error.write_all(text.as_bytes()).await?;
        error.shutdown().await
    };
    // The client may be gone, and then nobody is left to tell.
    drop(told.await);
}
