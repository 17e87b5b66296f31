//! A SPDY connection over any byte stream, in either role.
//!
//! Two loops share one task: the reader turns frames into lane events and never waits for the writer; the writer
//! drains two queues, the urgent one first, and pings when idle. Handles ([`Connection`], [`Incoming`], [`Lane`]) keep
//! the connection; when the last is gone, or on [`Connection::close`], the writer says `GOAWAY`, the sending direction
//! is shut down, and what the peer still sends is read away for a moment, so that the kernel does not reset the
//! connection under bytes the peer has yet to read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::BytesMut;
use env::task::{Fate, Shutdown};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

use super::frame::{self, Decoder, Encoder, Event, Frame, Violation};
use super::headers::Headers;
use crate::lane::{Cell, End, Lane, Link, OUTGOING_MAX, Outgoing, Overrun, Table};
use crate::{Error, Io, Limits};

/// New streams of the peer that wait to be accepted.
const INCOMING_MAX: usize = 16;
/// Bytes collected before they are written.
const BATCH_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 32 << 10;
/// The largest stream number.
const STREAM_MAX: u32 = 0x7fff_ffff;

/// Who opened the connection: clients number their streams and pings oddly, servers evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This end asked for the upgrade.
    Client,
    /// This end granted it.
    Server,
}

impl Role {
    fn first(self) -> u32 {
        match self {
            Role::Client => 1,
            Role::Server => 2,
        }
    }

    fn owns(self, id: u32) -> bool {
        id % 2 == self.first() % 2
    }
}

/// What handles and driver know together.
#[derive(Debug)]
struct Shared {
    role: Role,
    limits: Limits,
    /// The peer says good-bye: no new streams.
    going: AtomicBool,
    /// Answers in the urgent queue that the writer has not taken.
    owed: AtomicUsize,
    /// The peer's last stream that was taken up.
    last_stream: AtomicU32,
    next_ping: AtomicU32,
    pings: Mutex<BTreeMap<u32, oneshot::Sender<()>>>,
    /// Initial windows to send and to receive, once both ends count.
    windows: Mutex<Option<(i64, i64)>>,
}

impl Shared {
    /// Bytes after which the peer wants to hear that they were read, if it counts.
    fn window(&self) -> Option<u32> {
        self.windows.lock().map(|(_, receive)| u32::try_from(receive).unwrap_or(u32::MAX))
    }

    fn own_window(&self) -> u32 {
        u32::try_from(self.limits.stream_buffer_bytes_max).unwrap_or(u32::MAX).min(STREAM_MAX)
    }

    fn ping_id(&self) -> u32 {
        let id = self.next_ping.fetch_add(2, Ordering::Relaxed);
        // After 2^31 pings the numbers come round; zero is not a number.
        if id == 0 { self.next_ping.fetch_add(2, Ordering::Relaxed) } else { id }
    }
}

/// A handle of a connection. Dropping it and all of its lanes closes the connection.
#[derive(Debug)]
pub struct Connection {
    link: Arc<Link>,
    shared: Arc<Shared>,
    next_stream: tokio::sync::Mutex<u32>,
}

/// The streams that the peer opens. While nobody takes them, at most a handful wait and then reading stops; once this is
/// dropped, further streams are reset.
#[derive(Debug)]
pub struct Accept {
    incoming: mpsc::Receiver<Incoming>,
}

/// A stream that the peer wants to open. Dropping it refuses the stream.
#[derive(Debug)]
pub struct Incoming {
    headers: Headers,
    lane: Lane,
    link: Arc<Link>,
}

impl Incoming {
    /// What the peer says the stream is for.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The stream's number.
    pub fn id(&self) -> u32 {
        self.lane.id()
    }

    /// Tells the peer that the stream is taken.
    pub fn accept(self) -> Lane {
        // A driver that has ended makes the lane's first use fail.
        drop(self.link.urgent.send(Outgoing::Reply { lane: self.lane.id() }));
        self.lane
    }
}

impl Accept {
    /// The next stream of the peer; `None` once the connection has ended.
    pub async fn next(&mut self) -> Option<Incoming> {
        self.incoming.recv().await
    }
}

