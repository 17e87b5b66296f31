//! The end of a remote command that runs it, or stands in for the one that does.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::protocol::Role as WsRole;

use super::{
    CHANNELS, ERROR, Outcome, RESIZE, SPDY_PROTOCOLS, STDERR, STDIN, STDOUT, STREAM_TYPE, Sizes, Streams, Version,
    WEBSOCKET_PROTOCOLS, version,
};
use crate::lane::{Lane, Link, Outgoing};
use crate::upgrade::{self, Granted, Refusal, Wanted};
use crate::websocket::channels::{Channels, Dialect};
use crate::{Error, Io, Limits, Reader, Writer, spdy};

/// Grants an exec or attach request its upgrade, to SPDY or to WebSocket.
///
/// The response has to be sent; [`Opening::session`] waits for that, so it runs beside the sending, not before.
pub fn serve<B>(
    request: &mut Request<B>,
    streams: Streams,
    limits: &Limits,
) -> Result<(Response<()>, Opening), Refusal> {
    let (wanted, mut granted) = match upgrade::wanted(request.headers()) {
        Some(Wanted::WebSocket) => (Wanted::WebSocket, upgrade::grant_websocket(request, &WEBSOCKET_PROTOCOLS)?),
        _ => (Wanted::Spdy, upgrade::grant_spdy(request, &SPDY_PROTOCOLS)?),
    };
    let response = std::mem::take(&mut granted.response);
    Ok((response, Opening { wanted, granted, streams, limits: limits.clone() }))
}

/// A session on its way: the upgrade is granted, the streams are not there yet.
#[derive(Debug)]
pub struct Opening {
    wanted: Wanted,
    granted: Granted,
    streams: Streams,
    limits: Limits,
}

impl Opening {
    /// Waits for the upgraded connection and, over SPDY, for the client to open the streams it announced.
    pub async fn session(self) -> Result<ServerSession, Error> {
        let protocol = self.granted.protocol;
        let io = self.granted.connection().await?;
        match self.wanted {
            Wanted::Spdy => over_spdy(io, protocol, self.streams, &self.limits).await,
            Wanted::WebSocket => over_websocket(io, protocol, self.streams, &self.limits).await,
        }
    }
}

/// A remote command as its server sees it. Streams the client did not ask for are `None`.
pub struct ServerSession {
    /// The command's input; it ends when the client says so.
    pub stdin: Option<Reader>,
    /// The command's output, to be shut down at its end.
    pub stdout: Option<Writer>,
    /// The command's error output, to be shut down at its end.
    pub stderr: Option<Writer>,
    /// The terminal's sizes as they change.
    pub sizes: Option<Sizes>,
    /// The session's end. While it lives, so does the connection.
    pub ending: Ending,
}

impl std::fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerSession").field("ending", &self.ending).finish_non_exhaustive()
    }
}

/// Tells the client how the command ended.
#[derive(Debug)]
pub struct Ending {
    error: Lane,
    version: Version,
    link: Arc<Link>,
}

impl Ending {
    /// Writes the outcome after all output that was written before, and closes the connection in good order.
    ///
    /// This takes as long as the client takes to read; the idle timeout ends a connection that is dead.
    pub async fn finish(mut self, outcome: &Outcome) -> Result<(), Error> {
        self.tell(outcome).await?;
        self.link.close().await;
        Ok(())
    }

    async fn tell(&mut self, outcome: &Outcome) -> Result<(), Error> {
        let json = outcome.to_json();
        let text = if self.version.status { json.as_str() } else { outcome.to_plain() };
        self.error.write_all(text.as_bytes()).await?;
        self.error.shutdown().await?;
        Ok(())
    }

    /// Waits until the client (or the connection to it) has gone away.
    pub async fn peer_gone(&self) {
        self.link.ended.cancelled().await;
    }
}

async fn over_spdy(io: Io, protocol: Option<&str>, streams: Streams, limits: &Limits) -> Result<ServerSession, Error> {
    let version = version(protocol);
    let (connection, mut accept) = spdy::Connection::start(io, spdy::Role::Server, limits);
    let expected = [
        (ERROR, true),
        (STDIN, streams.stdin),
        (STDOUT, streams.stdout),
        (STDERR, streams.stderr),
        (RESIZE, streams.tty && version.sizes),
    ];
    let expected: Vec<&str> = expected.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| *name).collect();
    let mut lanes: BTreeMap<&str, Lane> = BTreeMap::new();
    let collect = async {
        while lanes.len() < expected.len() {
            let incoming = accept.next().await.ok_or(Error::Ended)?;
            let name = incoming.headers().get(STREAM_TYPE).unwrap_or_default();
            match expected.iter().find(|known| **known == name) {
                Some(name) if !lanes.contains_key(name) => drop(lanes.insert(name, incoming.accept())),
                // Dropped, and thereby refused.
                _ => tracing::debug!(stream = name, "a client opens an unexpected stream"),
            }
        }
        Ok::<(), Error>(())
    };
    env::time::timeout(limits.stream_creation_timeout, collect).await.map_err(|_elapsed| Error::StreamsMissing)??;
    let error = lanes.remove(ERROR).expect("the error stream is always expected");
    let ending = Ending { error, version, link: connection.into_link() };
    Ok(session(lanes, ending))
}

async fn over_websocket(
    io: Io,
    protocol: Option<&str>,
    streams: Streams,
    limits: &Limits,
) -> Result<ServerSession, Error> {
    let version = version(protocol);
    let dialect = Dialect { base64: version.base64, close_signal: version.close_signal };
    let count = u8::try_from(CHANNELS.len()).expect("there are five channels");
    let channels = Channels::start(io, WsRole::Server, dialect, count, limits).await;
    let mut lanes: BTreeMap<&str, Lane> = CHANNELS.into_iter().zip(channels.lanes).collect();
    for (name, wanted) in [(STDIN, streams.stdin), (STDOUT, streams.stdout), (STDERR, streams.stderr)] {
        if !wanted {
            lanes.remove(name);
        }
    }
    let error = lanes.remove(ERROR).expect("the error channel is always there");
    // An empty message tells the client that the session stands; upstream sends it on the first writable channel.
    let hello = lanes.get(STDOUT).or_else(|| lanes.get(STDERR)).map_or_else(|| error.id(), Lane::id);
    let hello = Outgoing::Data { lane: hello, bytes: Bytes::new() };
    if channels.link.outgoing.send(hello).await.is_err() {
        return Err(Error::Ended);
    }
    Ok(session(lanes, Ending { error, version, link: channels.link }))
}

fn session(mut lanes: BTreeMap<&str, Lane>, ending: Ending) -> ServerSession {
    let mut writer = |name| lanes.remove(name).map(|lane| Box::new(lane) as Writer);
    let (stdout, stderr) = (writer(STDOUT), writer(STDERR));
    let mut reader = |name| lanes.remove(name).map(|lane| Box::new(lane) as Reader);
    ServerSession { stdin: reader(STDIN), stdout, stderr, sizes: reader(RESIZE).map(Sizes::new), ending }
}
