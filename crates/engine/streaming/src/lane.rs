//! Lanes: the streams of one multiplexed connection, whatever the framing under them.
//!
//! A [`Lane`] is what SPDY calls a stream and the WebSocket subprotocols call a channel. Its received bytes wait in a
//! bounded [`Cell`] that the connection's driver fills; its written bytes go, chunk by chunk, through the connection's
//! bounded queue to the driver. Drivers own the socket, lanes own nothing but their place.
//!
//! Invariants
//! - A driver never waits for its own writer: what it answers by itself goes through the unbounded `urgent` queue,
//!   whose length the protocol drivers bound.
//! - When the last handle of a connection is dropped, its driver says good-bye to the peer and ends within
//!   [`crate::Limits::close_timeout`].

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::PollSender;

use crate::spdy::Headers;
use crate::{Reader, Writer};

/// Bytes of one chunk on its way to the driver.
const CHUNK_BYTES_MAX: usize = 32 << 10;
/// What a queued chunk is charged beyond its length, so that a flood of tiny chunks fills the buffer as well.
const CHUNK_OVERHEAD_BYTES: usize = 64;
/// Chunks on their way to the driver of one connection.
pub(crate) const OUTGOING_MAX: usize = 8;

/// What lanes and drivers ask a connection's writer to send.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Bytes of a lane.
    Data { lane: u32, bytes: Bytes },
    /// No more bytes of this lane.
    Fin { lane: u32 },
    /// A new lane.
    Open { lane: u32, headers: Headers },
    /// The peer's new lane is accepted.
    Reply { lane: u32 },
    /// The lane is given up.
    Reset { lane: u32, status: u32, answer: bool },
    /// The answer to a ping.
    Pong { id: u32 },
    /// A ping of our own.
    Ping { id: u32 },
    /// The peer may send so much more.
    Window { lane: u32, bytes: u32 },
    /// The window that new lanes begin with.
    InitialWindow { bytes: u32 },
    /// The connection ends because the peer broke the protocol.
    GoAway { status: u32 },
    /// The connection ends after everything before; the sender hears when it is written.
    Close { written: oneshot::Sender<()> },
}

/// How the receiving direction of a lane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer finished.
    Fin,
    /// The peer gave the lane up.
    Reset,
    /// The connection went away.
    Lost,
}

/// One lane's state, shared by its owner and the driver.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    charged_bytes: usize,
    end: Option<End>,
    /// The peer accepted the lane (or opened it).
    open: bool,
    /// The owner is gone: what arrives is discarded.
    abandoned: bool,
    /// Bytes that may still be sent; `None` when the peer does not count.
    send_window: Option<i64>,
    /// Bytes that the peer may still send; `None` when it does not count.
    receive_window: Option<i64>,
    /// Bytes read by the owner that the peer has not heard of.
    unannounced_bytes: u32,
    reader: Option<Waker>,
    writer: Option<Waker>,
    opener: Option<Waker>,
    space: Option<Waker>,
}

impl State {
    fn wake_all(&mut self) {
        for waker in [&mut self.reader, &mut self.writer, &mut self.opener, &mut self.space] {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }
}

/// The peer sent more than its window allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overrun;

impl Cell {
    pub(crate) fn new(open: bool, window: Option<(i64, i64)>) -> Arc<Cell> {
        let (send_window, receive_window) = window.unzip();
        Arc::new(Cell { state: Mutex::new(State { open, send_window, receive_window, ..State::default() }) })
    }

