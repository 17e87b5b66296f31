//! WebSocket connections: many channels in one (`channels`), a bare byte stream ([`tunnel`]), or bytes to the client alone
//! ([`outflow`]).
//!
//! The framing is tungstenite's; this module keeps its buffers small and its messages bounded, and pings while idle.

pub(crate) mod channels;
pub mod outflow;
#[cfg(test)]
mod tests;
pub mod tunnel;

use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::{Io, Limits};

/// Initial size of the buffer that frames are read into.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Bytes collected before they are written without being asked to.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// Speaks WebSocket over a connection whose HTTP part is over.
pub(crate) async fn over(io: Io, role: Role, limits: &Limits) -> WebSocketStream<Io> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(limits.message_bytes_max))
        .max_frame_size(Some(limits.message_bytes_max));
    WebSocketStream::from_raw_socket(io, role, Some(config)).await
}
