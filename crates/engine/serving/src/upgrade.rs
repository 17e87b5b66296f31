//! Taking a connection over after `101 Switching Protocols`, on a socket and within the process alike.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use env::net::Stream;
use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Mutex;

use crate::Body;

/// What a caller within the process has in flight per direction.
const MEMORY_PIPE_BYTES_MAX: usize = 64 << 10;

/// A connection that no longer speaks HTTP.
#[derive(Debug)]
pub struct Upgraded(Origin);

#[derive(Debug)]
enum Origin {
    Socket(TokioIo<hyper::upgrade::Upgraded>),
    Memory(Stream),
}

/// One end of an in-process connection, waiting to be taken.
#[derive(Debug, Clone)]
struct End(Arc<Mutex<Option<Stream>>>);

/// Takes over the connection of `request`. Call before answering 101; await the result after.
///
/// # Errors
/// When the client did not ask for it, or went away.
pub fn on_upgrade(request: &mut Request<Body>) -> impl Future<Output = io::Result<Upgraded>> + Send + use<> {
    let memory = request.extensions_mut().remove::<End>();
    let socket = request.extensions_mut().remove::<OnUpgrade>();
    async move {
        if let Some(end) = memory {
            return take(&end).await;
        }
        let Some(socket) = socket else { return Err(io::Error::from(io::ErrorKind::Unsupported)) };
        let upgraded = socket.await.map_err(io::Error::other)?;
        Ok(Upgraded(Origin::Socket(TokioIo::new(upgraded))))
    }
}

/// The caller's end of an upgraded in-process connection; `None` when there is none.
pub async fn take_upgraded(response: &mut Response<Body>) -> Option<Upgraded> {
    let end = response.extensions_mut().remove::<End>()?;
    take(&end).await.ok()
}

/// Gives a request its end of a pipe; the other end goes into the response with [`attach`].
pub(crate) fn prepare(request: &mut Request<Body>) -> impl FnOnce(&mut Response<Body>) + use<> {
    let (near, far) = env::net::pipe(MEMORY_PIPE_BYTES_MAX);
    request.extensions_mut().insert(End(Arc::new(Mutex::new(Some(far)))));
    move |response| {
        response.extensions_mut().insert(End(Arc::new(Mutex::new(Some(near)))));
    }
}

async fn take(end: &End) -> io::Result<Upgraded> {
    let stream = end.0.lock().await.take();
    stream.map(|stream| Upgraded(Origin::Memory(stream))).ok_or_else(|| io::ErrorKind::NotConnected.into())
}

impl AsyncRead for Upgraded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Origin::Socket(stream) => Pin::new(stream).poll_read(cx, buf),
            Origin::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Origin::Socket(stream) => Pin::new(stream).poll_write(cx, bytes),
            Origin::Memory(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Origin::Socket(stream) => Pin::new(stream).poll_flush(cx),
            Origin::Memory(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Origin::Socket(stream) => Pin::new(stream).poll_shutdown(cx),
            Origin::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
