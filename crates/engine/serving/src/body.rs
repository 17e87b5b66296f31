//! Bodies of requests and answers.
//!
//! A body is pulled: nothing is produced before the connection has room for it, which is all the backpressure there is.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::mpsc;

use crate::activity::Guard;
use crate::spun::{Outlet, Spun};

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection failed or broke the protocol.
    #[error("the peer's body cannot be read")]
    Transport(#[from] hyper::Error),
    /// The producer gave up.
    #[error("the body was not produced to its end: {0}")]
    Producer(String),
}

/// Something that makes a body on demand, such as a watch: its state between two chunks is all it costs.
pub trait Source: Send {
    /// The next chunk, `None` at the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>>;

    /// How many bytes will come, where that is known.
    fn bytes_left(&self) -> Option<u64> {
        None
    }
}

/// A body, of a request or an answer.
#[derive(Default)]
pub struct Body {
    kind: Kind,
    guard: Option<Guard>,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Chunks(Pieces),
    Source(Box<dyn Source>),
    Incoming(Incoming),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Chunks(pieces) => write!(f, "Body({} bytes in {} chunks)", pieces.left, pieces.chunks.len()),
            Kind::Source(_) => f.write_str("Body(source)"),
            Kind::Incoming(_) => f.write_str("Body(incoming)"),
        }
    }
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Body::default()
    }

    /// Bytes that are shared, one after the other, without being copied together: a list of encoded objects.
    pub fn chunks(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        match Pieces::from(chunks.into_iter().collect::<Vec<Bytes>>()) {
            pieces if pieces.left == 0 => Body::empty(),
            pieces => Kind::Chunks(pieces).into(),
        }
    }

    /// A body made on demand.
    pub fn source(source: impl Source + 'static) -> Self {
        Kind::Source(Box::new(source)).into()
    }

    /// A body that an asynchronous function makes as it is pulled: nothing of it runs before, or in between.
    pub fn spun<F>(make: impl FnOnce(Outlet) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Body::source(Spun::new(make))
    }

    /// A body that another task writes; the writer waits while `chunks_max` chunks are on their way.
    pub fn channel(chunks_max: usize) -> (Sender, Self) {
        let (sender, receiver) = mpsc::channel(chunks_max.max(1));
        (Sender(sender), Body::source(Channel(receiver)))
    }

    /// The body of an answer that another server gives, passed on as it comes.
    pub fn passed_on(incoming: Incoming) -> Self {
        Body::incoming(incoming)
    }

    pub(crate) fn incoming(incoming: Incoming) -> Self {
        Kind::Incoming(incoming).into()
    }

    /// Keeps its connection from counting as idle until the body is gone.
    pub(crate) fn guarded(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// The length, where it is known beforehand.
    pub fn len(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }

    /// Whether it is known to have no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The bytes, when they are all here already; the body itself otherwise.
    pub fn into_ready(self) -> Result<Vec<Bytes>, Body> {
        match self.kind {
            Kind::Empty => Ok(Vec::new()),
            Kind::Full(bytes) => Ok(vec![bytes]),
            Kind::Chunks(pieces) => Ok(pieces.chunks.into()),
            Kind::Source(_) | Kind::Incoming(_) => Err(self),
        }
    }

    /// The next bytes; `None` at the end. For readers within the process.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            let frame = std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut *self), cx)).await?;
            match frame.map(Frame::into_data) {
                Ok(Ok(piece)) => return Some(Ok(piece.into_bytes())),
                Ok(Err(_trailers)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl From<Kind> for Body {
    fn from(kind: Kind) -> Self {
        Body { kind, guard: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Body::empty() } else { Kind::Full(bytes).into() }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl http_body::Body for Body {
    type Data = Piece;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, BodyError>>> {
        let one = |bytes| Frame::data(Piece(Form::One(bytes)));
        let body = self.get_mut();
        match &mut body.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Source(source) => source.poll_chunk(cx).map(|next| next.map(|chunk| chunk.map(Frame::data))),
            Kind::Incoming(incoming) => {
                let next = std::task::ready!(Pin::new(incoming).poll_frame(cx));
                let convert = |frame: Frame<Bytes>| frame.map_data(|bytes| Piece(Form::One(bytes)));
                Poll::Ready(next.map(|frame| frame.map(convert).map_err(BodyError::Transport)))
            }
            Kind::Full(_) | Kind::Chunks(_) => Poll::Ready(match std::mem::take(&mut body.kind) {
                Kind::Full(bytes) => Some(Ok(one(bytes))),
                Kind::Chunks(pieces) => Some(Ok(Frame::data(Piece(Form::Many(pieces))))),
                _ => None,
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Incoming(incoming) => incoming.is_end_stream(),
            Kind::Source(source) => source.bytes_left() == Some(0),
            Kind::Full(_) | Kind::Chunks(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Chunks(pieces) => SizeHint::with_exact(pieces.left as u64),
            Kind::Source(source) => source.bytes_left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Kind::Incoming(incoming) => incoming.size_hint(),
        }
    }
}

/// The writing end of [`Body::channel`]. Dropping it ends the body.
#[derive(Debug, Clone)]
pub struct Sender(mpsc::Sender<Result<Bytes, BodyError>>);

impl Sender {
    /// Waits for room and sends; `false` when nobody reads any more.
    pub async fn send(&self, chunk: Bytes) -> bool {
        self.0.send(Ok(chunk)).await.is_ok()
    }

    /// Sends if there is room now: a watcher that has none is too slow.
    pub fn try_send(&self, chunk: Bytes) -> bool {
        self.0.try_send(Ok(chunk)).is_ok()
    }

    /// Breaks the body off, so that the reader sees it is not whole; `false` when nobody reads any more.
    pub async fn fail(self, why: String) -> bool {
        self.0.send(Err(BodyError::Producer(why))).await.is_ok()
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

struct Channel(mpsc::Receiver<Result<Bytes, BodyError>>);

impl Source for Channel {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        self.0.poll_recv(cx).map(|next| next.map(|chunk| chunk.map(Piece::from)))
    }
}

/// A part of a body on its way to the socket: one chunk, or many that are written together without copying.
#[derive(Debug)]
pub struct Piece(Form);

#[derive(Debug)]
enum Form {
    One(Bytes),
    Many(Pieces),
}

#[derive(Debug)]
struct Pieces {
    chunks: VecDeque<Bytes>,
    left: usize,
}

impl From<Vec<Bytes>> for Pieces {
    fn from(mut chunks: Vec<Bytes>) -> Pieces {
        chunks.retain(|chunk| !chunk.is_empty());
        let left = chunks.iter().map(Bytes::len).sum();
        Pieces { chunks: chunks.into(), left }
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Piece {
        Piece(Form::One(bytes))
    }
}

impl From<Vec<Bytes>> for Piece {
    fn from(chunks: Vec<Bytes>) -> Piece {
        Piece(Form::Many(chunks.into()))
    }
}

impl Piece {
    /// All of it as one; copies only when there are several chunks.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Form::One(bytes) => bytes,
            Form::Many(mut pieces) => match pieces.chunks.len() {
                1 => pieces.chunks.pop_front().unwrap_or_default(),
                _ => pieces.copy_to_bytes(pieces.left),
            },
        }
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.chunks.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.chunks);
        pairs.map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.left, "a reader advances within what is left");
        self.left -= count;
        while let Some(front) = self.chunks.front_mut().filter(|_| count > 0) {
            let step = count.min(front.len());
            front.advance(step);
            count -= step;
            if front.is_empty() {
                self.chunks.pop_front();
            }
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        match &self.0 {
            Form::One(bytes) => bytes.len(),
            Form::Many(pieces) => pieces.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match &self.0 {
            Form::One(bytes) => bytes,
            Form::Many(pieces) => pieces.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match &self.0 {
            Form::One(bytes) => bytes.chunks_vectored(slices),
            Form::Many(pieces) => pieces.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, count: usize) {
        match &mut self.0 {
            Form::One(bytes) => bytes.advance(count),
            Form::Many(pieces) => pieces.advance(count),
        }
    }
}