impl Connection {
    /// Speaks SPDY over `io`. The driver runs as a task of its own until the connection ends.
    pub fn start(io: Io, role: Role, limits: &Limits) -> (Connection, Accept) {
        let (outgoing, outgoing_queue) = mpsc::channel(OUTGOING_MAX);
        let (urgent, urgent_queue) = mpsc::unbounded_channel();
        let (incoming_sender, incoming) = mpsc::channel(INCOMING_MAX);
        let (held, ended) = (Shutdown::new(), Shutdown::new());
        let table = Arc::new(Table::default());
        let shared = Arc::new(Shared {
            role,
            limits: limits.clone(),
            going: AtomicBool::new(false),
            owed: AtomicUsize::new(0),
            last_stream: AtomicU32::new(0),
            next_ping: AtomicU32::new(role.first()),
            pings: Mutex::default(),
            windows: Mutex::default(),
        });
        let link = Arc::new(Link {
            outgoing,
            urgent: urgent.clone(),
            table: table.clone(),
            resets: true,
            _held: held.clone().drop_guard(),
            ended: ended.clone(),
        });
        if role == Role::Client && limits.flow_control {
            // The queue is new, so its receiver is there.
            drop(urgent.send(Outgoing::InitialWindow { bytes: shared.own_window() }));
        }
        let reader = FrameReader {
            decoder: Decoder::new(limits.header_bytes_max),
            table,
            link: Arc::downgrade(&link),
            urgent,
            incoming: incoming_sender,
            shared: shared.clone(),
        };
        let writer = FrameWriter {
            encoder: Encoder::default(),
            urgent: urgent_queue,
            outgoing: outgoing_queue,
            shared: shared.clone(),
        };
        let driving = drive(io, reader, writer, held, ended);
        env::task::spawn(Fate::Local, "spdy connection", driving);
        (Connection { link, shared, next_stream: tokio::sync::Mutex::new(role.first()) }, Accept { incoming })
    }

    /// Opens a stream and waits until the peer takes it.
    pub async fn open(&self, headers: Headers) -> Result<Lane, Error> {
        let (id, cell) = self.announce(headers).await?;
        let waited = env::time::timeout(self.shared.limits.stream_creation_timeout, cell.wait_open()).await;
        // From here on a drop of the lane cleans up.
        let lane = Lane::new(id, cell, self.link.clone(), self.shared.window());
        match waited {
            Ok(Ok(())) => Ok(lane),
            Ok(Err(End::Reset)) => Err(Error::Refused),
            Ok(Err(End::Fin | End::Lost)) => Err(Error::Ended),
            Err(_) => Err(Error::Unanswered),
        }
    }

    async fn announce(&self, headers: Headers) -> Result<(u32, Arc<Cell>), Error> {
        // Held over the send, because numbers must grow on the wire.
        let mut next = self.next_stream.lock().await;
        if self.shared.going.load(Ordering::Relaxed) || self.link.ended.is_cancelled() {
            return Err(Error::Ended);
        }
        let id = *next;
        if id > STREAM_MAX {
            return Err(Error::Exhausted);
        }
        let permit = self.link.outgoing.reserve().await.map_err(|_closed| Error::Ended)?;
        *next += 2;
        let cell = Cell::new(false, *self.shared.windows.lock());
        self.link.table.insert(id, cell.clone());
        permit.send(Outgoing::Open { lane: id, headers });
        if self.link.ended.is_cancelled() {
            // The driver may have ended all lanes just before this one was added.
            cell.end(End::Lost);
        }
        Ok((id, cell))
    }

    /// Sends a ping and waits for its echo.
    pub async fn ping(&self) -> Result<(), Error> {
        let (echoed, echo) = oneshot::channel();
        let id = self.shared.ping_id();
        self.shared.pings.lock().insert(id, echoed);
        let sent = self.link.outgoing.send(Outgoing::Ping { id }).await;
        let outcome = match sent {
            Err(_) => Err(Error::Ended),
            Ok(()) => tokio::select! {
                echoed = echo => echoed.map_err(|_dropped| Error::Ended),
                () = self.link.ended.cancelled() => Err(Error::Ended),
            },
        };
        self.shared.pings.lock().remove(&id);
        outcome
    }

