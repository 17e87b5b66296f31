//! The end of a remote command that asked for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Request;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::protocol::Role as WsRole;

use super::{
    CHANNELS, ERROR, Outcome, RESIZE, Resizer, SPDY_PROTOCOLS, STDERR, STDIN, STDOUT, STREAM_TYPE, Streams, V5, version,
};
use crate::lane::{End, Lane, Link};
use crate::spdy::{self, Headers};
use crate::upgrade::{self, Wanted};
use crate::websocket::channels::{Channels, Dialect};
use crate::{Error, Io, Limits, Reader, Writer};

/// Bytes of an outcome on the error stream.
const OUTCOME_BYTES_MAX: u64 = 1 << 20;

/// A remote command as its client sees it. Streams that were not asked for are `None`.
pub struct ClientSession {
    /// The command's input, to be shut down at its end.
    pub stdin: Option<Writer>,
    /// The command's output.
    pub stdout: Option<Reader>,
    /// The command's error output.
    pub stderr: Option<Reader>,
    /// Tells the terminal's size; `None` without a terminal, or when the server is too old to listen.
    pub resizer: Option<Resizer>,
    /// How the command ends. While it lives, so does the connection.
    pub verdict: Verdict,
}

impl std::fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSession").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

/// Waits for the command's outcome.
#[derive(Debug)]
pub struct Verdict {
    error: Lane,
    status: bool,
    link: Arc<Link>,
    limits: Limits,
}

impl Verdict {
    /// The outcome, once the server tells it; then the connection is closed. Output must be read meanwhile.
    pub async fn wait(mut self) -> Result<Outcome, Error> {
        let mut told = Vec::new();
        (&mut self.error).take(OUTCOME_BYTES_MAX + 1).read_to_end(&mut told).await?;
        // The outcome follows all output, so what has arrived of that is complete, whether or not it was ended as well.
        self.link.table.each(|cell| cell.end(End::Fin));
        // Whether in time or not, the connection ends with its handles.
        drop(env::time::timeout(self.limits.close_timeout, self.link.close()).await);
        if told.len() as u64 > OUTCOME_BYTES_MAX {
            return Err(Error::OutcomeTooLong(OUTCOME_BYTES_MAX));
        }
        let text = String::from_utf8_lossy(&told);
        if self.status && text.is_empty() {
            return Err(Error::NoOutcome);
        }
        if self.status { Outcome::from_json(&text).map_err(Error::Outcome) } else { Ok(Outcome::from_plain(&text)) }
    }
}

/// Asks for a session over SPDY: `io` is a fresh connection to the server, `request` the upgrade request without its
/// upgrade headers (kubectl and kubelet use `POST`).
pub async fn connect_spdy(
    io: Io,
    mut request: Request<()>,
    streams: Streams,
    limits: &Limits,
) -> Result<ClientSession, Error> {
    upgrade::ask_spdy(&mut request, &SPDY_PROTOCOLS);
    let (protocol, io) = upgrade::dial_switch(io, request, Wanted::Spdy, limits).await?;
    if let Some(name) = &protocol
        && !SPDY_PROTOCOLS.contains(&name.as_str())
    {
        return Err(Error::Protocol(name.clone()));
    }
    let version = version(protocol.as_deref());
    let (connection, _nobody_else) = spdy::Connection::start(io, spdy::Role::Client, limits);
    let wanted = [
        (ERROR, true),
        (STDIN, streams.stdin),
        (STDOUT, streams.stdout),
        (STDERR, streams.stderr && !streams.tty),
        (RESIZE, streams.tty && version.sizes),
    ];
    let mut lanes = BTreeMap::new();
    for (name, _) in wanted.into_iter().filter(|(_, wanted)| *wanted) {
        lanes.insert(name, connection.open(Headers::new([(STREAM_TYPE, name)])).await?);
    }
    Ok(session(lanes, version.status, connection.into_link(), limits))
}

/// Asks for a session over WebSocket, `v5.channel.k8s.io`: `request` is the upgrade request (`GET`) without its upgrade
/// headers.
///
/// A server that cannot do that answers something else, which is [`Error::Rejected`]: then SPDY may be tried.
pub async fn connect_websocket(
    io: Io,
    mut request: Request<()>,
    streams: Streams,
    limits: &Limits,
) -> Result<ClientSession, Error> {
    upgrade::ask_websocket(&mut request, &[V5]);
    let (protocol, io) = upgrade::dial_switch(io, request, Wanted::WebSocket, limits).await?;
    if protocol.as_deref() != Some(V5) {
        return Err(Error::Protocol(protocol.unwrap_or_default()));
    }
    let dialect = Dialect { base64: false, close_signal: true };
    let count = u8::try_from(CHANNELS.len()).expect("there are five channels");
    let channels = Channels::start(io, WsRole::Client, dialect, count, limits).await;
    let mut lanes: BTreeMap<&str, Lane> = CHANNELS.into_iter().zip(channels.lanes).collect();
    for (name, wanted) in [
        (STDIN, streams.stdin),
        (STDOUT, streams.stdout),
        (STDERR, streams.stderr && !streams.tty),
        (RESIZE, streams.tty),
    ] {
        if !wanted && let Some(lane) = lanes.remove(name) {
            lane.discard();
        }
    }
    Ok(session(lanes, true, channels.link, limits))
}

fn session(mut lanes: BTreeMap<&str, Lane>, status: bool, link: Arc<Link>, limits: &Limits) -> ClientSession {
    let error = lanes.remove(ERROR).expect("the error stream is always opened");
    let mut reader = |name| lanes.remove(name).map(|lane| Box::new(lane) as Reader);
    let (stdout, stderr) = (reader(STDOUT), reader(STDERR));
    let mut writer = |name| lanes.remove(name).map(|lane| Box::new(lane) as Writer);
    let (stdin, resizer) = (writer(STDIN), writer(RESIZE).map(Resizer::new));
    ClientSession { stdin, stdout, stderr, resizer, verdict: Verdict { error, status, link, limits: limits.clone() } }
}
