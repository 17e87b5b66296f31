//! The bounds of one streaming connection.

use std::time::Duration;

/// Bounds and periods of one connection. [`Limits::default`] suits kubectl, API server, kubelet and runtime alike.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Streams that may be open at once over one SPDY connection; further ones are refused.
    pub streams_max: usize,
    /// Bytes received for one stream and not yet read by its owner; the connection stops reading beyond it.
    pub stream_buffer_bytes_max: usize,
    /// Compressed or expanded size of one SPDY header block.
    pub header_bytes_max: usize,
    /// Size of one WebSocket message.
    pub message_bytes_max: usize,
    /// Answers (pongs, resets) owed to a peer that does not read them, before the connection is given up.
    pub answers_owed_max: usize,
    /// Body bytes kept of a peer's refusal to upgrade.
    pub refusal_bytes_max: usize,
    /// How often a ping is sent, so that proxies between the ends do not take an idle connection for dead.
    pub ping_interval: Duration,
    /// A connection on which nothing at all arrives for this long (no pong either) is given up.
    ///
    /// Upstream's `streamingConnectionIdleTimeout`.
    pub idle_timeout: Duration,
    /// How long the other end has for opening the streams it announced, and for answering one opened here.
    pub stream_creation_timeout: Duration,
    /// How long the last bytes may take once a connection is being closed.
    pub close_timeout: Duration,
    /// Whether a SPDY client announces flow control (`SETTINGS_INITIAL_WINDOW_SIZE`).
    ///
    /// Off for peers of the Go family: they neither count windows nor open them again. A server answers in kind.
    pub flow_control: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            streams_max: 1_000,
            stream_buffer_bytes_max: 64 << 10,
            header_bytes_max: 64 << 10,
            message_bytes_max: 16 << 20,
            answers_owed_max: 1_024,
            refusal_bytes_max: 64 << 10,
            ping_interval: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(4 * 3600),
            stream_creation_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            flow_control: false,
        }
    }
}