    /// Writes everything that was queued, says good-bye, and returns when the last byte is handed to the socket (or
    /// the connection is gone, or the close timeout is over).
    pub async fn close(self) {
        // Whether in time or not, the connection ends with its handles.
        drop(env::time::timeout(self.shared.limits.close_timeout, self.link.close()).await);
    }

    /// What keeps the connection, without the ability to open streams.
    pub(crate) fn into_link(self) -> Arc<Link> {
        self.link
    }

    /// Waits until the connection has ended, from whichever side.
    pub async fn ended(&self) {
        self.link.ended.cancelled().await;
    }
}

/// Runs both loops until the connection has ended.
async fn drive(io: Io, mut reader: FrameReader, mut writer: FrameWriter, held: Shutdown, ended: Shutdown) {
    let close_timeout = reader.shared.limits.close_timeout;
    let table = reader.table.clone();
    let shared = reader.shared.clone();
    let urgent = reader.urgent.clone();
    let (read_half, write_half) = tokio::io::split(io);
    let _ended = ended.drop_guard();
    let reading = reader.run(read_half);
    let writing = writer.run(write_half);
    tokio::pin!(reading, writing);
    let abandoned = async {
        held.cancelled().await;
        env::time::sleep(close_timeout).await;
    };
    tokio::select! {
        read = &mut reading => {
            table.end_all(End::Lost);
            match read {
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(error = %crate::chain(&error), "a SPDY connection fails");
                    let status = frame::GOAWAY_PROTOCOL_ERROR;
                    drop(urgent.send(Outgoing::GoAway { status }));
                    drop(env::time::timeout(close_timeout, &mut writing).await);
                }
            }
        }
        wrote = &mut writing => match wrote {
            Ok(()) => {
                table.end_all(End::Lost);
                // Reading on, for a moment, spares the peer a reset.
                drop(env::time::timeout(close_timeout, &mut reading).await);
            }
            Err(error) => {
                tracing::debug!(%error, "a SPDY connection cannot be written to");
                // A peer that left may have said how it ended before: that is still to be read.
                drop(env::time::timeout(close_timeout, &mut reading).await);
                table.end_all(End::Lost);
            }
        },
        () = abandoned => table.end_all(End::Lost),
    }
    shared.pings.lock().clear();
}

struct FrameReader {
    decoder: Decoder,
    table: Arc<Table>,
    link: Weak<Link>,
    urgent: mpsc::UnboundedSender<Outgoing>,
    incoming: mpsc::Sender<Incoming>,
    shared: Arc<Shared>,
}

impl FrameReader {
    async fn run(&mut self, mut io: impl AsyncRead + Unpin) -> Result<(), Error> {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        loop {
            while let Some(event) = self.decoder.next(&mut buffer)? {
                self.handle(event).await?;
            }
            buffer.reserve(READ_BYTES / 4);
            let read = env::time::timeout(self.shared.limits.idle_timeout, io.read_buf(&mut buffer)).await;
            match read {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(Error::Io(error)),
                Err(_) => return Err(Error::Idle),
            }
        }
    }

