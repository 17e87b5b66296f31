//! The `channel.k8s.io` family: each message begins with the number of the channel it belongs to.
//!
//! In the binary forms the number is a byte; in the base64 forms messages are text, the number is a digit and the rest
//! is base64. From v5 on a client ends a channel with the message `[255, channel]` (KEP-4006); before, a channel ends
//! with the connection. Servers never send that signal: upstream's clients complain about it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use env::task::{Fate, Shutdown};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::lane::{Cell, End, Lane, Link, OUTGOING_MAX, Outgoing, Table};
use crate::{Error, Io, Limits};

/// The channel number that announces the end of another channel.
const CLOSE: u8 = 255;

/// How one subprotocol writes its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Text messages with base64 payload instead of binary ones.
    pub(crate) base64: bool,
    /// The client ends channels with a message.
    pub(crate) close_signal: bool,
}

/// One received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of a channel, possibly none.
    Data(u8, Bytes),
    /// The channel has ended.
    End(u8),
    /// Nothing to do.
    Nothing,
}

impl Dialect {
    /// Reads a message's payload; base64 that is none is an error.
    pub(crate) fn decode(self, message: &Bytes) -> Result<Piece, base64::DecodeError> {
        let Some((first, rest)) = message.split_first() else { return Ok(Piece::Nothing) };
        if self.base64 {
            let Some(channel) = first.checked_sub(b'0') else { return Ok(Piece::Nothing) };
            return Ok(Piece::Data(channel, STANDARD.decode(rest)?.into()));
        }
        if self.close_signal && *first == CLOSE {
            return Ok(rest.first().map_or(Piece::Nothing, |channel| Piece::End(*channel)));
        }
        Ok(Piece::Data(*first, message.slice(1..)))
    }

    fn encode(self, channel: u8, bytes: &[u8]) -> Message {
        if self.base64 {
            let mut text = String::from(char::from(b'0' + channel));
            STANDARD.encode_string(bytes, &mut text);
            return Message::text(text);
        }
        let mut message = BytesMut::with_capacity(bytes.len() + 1);
        message.put_u8(channel);
        message.put_slice(bytes);
        Message::Binary(message.freeze())
    }
}

/// A running connection and its channels.
pub(crate) struct Channels {
    pub(crate) link: Arc<Link>,
    /// The channels from 0 on, each readable and writable.
    pub(crate) lanes: Vec<Lane>,
}

impl Channels {
    /// Multiplexes the first `count` channels over `io`. The driver runs as a task of its own.
    pub(crate) async fn start(io: Io, role: Role, dialect: Dialect, count: u8, limits: &Limits) -> Channels {
        let (outgoing, outgoing_queue) = mpsc::channel(OUTGOING_MAX);
        let (urgent, urgent_queue) = mpsc::unbounded_channel();
        let (held, ended) = (Shutdown::new(), Shutdown::new());
        let table = Arc::new(Table::default());
        let _held = held.clone().drop_guard();
        let link =
            Arc::new(Link { outgoing, urgent, table: table.clone(), resets: false, _held, ended: ended.clone() });
        let lanes = (0..u32::from(count)).map(|channel| {
            let cell = Cell::new(true, None);
            table.insert(channel, cell.clone());
            Lane::new(channel, cell, link.clone(), None)
        });
        let lanes = lanes.collect();
        let (sink, stream) = super::over(io, role, limits).await.split();
        let reader = Reading { stream, dialect, table: table.clone(), limits: limits.clone() };
        let writer = Writing {
            sink,
            dialect,
            client: role == Role::Client,
            outgoing: outgoing_queue,
            urgent: urgent_queue,
            limits: limits.clone(),
        };
        env::task::spawn(Fate::Local, "websocket connection", drive(reader, writer, table, held, ended));
        Channels { link, lanes }
    }
}

async fn drive(mut reader: Reading, mut writer: Writing, table: Arc<Table>, held: Shutdown, ended: Shutdown) {
    let close_timeout = writer.limits.close_timeout;
    let _ended = ended.drop_guard();
    let abandoned = async {
        held.cancelled().await;
        env::time::sleep(close_timeout).await;
    };
    let reading = reader.run();
    let writing = writer.run();
    tokio::pin!(reading, writing, abandoned);
    let failed = tokio::select! {
        read = &mut reading => {
            table.end_all(End::Lost);
            read.err()
        }
        wrote = &mut writing => {
            if wrote.is_ok() {
                table.end_all(End::Lost);
            }
            // After our close, spares the peer a reset; after a failure, a peer that left may have said before how
            // it ended, and that is still to be read.
            drop(env::time::timeout(close_timeout, &mut reading).await);
            wrote.err()
        }
        () = &mut abandoned => None,
    };
    table.end_all(End::Lost);
    if let Some(error) = failed {
        tracing::debug!(error = %crate::chain(&error), "a WebSocket connection fails");
    }
}

