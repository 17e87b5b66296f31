//! The news of one cache for one reader.
//!
//! A reader that falls behind finds the changes of a key merged into one: from the state it knows to the newest. So a
//! queue is never longer than the cache and what was deleted from it, and no reader holds up another.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use plan::Key;
use tokio::sync::Notify;

use crate::Item;

/// Entries without news are swept out when there are more than this many, and more than entries with.
const EMPTY_ENTRIES_MAX: usize = 1024;

/// An object came (`old` is absent), changed, or went (`new` is absent).
#[derive(Debug)]
pub struct Changed<T> {
    /// The state that the reader knows.
    pub old: Option<Arc<T>>,
    /// The newest state.
    pub new: Option<Arc<T>>,
}

impl<T> Clone for Changed<T> {
    fn clone(&self) -> Self {
        Changed { old: self.old.clone(), new: self.new.clone() }
    }
}

impl<T> Changed<T> {
    /// The newest state that there is: of an object that went, its last.
    pub fn latest(&self) -> Option<&Arc<T>> {
        self.new.as_ref().or(self.old.as_ref())
    }
}

/// The reading end.
#[derive(Debug)]
pub struct Subscription<T> {
    queue: Arc<Queue<T>>,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    news: Notify,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Waiting<T> {
    order: VecDeque<Key>,
    changes: HashMap<Key, Changed<T>>,
    /// How many of `changes` have come to nothing: came and went unread.
    empty: usize,
    /// The second half of a replacement.
    successor: Option<Arc<T>>,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Arc<Self> {
        let waiting = Waiting { order: VecDeque::new(), changes: HashMap::new(), empty: 0, successor: None };
        Arc::new(Queue { waiting: Mutex::new(waiting), news: Notify::new(), closed: AtomicBool::new(false) })
    }

    pub(crate) fn reader(self: &Arc<Self>) -> Subscription<T> {
        Subscription { queue: Arc::clone(self) }
    }

    /// Adds a change; the reader hears of it with the next [`Queue::wake`].
    pub(crate) fn put(&self, key: &Key, changed: Changed<T>) {
        self.waiting.lock().put(key, changed);
    }

    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// There will be no more news.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.news.notify_one();
    }
}

impl<T> Waiting<T> {
    fn put(&mut self, key: &Key, changed: Changed<T>) {
        let Some(known) = self.changes.get_mut(key) else {
            self.order.push_back(key.clone());
            self.changes.insert(key.clone(), changed);
            return;
        };
        let was_empty = known.old.is_none() && known.new.is_none();
        known.new = changed.new;
        let is_empty = known.old.is_none() && known.new.is_none();
        match (was_empty, is_empty) {
            (true, false) => self.empty -= 1,
            (false, true) => self.empty += 1,
            _ => {}
        }
        if self.empty > EMPTY_ENTRIES_MAX && self.empty > self.order.len() / 2 {
            self.changes.retain(|_, change| change.latest().is_some());
            self.order.retain(|key| self.changes.contains_key(key));
            self.empty = 0;
        }
    }
}

impl<T: Item> Waiting<T> {
    fn take(&mut self) -> Option<Changed<T>> {
        if let Some(new) = self.successor.take() {
            return Some(Changed { old: None, new: Some(new) });
        }
        loop {
            let key = self.order.pop_front()?;
            let Some(changed) = self.changes.remove(&key) else { continue };
            match (changed.old, changed.new) {
                (None, None) => self.empty -= 1,
                (Some(old), Some(new)) if old.identity() != new.identity() => {
                    self.successor = Some(new);
                    return Some(Changed { old: Some(old), new: None });
                }
                (old, new) => return Some(Changed { old, new }),
            }
        }
    }
}

impl<T: Item> Subscription<T> {
    /// The next change; `None` when the informer is gone. May be dropped and called again without losing anything.
    pub async fn next(&mut self) -> Option<Changed<T>> {
        loop {
            if let Some(changed) = self.try_next() {
                return Some(changed);
            }
            if self.queue.closed.load(Ordering::Acquire) {
                return None;
            }
            // News that came since are kept as a permit: nothing is slept through.
            self.queue.news.notified().await;
        }
    }

    /// The next change, if one is here.
    pub fn try_next(&mut self) -> Option<Changed<T>> {
        self.queue.waiting.lock().take()
    }

    /// All changes that are here; waits for the first. Empty when the informer is gone.
    pub async fn batch(&mut self) -> Vec<Changed<T>> {
        let Some(first) = self.next().await else { return Vec::new() };
        let mut waiting = self.queue.waiting.lock();
        std::iter::once(first).chain(std::iter::from_fn(|| waiting.take())).collect()
    }
}
