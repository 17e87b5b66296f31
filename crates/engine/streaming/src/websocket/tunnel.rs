//! A byte stream in the binary messages of a WebSocket, as the subprotocols `SPDY/3.1+…` carry it (KEP-4006).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::{Io, Limits};

/// Bytes of one message that this end writes.
const MESSAGE_BYTES_MAX: usize = 32 << 10;

/// The byte stream inside of a WebSocket connection. While it is read it also pings, so that proxies keep it.
pub struct Tunnel {
    socket: WebSocketStream<Io>,
    unread: Bytes,
    ping_interval: std::time::Duration,
    ping: Pin<Box<dyn Future<Output = ()> + Send>>,
    closed: bool,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel").field("unread_bytes", &self.unread.len()).field("closed", &self.closed).finish()
    }
}

impl Tunnel {
    /// The granting end's view of a connection that was upgraded to WebSocket.
    pub async fn server(io: Io, limits: &Limits) -> Tunnel {
        Tunnel::over(io, Role::Server, limits).await
    }

    /// The asking end's view.
    pub async fn client(io: Io, limits: &Limits) -> Tunnel {
        Tunnel::over(io, Role::Client, limits).await
    }

    async fn over(io: Io, role: Role, limits: &Limits) -> Tunnel {
        let socket = super::over(io, role, limits).await;
        let ping_interval = limits.ping_interval;
        Tunnel {
            socket,
            unread: Bytes::new(),
            ping_interval,
            ping: Box::pin(env::time::sleep(ping_interval)),
            closed: false,
        }
    }

    /// Pings when it is time; a socket too busy to take the ping needs none.
    fn poll_ping(&mut self, cx: &mut Context<'_>) -> Result<(), WsError> {
        while self.ping.as_mut().poll(cx).is_ready() {
            self.ping = Box::pin(env::time::sleep(self.ping_interval));
            let mut socket = Pin::new(&mut self.socket);
            if !self.closed && socket.as_mut().poll_ready(cx)?.is_ready() {
                socket.as_mut().start_send(Message::Ping(Bytes::new()))?;
                let _written_or_later = socket.poll_flush(cx)?;
            }
        }
        Ok(())
    }
}

fn failed(error: WsError) -> io::Error {
    match error {
        WsError::Io(error) => error,
        WsError::ConnectionClosed | WsError::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        error => io::Error::other(error),
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tunnel = self.get_mut();
        tunnel.poll_ping(cx).map_err(failed)?;
        while tunnel.unread.is_empty() {
            match ready!(Pin::new(&mut tunnel.socket).poll_next(cx)) {
                None | Some(Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
                Some(Ok(Message::Binary(bytes))) => tunnel.unread = bytes,
                Some(Ok(Message::Text(_))) => {
                    let error = io::Error::new(io::ErrorKind::InvalidData, "a text message inside of a tunnel");
                    return Poll::Ready(Err(error));
                }
                Some(Ok(Message::Close(_))) => return Poll::Ready(Ok(())),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            }
        }
        let taken = tunnel.unread.len().min(buf.remaining());
        buf.put_slice(&tunnel.unread[..taken]);
        tunnel.unread.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut socket = Pin::new(&mut self.get_mut().socket);
        ready!(socket.as_mut().poll_ready(cx)).map_err(failed)?;
        let taken = bytes.len().min(MESSAGE_BYTES_MAX);
        let message = Message::Binary(Bytes::copy_from_slice(&bytes[..taken]));
        socket.start_send(message).map_err(failed)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx).map_err(failed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tunnel = self.get_mut();
        tunnel.closed = true;
        match ready!(Pin::new(&mut tunnel.socket).poll_close(cx)) {
            Ok(()) | Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(failed(error))),
        }
    }
}
