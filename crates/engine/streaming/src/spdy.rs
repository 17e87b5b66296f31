//! SPDY/3.1 as kubectl, API server, kubelet and container runtimes speak it (`moby/spdystream`).
//!
//! [`frame`] turns bytes into frames and back, without I/O; [`headers`] is the compressed header block; and
//! [`connection`] drives a socket in either role. Rules: draft-mbelshe-httpbis-spdy-00 (SPDY/3) and the SPDY/3.1
//! addendum.
//!
//! Where the family of Go implementations differs from the drafts, the family wins: they never count windows, so
//! flow control begins only after a peer announced `SETTINGS_INITIAL_WINDOW_SIZE`, per stream; the session window of
//! SPDY/3.1 is not kept. They drop data on a stream that nobody has replied to, so an opener waits for the reply.
//!
//! Deliberately not here: server push, priorities, `CREDENTIAL`, and trailing `HEADERS` (read, and ignored).

pub mod connection;
pub mod frame;
pub mod headers;
#[cfg(test)]
mod tests;

pub use connection::{Accept, Connection, Incoming, Role};
pub use headers::Headers;

/// The token of the `Upgrade` header.
pub const UPGRADE: &str = "SPDY/3.1";
