//! Tasks that say what their death means.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use tokio_util::sync::{CancellationToken as Shutdown, DropGuard};

/// What it means when a task ends by a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The process cannot keep its promises without it: the process ends, to be started again (crash-only).
    Vital,
    /// It served one request, connection or pod; its death is logged and concerns nobody else.
    Local,
}

/// A running task. Dropping the handle leaves it running; [`Task::abort_on_drop`] ties it to its owner.
#[derive(Debug)]
pub struct Task<T> {
    handle: tokio::task::JoinHandle<Option<T>>,
}

impl<T> Task<T> {
    /// Stops the task at its next suspension point.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Ends the task when the returned owner is dropped.
    pub fn abort_on_drop(self) -> Owned<T> {
        Owned(self)
    }
}

impl<T> Future for Task<T> {
    /// `None` when the task was aborted or panicked.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.handle).poll(cx).map(|joined| joined.ok().flatten())
    }
}

/// A task that ends with its owner.
#[derive(Debug)]
pub struct Owned<T>(Task<T>);

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts `future` as a task named `name`.
#[expect(clippy::disallowed_methods, reason = "this is the door that the ban points to")]
pub fn spawn<F>(fate: Fate, name: &'static str, future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let watched = async move {
        match CatchPanic(Box::pin(future)).await {
            Ok(output) => Some(output),
            Err(message) => {
                tracing::error!(task = name, panic = %message, "a task panicked");
                if fate == Fate::Vital {
                    std::process::exit(70);
                }
                None
            }
        }
    };
    Task { handle: tokio::spawn(watched) }
}

/// Runs blocking work (file system, kernel) off the asynchronous threads.
///
/// # Panics
/// When `work` panics, or when the runtime is shutting down.
pub async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match tokio::task::spawn_blocking(work).await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

struct CatchPanic<F>(Pin<Box<F>>);

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = std::panic::AssertUnwindSafe(|| self.0.as_mut().poll(cx));
        match std::panic::catch_unwind(inner) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(message(&panic))),
        }
    }
}

fn message(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
