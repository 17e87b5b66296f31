//! What a server holds at most.

use std::time::Duration;

/// Bounds of a [`crate::Server`]. The defaults are those of upstream's API server where it has any.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; more wait in the kernel's accept queue.
    pub connections_max: u32,
    /// The bytes of a request's head (upstream: Go's 1 MiB).
    pub header_bytes_max: u32,
    /// The time from the first byte of a request's head to its last (HTTP/1.1; upstream: 32 s).
    pub header_timeout: Duration,
    /// The time for the TLS handshake.
    pub handshake_timeout: Duration,
    /// A connection without a request for this long is closed (upstream: 90 s).
    pub idle_timeout: Duration,
    /// Concurrent requests on one HTTP/2 connection (upstream: `--http2-max-streams-per-connection`, 100).
    pub streams_per_connection_max: u32,
    /// What an HTTP/2 client may send ahead, per request (upstream: 256 KiB).
    pub stream_window_bytes: u32,
    /// What an HTTP/2 client may send ahead, over all requests of a connection.
    pub connection_window_bytes: u32,
    /// When the server ends, running requests get this long.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 20_000,
            header_bytes_max: 1 << 20,
            header_timeout: Duration::from_secs(32),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            streams_per_connection_max: 100,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 4 << 20,
            drain_timeout: Duration::from_secs(60),
        }
    }
}