struct Reading {
    stream: SplitStream<WebSocketStream<Io>>,
    dialect: Dialect,
    table: Arc<Table>,
    limits: Limits,
}

impl Reading {
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let next = env::time::timeout(self.limits.idle_timeout, self.stream.next()).await;
            let message = match next.map_err(|_elapsed| Error::Idle)? {
                None => return Ok(()),
                Some(Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed)) => return Ok(()),
                Some(message) => message?,
            };
            match message {
                Message::Binary(bytes) => self.take(&bytes).await?,
                Message::Text(text) => self.take(&text.into()).await?,
                Message::Close(frame) => {
                    if frame.is_none_or(|frame| matches!(frame.code, CloseCode::Normal | CloseCode::Status)) {
                        // An orderly goodbye is the end of every channel, not its loss.
                        self.table.each(|cell| cell.end(End::Fin));
                    }
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn take(&self, message: &Bytes) -> Result<(), Error> {
        let piece = self
            .dialect
            .decode(message)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
        match piece {
            Piece::Nothing => {}
            Piece::End(channel) => {
                if let Some(cell) = self.table.get(u32::from(channel)) {
                    cell.end(End::Fin);
                }
            }
            Piece::Data(channel, bytes) => {
                // Channels that nobody listens to are read away, as upstream does.
                if let Some(cell) = self.table.get(u32::from(channel)) {
                    cell.push(bytes, self.limits.stream_buffer_bytes_max)
                        .await
                        .expect("WebSocket channels have no window");
                }
            }
        }
        Ok(())
    }
}

struct Writing {
    sink: SplitSink<WebSocketStream<Io>, Message>,
    dialect: Dialect,
    client: bool,
    outgoing: mpsc::Receiver<Outgoing>,
    urgent: mpsc::UnboundedReceiver<Outgoing>,
    limits: Limits,
}

impl Writing {
    async fn run(&mut self) -> Result<(), Error> {
        loop {
            let mut next = Some(self.wait().await);
            while let Some(item) = next {
                match self.message(item) {
                    Said::Nothing => {}
                    Said::Message(message) => self.sink.feed(message).await?,
                    Said::Goodbye(written) => return self.goodbye(written).await,
                }
                next = self.outgoing.try_recv().ok();
            }
            self.sink.flush().await?;
        }
    }

    async fn wait(&mut self) -> Outgoing {
        let ping = env::time::sleep(self.limits.ping_interval);
        tokio::select! {
            item = self.outgoing.recv() => item.unwrap_or(Outgoing::GoAway { status: 0 }),
            Some(item) = self.urgent.recv() => item,
            () = ping => Outgoing::Ping { id: 0 },
        }
    }

    fn message(&self, item: Outgoing) -> Said {
        // Only the channels 0 to 254 exist.
        let channel = |lane: u32| u8::try_from(lane).expect("a channel's number is a byte");
        match item {
            Outgoing::Data { lane, bytes } => Said::Message(self.dialect.encode(channel(lane), &bytes)),
            Outgoing::Fin { lane } | Outgoing::Reset { lane, .. } if self.client && self.dialect.close_signal => {
                Said::Message(Message::binary(vec![CLOSE, channel(lane)]))
            }
            Outgoing::Ping { .. } => Said::Message(Message::Ping(Bytes::new())),
            Outgoing::GoAway { .. } => Said::Goodbye(None),
            Outgoing::Close { written } => Said::Goodbye(Some(written)),
            Outgoing::Fin { .. }
            | Outgoing::Reset { .. }
            | Outgoing::Open { .. }
            | Outgoing::Reply { .. }
            | Outgoing::Pong { .. }
            | Outgoing::Window { .. }
            | Outgoing::InitialWindow { .. } => Said::Nothing,
        }
    }

    async fn goodbye(&mut self, written: Option<oneshot::Sender<()>>) -> Result<(), Error> {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let sent = self.sink.send(Message::Close(Some(frame))).await;
        if let Some(written) = written {
            // Whoever asked may have stopped waiting.
            let _nobody_waits = written.send(());
        }
        match sent {
            Ok(()) | Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

enum Said {
    Nothing,
    Message(Message),
    Goodbye(Option<oneshot::Sender<()>>),
}