    async fn handle(&self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Data { stream, bytes, fin } => self.data(stream, bytes, fin).await,
            Event::Frame(frame) => self.control(frame).await,
        }
    }

    async fn data(&self, stream: u32, bytes: bytes::Bytes, fin: bool) -> Result<(), Violation> {
        // Data for a stream that is gone is no error: it crossed our reset.
        let Some(cell) = self.table.get(stream) else { return Ok(()) };
        match cell.push(bytes, self.shared.limits.stream_buffer_bytes_max).await {
            Ok(()) if fin => cell.end(End::Fin),
            Ok(()) => {}
            Err(Overrun) => {
                cell.end(End::Reset);
                return self.reset(stream, frame::FLOW_CONTROL_ERROR);
            }
        }
        Ok(())
    }

    async fn control(&self, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::SynStream { stream, fin, headers, unidirectional: _ } => self.open(stream, fin, headers).await,
            Frame::SynReply { stream, fin, headers: _ } => {
                if let Some(cell) = self.table.get(stream) {
                    cell.opened();
                    if fin {
                        cell.end(End::Fin);
                    }
                }
                Ok(())
            }
            Frame::Headers { stream, fin, headers: _ } => {
                if let Some(cell) = self.table.get(stream).filter(|_| fin) {
                    cell.end(End::Fin);
                }
                Ok(())
            }
            Frame::RstStream { stream, status: _ } => {
                if let Some(cell) = self.table.get(stream) {
                    self.table.remove(stream);
                    cell.end(End::Reset);
                }
                Ok(())
            }
            Frame::Ping(id) if self.shared.role.owns(id) => {
                if let Some(echoed) = self.shared.pings.lock().remove(&id) {
                    // Whoever asked may have stopped waiting.
                    let _nobody_waits = echoed.send(());
                }
                Ok(())
            }
            Frame::Ping(id) => self.answer(Outgoing::Pong { id }),
            Frame::GoAway { .. } => {
                self.shared.going.store(true, Ordering::Relaxed);
                Ok(())
            }
            Frame::Settings(pairs) => self.settings(&pairs),
            Frame::WindowUpdate { stream, bytes } => match self.table.get(stream) {
                Some(cell) if !cell.widen(i64::from(bytes)) => {
                    cell.end(End::Reset);
                    self.reset(stream, frame::FLOW_CONTROL_ERROR)
                }
                _ => Ok(()),
            },
        }
    }

    async fn open(&self, stream: u32, fin: bool, headers: Headers) -> Result<(), Violation> {
        if self.shared.role.owns(stream) || stream <= self.shared.last_stream.load(Ordering::Relaxed) {
            return self.reset(stream, frame::PROTOCOL_ERROR);
        }
        self.shared.last_stream.store(stream, Ordering::Relaxed);
        if self.table.len() >= self.shared.limits.streams_max || self.incoming.is_closed() {
            return self.reset(stream, frame::REFUSED_STREAM);
        }
        // Without handles the connection is about to close.
        let Some(link) = self.link.upgrade() else { return Ok(()) };
        let cell = Cell::new(true, *self.shared.windows.lock());
        if fin {
            cell.end(End::Fin);
        }
        self.table.insert(stream, cell.clone());
        let lane = Lane::new(stream, cell, link.clone(), self.shared.window());
        // When nobody accepts any more, the dropped lane resets the stream.
        drop(self.incoming.send(Incoming { headers, lane, link }).await);
        Ok(())
    }

    /// The peer counts. Its first announcement comes before data flows on any stream, so that both ends begin equal.
    fn settings(&self, pairs: &[(u32, u32)]) -> Result<(), Violation> {
        let Some((_, initial)) = pairs.iter().find(|(id, _)| *id == frame::INITIAL_WINDOW_SIZE) else { return Ok(()) };
        let initial = i64::from((*initial).min(STREAM_MAX));
        let mut windows = self.shared.windows.lock();
        match *windows {
            None => {
                let bytes = self.shared.own_window();
                *windows = Some((initial, i64::from(bytes)));
                self.table.each(|cell| cell.count(initial, i64::from(bytes)));
                if self.shared.role == Role::Server {
                    // Once per connection, so it is not counted among the answers.
                    drop(self.urgent.send(Outgoing::InitialWindow { bytes }));
                }
            }
            Some((before, receive)) => {
                *windows = Some((initial, receive));
                self.table.each(|cell| {
                    // A window beyond the range comes from this peer's own settings; the next update will say so.
                    cell.widen(initial - before);
                });
            }
        }
        Ok(())
    }

    fn reset(&self, lane: u32, status: u32) -> Result<(), Violation> {
        self.answer(Outgoing::Reset { lane, status, answer: true })
    }

    fn answer(&self, answer: Outgoing) -> Result<(), Violation> {
        if self.shared.owed.fetch_add(1, Ordering::Relaxed) >= self.shared.limits.answers_owed_max {
            return Err(Violation::Flood);
        }
        // Without a writer the connection is ending.
        drop(self.urgent.send(answer));
        Ok(())
    }
}

