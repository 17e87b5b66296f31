//! Bytes that go to the client alone, in the messages of a WebSocket: `binary.k8s.io` as they are, `base64.binary.k8s.io` as
//! text. What the client sends is read and means nothing, except that it goes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{SinkExt, Stream, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::upgrade::Granted;
use crate::{Error, Io, Limits};

const BASE64: &str = "base64.binary.k8s.io";

/// The subprotocols; a client that names none gets binary messages.
pub const PROTOCOLS: [&str; 2] = ["binary.k8s.io", BASE64];

/// Sends `chunks` over a granted connection, until they end or the client goes.
///
/// # Errors
/// The connection does not come about or breaks.
pub async fn pour<E>(
    granted: Granted,
    chunks: impl Stream<Item = Result<Bytes, E>>,
    limits: &Limits,
) -> Result<(), Error> {
    let base64 = granted.protocol == Some(BASE64);
    pour_over(granted.connection().await?, base64, chunks, limits).await
}

/// The same over a connection whose HTTP part is over.
pub(super) async fn pour_over<E>(
    io: Io,
    base64: bool,
    chunks: impl Stream<Item = Result<Bytes, E>>,
    limits: &Limits,
) -> Result<(), Error> {
    let socket = super::over(io, Role::Server, limits).await;
    let (mut sink, mut received) = socket.split();
    let mut chunks = std::pin::pin!(chunks);
    loop {
        tokio::select! {
            message = received.next() => match message {
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_ignored)) => {}
                Some(Err(error)) => return Err(error.into()),
            },
            chunk = chunks.next() => match chunk {
                Some(Ok(bytes)) if base64 => sink.send(Message::text(STANDARD.encode(bytes))).await?,
                Some(Ok(bytes)) => sink.send(Message::Binary(bytes)).await?,
                // Where the bytes break off there is nobody to tell but by the end.
                Some(Err(_)) | None => return Ok(sink.close().await?),
            },
        }
    }
}
