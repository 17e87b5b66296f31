//! Why a streaming connection or session failed.

use std::io;

use bytes::Bytes;
use http::StatusCode;

use crate::spdy::frame::Violation;

/// The failure of a connection, of one of its streams, or of getting one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection ended (or is ending) before what was asked for.
    #[error("the streaming connection ended")]
    Ended,
    /// The peer reset a stream instead of accepting it.
    #[error("the peer refused the stream")]
    Refused,
    /// Stream numbers are used up.
    #[error("the connection has no stream numbers left")]
    Exhausted,
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    Unanswered,
    /// Upstream's words for a client that announces streams and does not open them.
    #[error("timed out waiting for client to create streams")]
    StreamsMissing,
    /// Nothing arrived for longer than the idle timeout.
    #[error("nothing arrived within the idle timeout")]
    Idle,
    /// The peer broke the SPDY protocol.
    #[error("the peer broke the SPDY protocol")]
    Violation(#[from] Violation),
    /// The WebSocket connection failed.
    #[error("the WebSocket connection failed")]
    WebSocket(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// The HTTP exchange before the upgrade failed.
    #[error("the HTTP upgrade failed")]
    Http(#[from] hyper::Error),
    /// The peer answered the upgrade with something else.
    #[error("unable to upgrade connection: {status}: {}", String::from_utf8_lossy(body).trim())]
    Rejected {
        /// Its status code.
        status: StatusCode,
        /// The beginning of its body, usually a `Status`.
        body: Bytes,
    },
    /// The peer switched to a protocol that nobody asked for.
    #[error("the peer chose protocol {0:?}, which was not offered")]
    Protocol(String),
    /// The session ended without a word about the command.
    #[error("the session ended before the command's outcome was told")]
    NoOutcome,
    /// The outcome on the error channel cannot be read.
    #[error("the error channel carries no status")]
    Outcome(#[source] serde_json::Error),
    /// A message beyond what an outcome may take.
    #[error("the error channel carries more than {0} bytes")]
    OutcomeTooLong(u64),
}

impl From<tokio_tungstenite::tungstenite::Error> for Error {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Error {
        match error {
            tokio_tungstenite::tungstenite::Error::Io(error) => Error::Io(error),
            error => Error::WebSocket(Box::new(error)),
        }
    }
}
