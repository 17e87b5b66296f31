//! The receiving end of a watch.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{Stream, StreamExt};

use crate::{Batch, Error};

/// What an engine puts behind a [`Watcher`].
pub trait Watching: Stream<Item = Result<Batch, Error>> + Send {
    /// Asks for a batch that tells how far the watch has come.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the engine's answer could not be trusted.
    fn request_progress(self: Pin<&mut Self>) -> Result<(), Error>;
}

/// A stream of batches, gap-free from the watch's first revision, that ends after its first error.
///
/// Dropping it ends the watch.
pub struct Watcher(Pin<Box<dyn Watching>>);

impl Watcher {
    /// Wraps an engine's stream.
    pub fn new(watching: impl Watching + 'static) -> Watcher {
        Watcher(Box::pin(watching))
    }

    /// The next batch; `None` after an error.
    pub async fn next(&mut self) -> Option<Result<Batch, Error>> {
        StreamExt::next(self).await
    }

    /// Asks for a batch, perhaps without events, whose revision is at least the store's revision of this moment.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when [`crate::Status::progress_on_request`] is false.
    pub fn request_progress(&mut self) -> Result<(), Error> {
        self.0.as_mut().request_progress()
    }
}

impl Stream for Watcher {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}