struct FrameWriter {
    encoder: Encoder,
    urgent: mpsc::UnboundedReceiver<Outgoing>,
    outgoing: mpsc::Receiver<Outgoing>,
    shared: Arc<Shared>,
}

/// What the writer does after an item.
enum After {
    Continue,
    End(Option<oneshot::Sender<()>>),
}

impl FrameWriter {
    async fn run(&mut self, mut io: impl AsyncWrite + Unpin) -> std::io::Result<()> {
        let mut out = BytesMut::with_capacity(READ_BYTES);
        loop {
            let first = self.wait().await;
            let mut after = self.encode(first, &mut out);
            while out.len() < BATCH_BYTES && matches!(after, After::Continue) {
                let Some(next) = self.ready() else { break };
                after = self.encode(next, &mut out);
            }
            io.write_all(&out).await?;
            out.clear();
            io.flush().await?;
            if let After::End(written) = after {
                let shut = io.shutdown().await;
                if let Some(written) = written {
                    // Whoever asked may have stopped waiting.
                    let _nobody_waits = written.send(());
                }
                return shut;
            }
        }
    }

    /// The next item, or a ping when none comes for a while.
    async fn wait(&mut self) -> Outgoing {
        let ping = env::time::sleep(self.shared.limits.ping_interval);
        tokio::select! {
            biased;
            Some(item) = self.urgent.recv() => item,
            item = self.outgoing.recv() => item.unwrap_or(Outgoing::GoAway { status: frame::GOAWAY_OK }),
            () = ping => Outgoing::Ping { id: self.shared.ping_id() },
        }
    }

    fn ready(&mut self) -> Option<Outgoing> {
        self.urgent.try_recv().ok().or_else(|| self.outgoing.try_recv().ok())
    }

    fn encode(&mut self, item: Outgoing, out: &mut BytesMut) -> After {
        if matches!(item, Outgoing::Data { .. } | Outgoing::Fin { .. }) {
            // The reply to a stream was queued before its first data, but the queues were looked at the other way round.
            while let Ok(urgent) = self.urgent.try_recv() {
                if let After::End(written) = self.encode_one(urgent, out) {
                    return After::End(written);
                }
            }
        }
        self.encode_one(item, out)
    }

    fn encode_one(&mut self, item: Outgoing, out: &mut BytesMut) -> After {
        let frame = match item {
            Outgoing::Data { lane, bytes } => {
                self.encoder.data(lane, &bytes, false, out);
                return After::Continue;
            }
            Outgoing::Fin { lane } => {
                self.encoder.data(lane, &[], true, out);
                return After::Continue;
            }
            Outgoing::Open { lane, headers } => {
                Frame::SynStream { stream: lane, fin: false, unidirectional: false, headers }
            }
            Outgoing::Reply { lane } => Frame::SynReply { stream: lane, fin: false, headers: Headers::default() },
            Outgoing::Reset { lane, status, answer } => {
                if answer {
                    self.answered();
                }
                Frame::RstStream { stream: lane, status }
            }
            Outgoing::Pong { id } => {
                self.answered();
                Frame::Ping(id)
            }
            Outgoing::Ping { id } => Frame::Ping(id),
            Outgoing::Window { lane, bytes } => Frame::WindowUpdate { stream: lane, bytes },
            Outgoing::InitialWindow { bytes } => Frame::Settings(vec![(frame::INITIAL_WINDOW_SIZE, bytes)]),
            Outgoing::GoAway { status } => {
                self.go_away(status, out);
                return After::End(None);
            }
            Outgoing::Close { written } => {
                self.go_away(frame::GOAWAY_OK, out);
                return After::End(Some(written));
            }
        };
        self.encoder.frame(&frame, out);
        After::Continue
    }

    fn go_away(&mut self, status: u32, out: &mut BytesMut) {
        let last = self.shared.last_stream.load(Ordering::Relaxed);
        self.encoder.frame(&Frame::GoAway { last, status }, out);
    }

    fn answered(&self) {
        self.shared.owed.fetch_sub(1, Ordering::Relaxed);
    }
}
