//! Following the history.
//!
//! A watcher has no queue: it has a cursor into the shared ring. The writer notes, in the cursor of each watcher whom a
//! commit concerns, the first revision that it has not delivered, and wakes it; the watcher then reads the ring from
//! there. So a watcher costs nothing while nothing happens to it, a slow one holds no memory of its own, and one that is
//! slower than the history's bound finds its place gone and is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures::Stream;
use futures::task::AtomicWaker;

use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX};
use crate::watcher::Watching;
use crate::{Batch, Error, Revision, Span};

use super::Mvcc;
use super::history::History;

/// How many commits are looked at under one lock.
const COMMITS_PER_LOCK: usize = 4_096;

/// A watcher's place in the history.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) id: u64,
    span: Span,
    from: Revision,
    /// The first revision that may hold something to deliver; 0 for none. Set and cleared under the history's lock.
    pending: AtomicU64,
    waker: AtomicWaker,
}

impl Cursor {
    pub(super) fn new(id: u64, span: Span, from: Revision) -> Cursor {
        Cursor { id, span, from, pending: AtomicU64::new(0), waker: AtomicWaker::new() }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Notes that `revision` concerns this watcher; true if it had nothing to deliver until then.
    pub(super) fn mark(&self, revision: Revision) -> bool {
        if revision < self.from {
            return false;
        }
        self.pending.compare_exchange(0, revision.0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn wake(&self) {
        self.waker.wake();
    }
}

/// The stream behind a watcher of an in-process engine.
#[derive(Debug)]
pub(super) struct Following {
    mvcc: Arc<Mvcc>,
    cursor: Arc<Cursor>,
    /// Something was delivered, or the starting point was found to be kept.
    begun: bool,
    ended: bool,
    progress_wanted: AtomicBool,
}

impl Following {
    pub(super) fn new(mvcc: Arc<Mvcc>, cursor: Arc<Cursor>) -> Following {
        Following { mvcc, cursor, begun: false, ended: false, progress_wanted: AtomicBool::new(false) }
    }

    fn gone(&self, waiting_for: Revision, oldest_kept: Revision) -> Error {
        if self.begun {
            Error::WatcherBehind { waiting_for, oldest_kept }
        } else {
            Error::Compacted { requested: waiting_for, compacted: Some(oldest_kept) }
        }
    }

    /// What there is to deliver under one lock.
    fn step(&mut self) -> Step {
        let history = self.mvcc.history.read();
        let pending = Revision(self.cursor.pending.swap(0, Ordering::AcqRel));
        if pending == Revision::ZERO {
            return match self.progress_wanted.swap(false, Ordering::AcqRel) {
                true => Step::Deliver(Batch { revision: history.revision(), events: Vec::new() }),
                false => Step::Wait,
            };
        }
        if pending < history.replay_from() {
            return Step::End(self.gone(pending, history.replay_from()));
        }
        self.begun = true;
        let (batch, resume) = self.collect(&history, pending);
        if let Some(resume) = resume {
            self.cursor.mark(resume);
        }
        match (batch.events.is_empty(), resume) {
            (false, _) => Step::Deliver(batch),
            (true, Some(_)) => Step::Again,
            // Nothing here concerned us, but progress may have been asked for.
            (true, None) if self.progress_wanted.load(Ordering::Acquire) => Step::Again,
            (true, None) => Step::Wait,
        }
    }

    /// The events from `pending` on that concern us, and where to go on if that was not everything.
    fn collect(&self, history: &History, pending: Revision) -> (Batch, Option<Revision>) {
        let mut batch = Batch { revision: pending, events: Vec::new() };
        let mut bytes = 0;
        for (looked_at, commit) in history.since(pending).enumerate() {
            if looked_at == COMMITS_PER_LOCK || batch.events.len() >= BATCH_EVENTS_MAX || bytes >= BATCH_BYTES_MAX {
                return (batch, Some(commit.revision));
            }
            for event in commit.events.iter().filter(|event| self.cursor.span.contains(event.key())) {
                bytes += event.size_bytes();
                batch.events.push(event.clone());
            }
            batch.revision = commit.revision;
        }
        (batch, None)
    }
}

enum Step {
    Deliver(Batch),
    /// There is more to look at.
    Again,
    /// The cursor's waker will tell.
    Wait,
    End(Error),
}

impl Stream for Following {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Registered before looking, so that a commit in between is not missed.
        self.cursor.waker.register(cx.waker());
        loop {
            match self.step() {
                Step::Deliver(batch) => return Poll::Ready(Some(Ok(batch))),
                Step::Again => {}
                Step::Wait => return Poll::Pending,
                Step::End(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl Watching for Following {
    fn request_progress(self: Pin<&mut Self>) -> Result<(), Error> {
        self.progress_wanted.store(true, Ordering::Release);
        self.cursor.wake();
        Ok(())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.mvcc.history.write().unregister(&self.cursor);
    }
}
