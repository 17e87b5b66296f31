//! What a connection is doing, so that it can be closed when it does nothing, or does it too slowly.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::{fmt, io};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No request, and none has begun.
    Idle,
    /// A request's head has begun and is not complete.
    Reading,
    /// At least one request is being answered.
    Busy,
}

/// Shared between a connection's driver, its requests and its socket.
#[derive(Default)]
pub(crate) struct Activity {
    requests: AtomicUsize,
    head_begun: AtomicBool,
    pub(crate) driver: AtomicWaker,
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Activity({:?})", self.phase())
    }
}

impl Activity {
    pub(crate) fn phase(&self) -> Phase {
        if self.requests.load(Ordering::Acquire) > 0 {
            Phase::Busy
        } else if self.head_begun.load(Ordering::Acquire) {
            Phase::Reading
        } else {
            Phase::Idle
        }
    }

    /// Whether more than one request is being answered.
    pub(crate) fn are_several(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 1
    }

    /// The first byte of a head is due: a new HTTP/1.1 connection.
    pub(crate) fn head_begins(&self) {
        self.head_begun.store(true, Ordering::Release);
    }

    /// A head is complete; its request runs until the guard is dropped.
    pub(crate) fn request_begins(self: &Arc<Self>) -> Guard {
        self.requests.fetch_add(1, Ordering::AcqRel);
        self.head_begun.store(false, Ordering::Release);
        Guard(Arc::clone(self))
    }
}

/// A running request.
pub(crate) struct Guard(Arc<Activity>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.driver.wake();
        }
    }
}

/// An HTTP/1.1 socket that notices when bytes arrive between two requests.
#[derive(Debug)]
pub(crate) struct Observed<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S> Observed<S> {
    pub(crate) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Observed { inner, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before && self.activity.phase() == Phase::Idle {
            self.activity.head_begins();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
