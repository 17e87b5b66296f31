//! A socket that sends when whoever writes has said all it has to say at the moment.
//!
//! HTTP/2 writes frame by frame and flushes after each; over TLS every one of them would be a record and a system call.
//! Here frames wait until the connection's driver has polled the protocol to its end, and then leave together:
//! [`Gathered`] is what the protocol writes to, [`Outbox`] what the driver sends with. What fills records by itself is
//! passed on from where it lies.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What waits at most before it is sent although more may come: as much as TLS takes at once.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// What is written at once and is at least as much as a record of TLS holds does not wait for more.
const PASSED_ON_BYTES_MIN: usize = 16 * 1024;
/// A buffer that has grown beyond this is not kept while the connection is quiet.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// The protocol's side.
#[derive(Debug)]
pub(crate) struct Gathered<S>(Arc<Mutex<Socket<S>>>);

/// The driver's side.
#[derive(Debug)]
pub(crate) struct Outbox<S>(Arc<Mutex<Socket<S>>>);

#[derive(Debug)]
struct Socket<S> {
    stream: S,
    waiting: Vec<u8>,
    sent: usize,
    /// Some of what was passed on may be on this side of the socket still.
    is_unflushed: bool,
}

impl<S> Gathered<S> {
    /// Gathers what is written to `stream`.
    pub(crate) fn new(stream: S) -> (Gathered<S>, Outbox<S>) {
        let socket = Arc::new(Mutex::new(Socket { stream, waiting: Vec::new(), sent: 0, is_unflushed: false }));
        (Gathered(Arc::clone(&socket)), Outbox(socket))
    }
}

impl<S: AsyncWrite + Unpin> Outbox<S> {
    /// Sends what waits.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().poll_send(cx)
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() && !self.is_unflushed {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.waiting.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.is_unflushed = false;
        self.sent = 0;
        self.waiting.clear();
        self.waiting.shrink_to(KEPT_BYTES_MAX);
        Poll::Ready(Ok(()))
    }

    /// Writes without gathering, behind what waits.
    fn poll_pass_on(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if !self.waiting.is_empty() {
            ready!(self.poll_send(cx))?;
        }
        self.is_unflushed = true;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    /// Waits until there is room.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.len() < WAITING_BYTES_MAX { Poll::Ready(Ok(())) } else { self.poll_send(cx) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut socket = self.0.lock();
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        if bytes >= PASSED_ON_BYTES_MIN {
            return socket.poll_pass_on(cx, slices);
        }
        ready!(socket.poll_room(cx))?;
        let waiting = socket.waiting.len();
        if waiting + bytes > KEPT_BYTES_MAX {
            // Room for all that may wait: growing step by step would copy it again and again.
            socket.waiting.reserve(WAITING_BYTES_MAX + PASSED_ON_BYTES_MIN - waiting);
        }
        let before = socket.waiting.len();
        slices.iter().for_each(|slice| socket.waiting.extend_from_slice(slice));
        Poll::Ready(Ok(socket.waiting.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The driver sends, as soon as it has polled the protocol.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut socket = self.0.lock();
        ready!(socket.poll_send(cx))?;
        Pin::new(&mut socket.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
