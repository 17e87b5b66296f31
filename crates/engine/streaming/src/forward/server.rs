//! The end of a port forward that reaches the pod.

use std::collections::{BTreeMap, VecDeque};

use env::time::Instant;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use http::{Request, Response};
use tokio::io::AsyncWriteExt;

use super::{
    DATA, Dialer, ERROR, PORT, PROTOCOL, Pair, REQUEST_ID, STREAM_TYPE, TUNNEL_PROTOCOL, Target, forward, legacy,
};
use crate::spdy::{self, Headers, Incoming};
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
    // Everything that waits for the client goes here, so that this loop never does.
    let mut tasks: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
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
                match pairs.add(incoming, limits) {
                    Added::Nothing => {}
                    Added::Pair(pair) => tasks.push(Box::pin(forward(dialer, target, pair))),
                    Added::Complaint(complaint) => tasks.push(Box::pin(complaint.tell())),
                }
            }
            Some(()) = tasks.next() => {}
            () = expired => {
                for complaint in pairs.expire(Instant::now()) {
                    tasks.push(Box::pin(complaint.tell()));
                }
            }
        }
    }
    connection.close().await;
}

/// What a new stream leads to.
enum Added {
    Nothing,
    Pair(Pair),
    Complaint(Complaint),
}

/// Something to say on an error stream.
struct Complaint {
    error: Lane,
    text: String,
}

impl Complaint {
    async fn tell(mut self) {
        let told = async {
            self.error.write_all(self.text.as_bytes()).await?;
            self.error.shutdown().await
        };
        // The client may be gone, and then nobody is left to tell.
        drop(told.await);
    }
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

    /// Takes a new stream. Streams that make no sense are refused.
    fn add(&mut self, incoming: Incoming, limits: &Limits) -> Added {
        let (port, is_data) = match purpose(incoming.headers()) {
            Ok(purpose) => purpose,
            Err(reason) => {
                tracing::debug!(%reason, "a port-forward stream is refused");
                return Added::Nothing;
            }
        };
        let implied = || implied_id(incoming.id(), is_data);
        let id = incoming.headers().get(REQUEST_ID).map_or_else(implied, str::to_owned);
        let lane = incoming.accept();
        match (self.waiting.remove(&id), is_data) {
            (None, _) => {
                let half = if is_data { Half::Data(lane) } else { Half::Error(lane) };
                self.expiries.push_back((Instant::now() + limits.stream_creation_timeout, id.clone()));
                self.waiting.insert(id, half);
                Added::Nothing
            }
            (Some(Half::Data(data)), false) => self.complete(&id, Pair { port, data, error: lane }),
            (Some(Half::Error(error)), true) => self.complete(&id, Pair { port, data: lane, error }),
            (Some(Half::Data(_)), true) => {
                tracing::debug!(request = id, "data stream already assigned");
                Added::Nothing
            }
            (Some(Half::Error(error)), false) => {
                let text = format!("error processing stream for request {id}: error stream already assigned");
                Added::Complaint(Complaint { error, text })
            }
        }
    }

    fn complete(&mut self, id: &str, pair: Pair) -> Added {
        self.expiries.retain(|(_, waiting)| waiting != id);
        Added::Pair(pair)
    }

    /// The streams whose other half did not come in time. Lonely data streams are dropped, and thereby reset.
    fn expire(&mut self, now: Instant) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        while self.expiries.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, id)) = self.expiries.pop_front() else { break };
            if let Some(Half::Error(error)) = self.waiting.remove(&id) {
                let text = format!("(request={id}) timed out waiting for streams");
                complaints.push(Complaint { error, text });
            }
        }
        complaints
    }
}

/// The port a stream is for, and whether it is the one for data.
fn purpose(headers: &Headers) -> Result<(u16, bool), String> {
    let port = headers.get(PORT).ok_or_else(|| format!("{PORT:?} header is required"))?;
    let port = super::parse_port(port)?;
    match headers.get(STREAM_TYPE) {
        Some(DATA) => Ok((port, true)),
        Some(ERROR) => Ok((port, false)),
        Some(other) => Err(format!("invalid stream type {other:?}")),
        None => Err(format!("{STREAM_TYPE:?} header is required")),
    }
}

/// Clients of old send no request id: their error stream comes first and the data stream's number is two higher.
fn implied_id(stream: u32, is_data: bool) -> String {
    if is_data { stream.wrapping_sub(2) } else { stream }.to_string()
}
