//! Connections that carry requests: HTTP/2 ones shared by many, HTTP/1.1 ones by one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use parking_lot::Mutex;
use serving::{Body, BodyError, Piece, Source};

/// Requests on one HTTP/2 connection. Servers allow 100; a watch counts as long as it lasts.
const STREAMS_PER_CONNECTION_MAX: usize = 90;
/// HTTP/1.1 connections that wait for their next request.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// The open connections to one server.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    shared: Mutex<Vec<Arc<Shared>>>,
    idle: Mutex<Vec<http1::SendRequest<Body>>>,
}

#[derive(Debug)]
struct Shared {
    sender: http2::SendRequest<Body>,
    streams: AtomicUsize,
}

/// A place on a connection for one request and its answer.
#[derive(Debug)]
pub(crate) enum Lane {
    /// One of many streams.
    Stream(http2::SendRequest<Body>, Seat),
    /// A connection of its own.
    Whole(http1::SendRequest<Body>),
}

/// Counts a stream until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Shared>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// A place on an open connection, if there is one.
    pub(crate) fn lane(&self) -> Option<Lane> {
        let mut shared = self.shared.lock();
        shared.retain(|connection| !connection.sender.is_closed());
        let free = |one: &&Arc<Shared>| one.streams.load(Ordering::Relaxed) < STREAMS_PER_CONNECTION_MAX;
        if let Some(connection) = shared.iter().find(free) {
            return Some(seat(connection));
        }
        drop(shared);
        let mut idle = self.idle.lock();
        idle.retain(|connection| !connection.is_closed());
        let at = idle.iter().position(http1::SendRequest::is_ready)?;
        Some(Lane::Whole(idle.swap_remove(at)))
    }

    /// Adds a connection and gives its first place.
    pub(crate) fn share(&self, sender: http2::SendRequest<Body>) -> Lane {
        let connection = Arc::new(Shared { sender, streams: AtomicUsize::new(0) });
        self.shared.lock().push(Arc::clone(&connection));
        seat(&connection)
    }

    /// No new request uses today's connections; those on them run to their ends.
    pub(crate) fn forget(&self) {
        self.shared.lock().clear();
        self.idle.lock().clear();
    }

    fn give_back(&self, connection: http1::SendRequest<Body>) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_CONNECTIONS_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }
}

fn seat(connection: &Arc<Shared>) -> Lane {
    connection.streams.fetch_add(1, Ordering::Relaxed);
    Lane::Stream(connection.sender.clone(), Seat(Arc::clone(connection)))
}

/// What an answer's body keeps until it is read.
pub(crate) enum Hold {
    Seat(#[expect(dead_code, reason = "held for its drop")] Seat),
    Connection(http1::SendRequest<Body>, Arc<Pool>),
}

/// An answer's body, as it comes from the socket.
pub(crate) struct Arriving {
    incoming: Incoming,
    hold: Option<Hold>,
}

impl Arriving {
    pub(crate) fn body(incoming: Incoming, hold: Option<Hold>) -> Body {
        Body::source(Arriving { incoming, hold })
    }
}

impl Source for Arriving {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        loop {
            let frame = ready!(std::pin::Pin::new(&mut self.incoming).poll_frame(cx));
            match frame {
                None => {
                    if let Some(Hold::Connection(connection, pool)) = self.hold.take() {
                        pool.give_back(connection);
                    }
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    self.hold = None;
                    return Poll::Ready(Some(Err(BodyError::Transport(error))));
                }
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes.into())));
                    }
                }
            }
        }
    }

    fn bytes_left(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }
}
