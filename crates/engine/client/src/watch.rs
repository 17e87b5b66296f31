//! Watches: a body cut into events.
//!
//! Protobuf comes as four bytes of length and a `WatchEvent`, JSON as one document per line.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use codec::{json, proto};
use futures::Stream;
use http_body::Body as _;
use kind::{Refusal, Resource};
use object::{Meta, Schema, Value};
use serving::Body;
use typed::Kind;

use crate::{Error, TransportError, wire};

/// The largest event that is read: far above what a server stores.
const EVENT_BYTES_MAX: usize = 64 << 20;
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<T> {
    /// The object is new, or new to the selection.
    Added(T),
    /// The object changed.
    Modified(T),
    /// The object is gone, or no longer selected; this is its last state, in the revision of its end.
    Deleted(T),
    /// Everything up to a revision has been seen.
    Bookmark {
        /// The revision.
        resource_version: String,
        /// The present state is complete; from here on come changes.
        initial_end: bool,
    },
}

/// A change of a tree.
pub type TreeEvent = Event<Value>;

impl TreeEvent {
    /// The revision up to which everything has been seen with it.
    pub fn resource_version(&self) -> &str {
        match self {
            Event::Added(tree) | Event::Modified(tree) | Event::Deleted(tree) => Meta::of(tree).resource_version(),
            Event::Bookmark { resource_version, .. } => resource_version,
        }
    }
}

impl<T> Event<T> {
    fn try_map<U>(self, convert: impl FnOnce(&T) -> Result<U, Error>) -> Result<Event<U>, Error> {
        Ok(match self {
            Event::Added(object) => Event::Added(convert(&object)?),
            Event::Modified(object) => Event::Modified(convert(&object)?),
            Event::Deleted(object) => Event::Deleted(convert(&object)?),
            Event::Bookmark { resource_version, initial_end } => Event::Bookmark { resource_version, initial_end },
        })
    }
}

/// A watch of trees. Dropping it ends the watch.
#[derive(Debug)]
pub struct TreeWatch {
    body: Option<Body>,
    buffer: BytesMut,
    /// How much of the buffer is known to have no end of line.
    searched: usize,
    protobuf: bool,
    renamed: Option<Box<Resource>>,
}

impl TreeWatch {
    pub(crate) fn new(body: Body, protobuf: bool, renamed: Option<Box<Resource>>) -> Self {
        TreeWatch { body: Some(body), buffer: BytesMut::new(), searched: 0, protobuf, renamed }
    }

    /// The next change; `None` when the server ended the watch. An error is the last item. May be dropped and called
    /// again without losing anything.
    pub async fn next(&mut self) -> Option<Result<TreeEvent, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Where in the buffer the next frame lies (start, end, bytes to pass).
    fn peek_frame(&mut self) -> Result<Option<(usize, usize, usize)>, Error> {
        if self.protobuf {
            let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
            let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
            if length > EVENT_BYTES_MAX {
                return Err(Error::Decode(format!("an event of {length} bytes")));
            }
            return Ok((self.buffer.len() >= 4 + length).then_some((4, 4 + length, 4 + length)));
        }
        match self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            Some(at) => Ok(Some((0, self.searched + at, self.searched + at + 1))),
            None if self.buffer.len() > EVENT_BYTES_MAX => Err(Error::Decode("an event without end".to_owned())),
            None => {
                self.searched = self.buffer.len();
                Ok(None)
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<Bytes>, Error> {
        let Some((start, end, passed)) = self.peek_frame()? else { return Ok(None) };
        self.searched = 0;
        let mut frame = self.buffer.split_to(passed).freeze();
        frame.truncate(end);
        frame.advance(start);
        Ok(Some(frame))
    }

    fn read(&self, frame: &[u8]) -> Result<TreeEvent, Error> {
        if self.protobuf {
            let (kind, object) = proto::open_event(frame)?;
            let tree = proto::decode_enveloped(object, Schema::builtin())?.value;
            return self.event(kind, tree);
        }
        let mut document = json::parse(frame)?;
        let tree = document.remove(&["object"]).unwrap_or_default();
        self.event(document.str_at(&["type"]).unwrap_or_default(), tree)
    }

    fn event(&self, kind: &str, mut tree: Value) -> Result<TreeEvent, Error> {
        if let Some(resource) = self.renamed.as_deref().filter(|_| matches!(kind, "ADDED" | "MODIFIED" | "DELETED")) {
            wire::name_kind(&mut tree, resource);
        }
        Ok(match kind {
            "ADDED" => Event::Added(tree),
            "MODIFIED" => Event::Modified(tree),
            "DELETED" => Event::Deleted(tree),
            "BOOKMARK" => Event::Bookmark {
                resource_version: tree.str_at(&["metadata", "resourceVersion"]).unwrap_or_default().to_owned(),
                initial_end: tree.str_at(&["metadata", "annotations", INITIAL_END]) == Some("true"),
            },
            "ERROR" => return Err(Refusal::Status(Box::new(tree)).into()),
            other => return Err(Error::Decode(format!("an event of the unknown type {other:?}"))),
        })
    }

    /// Reads more bytes; `false` at the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(Ok(false)) };
        loop {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(false)),
                Some(Err(error)) => return Poll::Ready(Err(TransportError::from(error).into())),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        self.buffer.extend_from_slice(&piece.into_bytes());
                        return Poll::Ready(Ok(true));
                    }
                }
            }
        }
    }
}

impl Stream for TreeWatch {
    type Item = Result<TreeEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let watch = &mut *self;
        if watch.body.is_none() {
            return Poll::Ready(None);
        }
        let outcome = loop {
            match watch.take_frame() {
                Ok(Some(frame)) if frame.is_empty() => {}
                Ok(Some(frame)) => break Some(watch.read(&frame)),
                Err(error) => break Some(Err(error)),
                Ok(None) => match ready!(watch.poll_more(cx)) {
                    Ok(true) => {}
                    Ok(false) => break None,
                    Err(error) => break Some(Err(error)),
                },
            }
        };
        if !matches!(outcome, Some(Ok(_))) {
            watch.body = None;
        }
        Poll::Ready(outcome)
    }
}

/// A watch of a typed kind. Dropping it ends the watch.
#[derive(Debug)]
pub struct WatchStream<K> {
    trees: TreeWatch,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> WatchStream<K> {
    pub(crate) fn new(trees: TreeWatch) -> Self {
        WatchStream { trees, kind: PhantomData }
    }

    /// The next change; `None` when the server ended the watch. An error is the last item. May be dropped and called
    /// again without losing anything.
    pub async fn next(&mut self) -> Option<Result<Event<K>, Error>> {
        let event = self.trees.next().await?;
        Some(event.and_then(|event| event.try_map(|tree| Ok(K::from_tree(tree)?))))
    }
}
