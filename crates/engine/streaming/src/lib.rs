//! Everything that carries exec, attach, port-forward and upgraded proxying between kubectl, API server, kubelet and
//! container runtime. It knows protocols and no policy: who may do what, where a pod is and how a command is run are
//! the business of its users, who hand in requests, connections and dialers.
//!
//! | module | what it is |
//! |---|---|
//! | [`upgrade`] | the HTTP/1.1 upgrade and the choice of a subprotocol, at both ends |
//! | [`spdy`] | SPDY/3.1 framing and connections in both roles |
//! | [`websocket`] | WebSocket as many channels, or as a tunnel for a byte stream |
//! | [`remote`] | sessions of exec and attach: five streams and an outcome, over either transport |
//! | [`forward`] | port forwarding: pairs of streams, over either transport |
//! | [`passage`] | passing an upgraded connection on, unchanged or out of its tunnel |
//! | [`fuzz`] | an entry for each decoder |
//!
//! ```text
//!  kubectl ── ws v5 | spdy v4 ──► API server ── pass | bridge ──► kubelet ── pass | bridge ──► runtime (spdy v4)
//!             tunnel | spdy                      pass | tunnel_to_spdy       forward::serve ──► the pod's port
//! ```
//!
//! Invariants
//! - Every buffer, message, stream count and wait is bounded by [`Limits`]; a peer that does not read is waited for, and
//!   one that asks for answers without reading them is dropped.
//! - A reader sees all bytes that were written before an end. A lost connection reads as an error, never as an end; a
//!   reset stream reads as an end, because that is how the Go family ends streams.
//! - Dropping a session, or the last handle of a connection, ends it within [`Limits::close_timeout`].
//! - Upgrades are HTTP/1.1 only, as upstream's.
//!
//! Deliberately not here: `logs` (an ordinary response body), TLS, dialing, and rate limits.

mod error;
pub mod forward;
pub mod fuzz;
mod io;
mod lane;
mod limits;
#[cfg(test)]
mod loopback;
pub mod passage;
pub mod remote;
pub mod spdy;
pub mod upgrade;
pub mod websocket;

pub use error::Error;
pub use io::{Duplex, Io, Reader, Writer, pump, splice};
pub use lane::Lane;
pub use limits::Limits;

/// An error with everything that caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
