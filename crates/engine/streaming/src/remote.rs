//! Remote commands: the streams of exec and attach, whatever carries them.
//!
//! A command has up to five streams: stdin, stdout, stderr, the terminal's sizes, and an error stream with the
//! [`Outcome`]. SPDY carries each as a stream named by its `streamType` header, WebSocket as the channels 0 to 4.
//! [`server`] is the end that runs the command (or stands in for it), [`client`] the end that asked, and [`bridge`]
//! joins an arriving session to one further on, whatever each speaks.
//!
//! | version | since then |
//! |---|---|
//! | `channel.k8s.io`, `v2` | plain text on the error stream, on failure only |
//! | `v3` | terminal sizes |
//! | `v4` | a `Status` in JSON on the error stream, also on success |
//! | `v5` (WebSocket only) | the end of stdin |

pub mod client;
pub mod outcome;
pub mod server;
pub mod size;
#[cfg(test)]
mod tests;

use std::future::pending;

use http::Request;

pub use client::ClientSession;
pub use outcome::Outcome;
pub use server::{Opening, ServerSession, serve};
pub use size::{Resizer, Sizes, TerminalSize};

use crate::upgrade::Refusal;
use crate::{Error, pump};

const V1: &str = "channel.k8s.io";
const V2: &str = "v2.channel.k8s.io";
const V3: &str = "v3.channel.k8s.io";
const V4: &str = "v4.channel.k8s.io";
const V5: &str = "v5.channel.k8s.io";
const V1_BASE64: &str = "base64.channel.k8s.io";
const V4_BASE64: &str = "v4.base64.channel.k8s.io";

/// The subprotocols spoken over SPDY, best first.
pub const SPDY_PROTOCOLS: [&str; 4] = [V4, V3, V2, V1];
/// The subprotocols spoken over WebSocket, best first.
pub const WEBSOCKET_PROTOCOLS: [&str; 5] = [V5, V4, V4_BASE64, V1_BASE64, V1];

/// The header that names a SPDY stream's role.
const STREAM_TYPE: &str = "streamtype";
const STDIN: &str = "stdin";
const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";
const ERROR: &str = "error";
const RESIZE: &str = "resize";
/// The channels of WebSocket, by number.
const CHANNELS: [&str; 5] = [STDIN, STDOUT, STDERR, ERROR, RESIZE];

/// What a subprotocol's version brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    /// The error stream carries a `Status`.
    status: bool,
    /// There is a stream of terminal sizes (over SPDY; WebSocket always has the channel).
    sizes: bool,
    /// Messages are base64 text.
    base64: bool,
    /// The end of stdin can be said (over WebSocket; SPDY always can).
    close_signal: bool,
}

/// The version of a negotiated name; no name means the first version.
fn version(name: Option<&str>) -> Version {
    let name = name.unwrap_or(V1);
    Version {
        status: matches!(name, V4 | V5 | V4_BASE64),
        sizes: matches!(name, V3 | V4 | V5),
        base64: matches!(name, V1_BASE64 | V4_BASE64),
        close_signal: name == V5,
    }
}

/// Which streams a command is to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    /// The client sends input.
    pub stdin: bool,
    /// The client wants output.
    pub stdout: bool,
    /// The client wants error output; a terminal has none.
    pub stderr: bool,
    /// The command has a terminal, whose size the client tells.
    pub tty: bool,
}

impl Streams {
    /// Reads the query of the kubelet's `/exec` and `/attach` (`input`, `output`, `error`, `tty`).
    ///
    /// With a terminal, `error` is ignored. Asking for no stream at all is refused.
    pub fn from_kubelet_query<B>(request: &Request<B>) -> Result<Streams, Refusal> {
        let query = request.uri().query().unwrap_or_default();
        let set = |name: &str| {
            query.split('&').any(|pair| {
                pair.split_once('=').is_some_and(|(key, value)| key == name && matches!(value, "1" | "true"))
            })
        };
        let tty = set("tty");
        let streams = Streams { stdin: set("input"), stdout: set("output"), stderr: set("error") && !tty, tty };
        if streams.stdin || streams.stdout || streams.stderr {
            Ok(streams)
        } else {
            Err(Refusal::bad_request("you must specify at least 1 of stdin, stdout, stderr"))
        }
    }

    /// The query that [`Streams::from_kubelet_query`] reads.
    pub fn to_kubelet_query(self) -> String {
        let set = [("input", self.stdin), ("output", self.stdout), ("error", self.stderr), ("tty", self.tty)];
        let pairs = set.iter().filter(|(_, wanted)| *wanted).map(|(name, _)| format!("{name}=1"));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// Joins a session that arrived here to one further on until the command is over; returns how it ended.
///
/// `Err` when the arriving end went away first: then the onward session is dropped, which ends it.
pub async fn bridge(here: ServerSession, onward: ClientSession) -> Result<Outcome, Error> {
    let ServerSession { stdin, stdout, stderr, sizes, ending } = here;
    let ClientSession { stdin: onward_stdin, stdout: onward_stdout, stderr: onward_stderr, resizer, verdict } = onward;
    let input = async {
        // Whoever stops listening to input will say so by the outcome.
        if let (Some(from), Some(to)) = (stdin, onward_stdin) {
            drop(pump(from, to).await);
        }
        pending::<()>().await;
    };
    let terminal = async {
        if let (Some(mut sizes), Some(mut resizer)) = (sizes, resizer) {
            while let Some(size) = sizes.next().await {
                if resizer.resize(size).await.is_err() {
                    break;
                }
            }
        }
        pending::<()>().await;
    };
    let output = async {
        if let (Some(from), Some(to)) = (onward_stdout, stdout) {
            drop(pump(from, to).await);
        }
    };
    let errors = async {
        if let (Some(from), Some(to)) = (onward_stderr, stderr) {
            drop(pump(from, to).await);
        }
    };
    let command = async { tokio::join!(output, errors, verdict.wait()).2 };
    let outcome = tokio::select! {
        outcome = command => outcome.unwrap_or_else(|error| Outcome::of(&error)),
        () = ending.peer_gone() => return Err(Error::Ended),
        () = input => unreachable!("input pends once it has ended"),
        () = terminal => unreachable!("sizes pend once they have ended"),
    };
    ending.finish(&outcome).await?;
    Ok(outcome)
}