    /// Hands received bytes to the owner, waiting for room below `bytes_max`. Bytes for a finished lane are dropped.
    pub(crate) async fn push(&self, bytes: Bytes, bytes_max: usize) -> Result<(), Overrun> {
        if bytes.is_empty() {
            return Ok(());
        }
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock();
            if state.abandoned || state.end.is_some() || state.charged_bytes < bytes_max {
                return Poll::Ready(());
            }
            state.space = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        let mut state = self.state.lock();
        if state.abandoned || state.end.is_some() {
            return Ok(());
        }
        if let Some(window) = &mut state.receive_window {
            *window -= i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            if *window < 0 {
                return Err(Overrun);
            }
        }
        state.charged_bytes += bytes.len() + CHUNK_OVERHEAD_BYTES;
        state.chunks.push_back(bytes);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    /// Ends the receiving direction; only the first end counts, except that a reset follows a finish.
    pub(crate) fn end(&self, end: End) {
        let mut state = self.state.lock();
        if state.end.is_none() || (state.end == Some(End::Fin) && end != End::Fin) {
            // A lane that finished cleanly stays clean for its reader: only its writer learns of the later end.
            let clean = state.end == Some(End::Fin);
            state.end = Some(end);
            if clean && end == End::Lost {
                state.chunks.push_back(Bytes::new());
            }
        }
        state.wake_all();
    }

    /// The peer accepted the lane.
    pub(crate) fn opened(&self) {
        let mut state = self.state.lock();
        state.open = true;
        if let Some(opener) = state.opener.take() {
            opener.wake();
        }
    }

    /// Waits until the peer accepts the lane; `Err` when it ends first.
    pub(crate) async fn wait_open(&self) -> Result<(), End> {
        std::future::poll_fn(|cx| {
            let mut state = self.state.lock();
            match state.end {
                _ if state.open => Poll::Ready(Ok(())),
                Some(end) => Poll::Ready(Err(end)),
                None => {
                    state.opener = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Opens the send window by `bytes`, if the peer counts; `false` when it would exceed the protocol's range.
    pub(crate) fn widen(&self, bytes: i64) -> bool {
        let mut state = self.state.lock();
        let Some(window) = &mut state.send_window else { return true };
        *window += bytes;
        let fits = *window <= i64::from(i32::MAX);
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        fits
    }

    /// Both ends begin to count; lanes on which data may already flow stay uncounted.
    pub(crate) fn count(&self, send: i64, receive: i64) {
        let mut state = self.state.lock();
        if !state.open {
            (state.send_window, state.receive_window) = (Some(send), Some(receive));
        }
    }

    fn is_ended(&self) -> bool {
        self.state.lock().end.is_some()
    }
}

/// The lanes of one connection, by number.
#[derive(Debug, Default)]
pub(crate) struct Table {
    lanes: Mutex<BTreeMap<u32, Arc<Cell>>>,
}

impl Table {
    pub(crate) fn get(&self, lane: u32) -> Option<Arc<Cell>> {
        self.lanes.lock().get(&lane).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.lock().len()
    }

    pub(crate) fn insert(&self, lane: u32, cell: Arc<Cell>) {
        self.lanes.lock().insert(lane, cell);
    }

    pub(crate) fn remove(&self, lane: u32) {
        self.lanes.lock().remove(&lane);
    }

    pub(crate) fn each(&self, mut visit: impl FnMut(&Cell)) {
        for cell in self.lanes.lock().values() {
            visit(cell);
        }
    }

    /// Ends all lanes and forgets them.
    pub(crate) fn end_all(&self, end: End) {
        let lanes = std::mem::take(&mut *self.lanes.lock());
        for cell in lanes.values() {
            cell.end(end);
        }
    }
}

/// What the handles of one connection share; the driver holds it only weakly.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) outgoing: mpsc::Sender<Outgoing>,
    pub(crate) urgent: mpsc::UnboundedSender<Outgoing>,
    pub(crate) table: Arc<Table>,
    /// Whether a peer can be told to stop sending on a lane that is finished at this end.
    pub(crate) resets: bool,
    /// Resolves, for the driver, when the last handle is gone.
    pub(crate) _held: tokio_util::sync::DropGuard,
    /// Cancelled when the driver has ended.
    pub(crate) ended: env::task::Shutdown,
}

impl Link {
    /// Everything queued is written and the connection is said good-bye to, or has ended already.
    pub(crate) async fn close(&self) {
        let (written, done) = oneshot::channel();
        let closing = async {
            if self.outgoing.send(Outgoing::Close { written }).await.is_ok() {
                // An error means that the driver ended without writing, which is an end as well.
                drop(done.await);
            }
        };
        tokio::select! {
            () = closing => {}
            () = self.ended.cancelled() => {}
        }
    }
}

/// One stream of a multiplexed connection. Shutting down the writing side is a half close; dropping the lane before
/// both sides have finished gives it up, behind the bytes written before (SPDY: `RST_STREAM` with status cancel).
///
/// Reading ends where the peer finished or reset the stream, after all bytes that came before; it fails where the
/// connection was lost. Writing fails after either.
pub struct Lane {
    id: u32,
    cell: Arc<Cell>,
    link: Arc<Link>,
    queue: PollSender<Outgoing>,
    finished: bool,
    discarded: bool,
    window: Option<u32>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("id", &self.id).field("finished", &self.finished).finish_non_exhaustive()
    }
}

impl Lane {
    /// A handle of the lane `id`, whose cell stands in the table. `window`: bytes after which the peer wants to hear.
    pub(crate) fn new(id: u32, cell: Arc<Cell>, link: Arc<Link>, window: Option<u32>) -> Lane {
        let queue = PollSender::new(link.outgoing.clone());
        Lane { id, cell, link, queue, finished: false, discarded: false, window }
    }

    /// The stream's number in its connection.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Takes the lane apart for owners that read and write in different places.
    pub fn split(self) -> (Reader, Writer) {
        let (reader, writer) = tokio::io::split(self);
        (Box::new(reader), Box::new(writer))
    }

    /// The reading end alone. Nothing will be written: the peer is told at once.
    pub async fn into_reader(mut self) -> Reader {
        // A failure means that the connection is gone, which the reader will see for itself.
        drop(tokio::io::AsyncWriteExt::shutdown(&mut self).await);
        Box::new(self)
    }

    /// Forgets a lane that was never used, without a word to the peer.
    pub(crate) fn discard(mut self) {
        self.discarded = true;
    }

    fn note_read(&mut self, bytes: usize) {
        let Some(window) = self.window else { return };
        let due = {
            let mut state = self.cell.state.lock();
            state.unannounced_bytes = state.unannounced_bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
            let due = state.unannounced_bytes;
            if due < window / 2 || state.end.is_some() {
                return;
            }
            state.unannounced_bytes = 0;
            state.receive_window = state.receive_window.map(|left| left + i64::from(due));
            due
        };
        // A driver that has ended needs no window.
        drop(self.link.urgent.send(Outgoing::Window { lane: self.id, bytes: due }));
    }

    fn poll_room(&self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        let mut state = self.cell.state.lock();
        match state.end {
            Some(End::Reset) => return Poll::Ready(Err(gone("the peer reset the stream"))),
            Some(End::Lost) => return Poll::Ready(Err(gone("the connection ended"))),
            Some(End::Fin) | None => {}
        }
        match state.send_window {
            None => Poll::Ready(Ok(usize::MAX)),
            Some(window) if window > 0 => Poll::Ready(Ok(usize::try_from(window).unwrap_or(usize::MAX))),
            Some(_) => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn gone(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, reason)
}

impl AsyncRead for Lane {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.cell.state.lock();
        let Some(chunk) = state.chunks.front_mut() else {
            return match state.end {
                // Servers of the Go family end all streams by a reset.
                Some(End::Fin | End::Reset) => Poll::Ready(Ok(())),
                Some(End::Lost) => Poll::Ready(Err(gone("the connection ended"))),
                None => {
                    state.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        };
        if chunk.is_empty() {
            // The marker of a clean end: it stays, so that every later read ends as well.
            return Poll::Ready(Ok(()));
        }
        let taken = chunk.len().min(buf.remaining());
        buf.put_slice(&chunk[..taken]);
        chunk.advance(taken);
        let emptied = chunk.is_empty();
        state.charged_bytes -= taken;
        if emptied {
            state.chunks.pop_front();
            state.charged_bytes -= CHUNK_OVERHEAD_BYTES;
        }
        if let Some(space) = state.space.take() {
            space.wake();
        }
        drop(state);
        self.note_read(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lane {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.finished {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the stream was shut down")));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(self.poll_room(cx))?;
        if ready!(self.queue.poll_reserve(cx)).is_err() {
            return Poll::Ready(Err(gone("the connection ended")));
        }
        let taken = bytes.len().min(room).min(CHUNK_BYTES_MAX);
        let item = Outgoing::Data { lane: self.id, bytes: Bytes::copy_from_slice(&bytes[..taken]) };
        if self.queue.send_item(item).is_err() {
            return Poll::Ready(Err(gone("the connection ended")));
        }
        if let Some(window) = &mut self.cell.state.lock().send_window {
            *window -= i64::try_from(taken).unwrap_or(i64::MAX);
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver flushes whenever its queue is empty.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.finished {
            return Poll::Ready(Ok(()));
        }
        let sent = match ready!(self.queue.poll_reserve(cx)) {
            Ok(()) => {
                let lane = self.id;
                self.queue.send_item(Outgoing::Fin { lane }).is_ok()
            }
            Err(_) => false,
        };
        self.finished = true;
        Poll::Ready(if sent || self.cell.is_ended() { Ok(()) } else { Err(gone("the connection ended")) })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let ended = {
            let mut state = self.cell.state.lock();
            state.abandoned = true;
            state.chunks.clear();
            state.wake_all();
            state.end
        };
        self.link.table.remove(self.id);
        let unwanted = match ended {
            Some(End::Reset | End::Lost) => false,
            Some(End::Fin) => !self.finished,
            None => !self.finished || self.link.resets,
        };
        if unwanted && !self.discarded {
            let cancel = Outgoing::Reset { lane: self.id, status: crate::spdy::frame::CANCEL, answer: false };
            let outgoing = self.link.outgoing.clone();
            // Behind the bytes that were written before; a driver that has ended has nothing left to cancel.
            if let Err(mpsc::error::TrySendError::Full(cancel)) = outgoing.try_send(cancel)
                && tokio::runtime::Handle::try_current().is_ok()
            {
                let send = async move { drop(outgoing.send(cancel).await) };
                env::task::spawn(env::task::Fate::Local, "stream cancellation", send);
            }
        }
    }
}
