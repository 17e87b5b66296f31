//! A body that an asynchronous function makes, piece by piece, only as fast as it is pulled.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::{BodyError, Piece, Source};

/// Where the function puts its pieces.
#[derive(Debug, Clone, Default)]
pub struct Outlet(Arc<Mutex<Option<Piece>>>);

impl Outlet {
    /// Hands a piece over and waits until it has been taken and the next one is wanted.
    pub async fn give(&self, piece: impl Into<Piece>) {
        *self.0.lock() = Some(piece.into());
        // Nobody has to be woken: whoever takes the piece comes back for the next one.
        std::future::poll_fn(|_cx| if self.0.lock().is_none() { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// The body.
pub(crate) struct Spun {
    work: Option<BoxFuture<'static, ()>>,
    outlet: Outlet,
}

impl Spun {
    pub(crate) fn new<F>(make: impl FnOnce(Outlet) -> F) -> Spun
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let outlet = Outlet::default();
        Spun { work: Some(Box::pin(make(outlet.clone()))), outlet }
    }
}

impl Source for Spun {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
        match self.outlet.0.lock().take() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None if self.work.is_none() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
