//! watch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use kind::Refusal;
use store::Revision;

use crate::cache::{Entry, Moved, Place, Read};
use crate::{Cache, Cached, Freshness, Registry, Selection, WatchOptions};

/// Changes taken from the ring at once.
const CHANGES_AT_ONCE: usize = 256;

/// What happened to an object, as one watcher sees it.
#[derive(Debug, Clone)]
pub enum Change {
    /// An object came, changed or went.
    Object(ChangeKind, Arc<Cached>),
    /// The objects that there were have all been sent, as of this revision.
    InitialEnd(Revision),
}

/// How a change looks through a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the API's")]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

impl ChangeKind {
    /// The event's type.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Added => "ADDED",
            ChangeKind::Modified => "MODIFIED",
            ChangeKind::Deleted => "DELETED",
        }
    }
}

/// A running watch: a selection and a position in the cache's ring.
#[derive(Debug)]
pub struct Watch {
    cache: Arc<Cache>,
    place: Place,
    /// The cache's moves that were heard of before the last look.
    seen: u64,
    prefix: String,
    selection: Selection,
    position: u64,
    restarts: u64,
    revision: Revision,
    ready: VecDeque<Change>,
}

impl Registry {
    /// Begins to watch.
    ///
    /// # Errors
    /// [`Refusal::Expired`] when the changes since the wanted revision are no longer all known.
    pub async fn watch(&self, options: WatchOptions) -> Result<Watch, Refusal> {
        match (options.initial_events, options.freshness, options.from) {
            (true, Freshness::Consistent, _) => self.cache.fresh().await?,
            (true, Freshness::NotOlderThan(revision), _) => {
                self.cache.ready().await?;
                self.cache.reach(revision).await?;
            }
            // Without a revision a watch begins anywhere in the past (resourceVersion "0") or now and consistently ("").
            (false, Freshness::Consistent, None) => self.cache.fresh().await?,
            _ => self.cache.ready().await?,
        }
        let prefix = self.stored.namespace_prefix(&options.selection.namespace);
        let mut ready = VecDeque::new();
        let progress;
        let position;
        if options.initial_events || options.from.is_none() {
            let (objects, now) = self.cache.under(&prefix);
            progress = now;
            position = now.sequence;
            let chosen = objects.into_iter().filter(|object| chooses(&options.selection, object));
            ready.extend(chosen.map(|object| Change::Object(ChangeKind::Added, object)));
            if options.initial_events {
                ready.push_back(Change::InitialEnd(now.revision));
            }
        } else {
            let from = options.from.unwrap_or_default();
            progress = self.cache.progress();
            position = self
                .cache
                .position_of(from)
                .ok_or_else(|| Refusal::Expired(format!("too old resource version: {from} ({})", progress.revision)))?;
        }
        Ok(Watch {
            cache: Arc::clone(&self.cache),
            place: self.cache.waiting().place(options.peer),
            seen: 0,
            prefix,
            selection: options.selection,
            position,
            restarts: progress.restarts,
            revision: progress.revision.max(options.from.unwrap_or_default()),
            ready,
        })
    }
}

impl Watch {
    /// The next changes, in order; waits until there are some.
    ///
    /// # Errors
    /// [`Refusal::Expired`] when the watcher has fallen behind or the cache had to start over: the stream is over.
    pub async fn next(&mut self) -> Result<Vec<Change>, Refusal> {
        std::future::poll_fn(|cx| {
            loop {
                let changes = self.poll()?;
                if !changes.is_empty() {
                    return Poll::Ready(Ok(changes));
                }
                if self.cache.waiting().park(self.place, self.seen, cx.waker()) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// The changes that are there already.
    pub fn poll(&mut self) -> Result<Vec<Change>, Refusal> {
        if !self.ready.is_empty() {
            return Ok(self.ready.drain(..).collect());
        }
        loop {
            self.seen = self.cache.waiting().moves();
            let progress = self.cache.progress();
            let read = self.cache.changes_after(self.position, CHANGES_AT_ONCE);
            let Read::Changes(entries, position) = read else { return Err(self.behind()) };
            if progress.restarts != self.restarts {
                return Err(self.behind());
            }
            let seen_all = entries.is_empty();
            self.position = position;
            match entries.last() {
                Some(last) => self.revision = self.revision.max(last.object.revision()),
                // Nothing is missing between the last change and the cache's progress.
                None if progress.sequence <= self.position => self.revision = self.revision.max(progress.revision),
                None => {}
            }
            let changes: Vec<Change> = entries.iter().filter_map(|entry| self.see(entry)).collect();
            if !changes.is_empty() || seen_all {
                return Ok(changes);
            }
        }
    }

    /// The revision up to which this watcher has seen everything: what a bookmark says.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    fn behind(&self) -> Refusal {
        Refusal::Expired(format!("too old resource version: {} ({})", self.revision, self.cache.progress().revision))
    }

    /// A change as it looks through the selection: entering it is an addition, leaving it a deletion.
    fn see(&self, entry: &Entry) -> Option<Change> {
        if !entry.object.key().as_bytes().starts_with(self.prefix.as_bytes()) {
            return None;
        }
        let now = entry.moved != Moved::Deleted && chooses(&self.selection, &entry.object);
        let before = match &entry.old {
            Some(old) => chooses(&self.selection, old),
            None => entry.moved == Moved::Deleted && chooses(&self.selection, &entry.object),
        };
        let kind = match (before, now) {
            (false, true) => ChangeKind::Added,
            (true, true) => ChangeKind::Modified,
            (true, false) => ChangeKind::Deleted,
            (false, false) => return None,
        };
        Some(Change::Object(kind, Arc::clone(&entry.object)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.cache.waiting().leave(self.place);
    }
}

fn chooses(selection: &Selection, object: &Cached) -> bool {
    (selection.name.is_empty() || object.name() == selection.name)
        && object.matches(&selection.labels, &selection.fields)
}
