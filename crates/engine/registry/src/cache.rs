//! The watch cache: the objects of one stored kind as shared bytes, and their recent changes.
//!
//! One task follows the store and applies what it says in order. Readers take what they need under a short lock:
//! pointers to immutable objects. Watchers hold a position in the ring of changes and are woken when it grows
//! ([`waiting`]); one that is overtaken by the ring's end is told so and must list again.

mod cached;
mod feed;
mod state;
mod waiting;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kind::Refusal;
use parking_lot::{Mutex, RwLock};
use store::{Key, Revision, Store};
use tokio::sync::{Notify, OnceCell, watch};

pub use cached::Cached;
pub(crate) use cached::Facts;
use state::State;
pub(crate) use state::{Entry, Moved, Read};
pub(crate) use waiting::Place;
use waiting::Waiting;

use crate::StoredForm;

/// How long a consistent read waits for the cache to catch up with the store.
const CATCH_UP_MAX: Duration = Duration::from_secs(3);

/// Most writes that may be announced and not heard of yet; beyond that nothing is remembered of any of them.
const ANNOUNCEMENTS_MAX: usize = 4_096;

/// The objects of one stored kind.
pub struct Cache {
    stored: StoredForm,
    store: Arc<dyn Store>,
    state: RwLock<State>,
    /// How far the cache is; consistent reads wait on it.
    progress: watch::Sender<Progress>,
    /// Watchers that have seen everything.
    waiting: Waiting,
    /// Asks the feeding task for a sign of life at the store's current revision.
    wanted: Arc<Notify>,
    started: OnceCell<()>,
    /// What writers of this process know already of what the store will tell. Hints: one that is missing costs a
    /// decoding, one that is never fetched some memory.
    announcements: Mutex<HashMap<Key, (Bytes, Arc<Facts>)>>,
}

/// How far a cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Everything up to this revision is applied.
    pub revision: Revision,
    /// Changes applied since the cache was made.
    pub sequence: u64,
    /// How often the cache had to start over; its watchers ended each time.
    pub restarts: u64,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("prefix", &self.stored.prefix()).finish_non_exhaustive()
    }
}

impl Drop for Cache {
    /// Wakes the feeding task, which then finds that it is no longer needed.
    fn drop(&mut self) {
        self.wanted.notify_one();
    }
}

impl Cache {
    /// An empty cache. It fills itself when it is first asked.
    pub fn new(stored: StoredForm, store: Arc<dyn Store>) -> Arc<Cache> {
        let (progress, _) = watch::channel(Progress::default());
        Arc::new(Cache {
            stored,
            store,
            state: RwLock::new(State::default()),
            progress,
            waiting: Waiting::default(),
            wanted: Arc::new(Notify::new()),
            started: OnceCell::new(),
            announcements: Mutex::default(),
        })
    }

    /// How its objects are kept.
    pub fn stored_form(&self) -> &StoredForm {
        &self.stored
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Waits until it applies the next change.
    pub async fn moved(&self) {
        let mut progress = self.progress.subscribe();
        progress.mark_unchanged();
        // The sender lives as long as the cache, so waiting ends with a change and nothing else.
        if progress.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Where watchers wait.
    pub(crate) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Waits until the cache has been filled once.
    pub async fn ready(self: &Arc<Cache>) -> Result<(), Refusal> {
        self.started
            .get_or_init(|| async {
                feed::start(Arc::clone(self));
            })
            .await;
        self.reach(Revision(1)).await
    }

    /// Waits until everything acknowledged before this call is in the cache.
    pub async fn fresh(self: &Arc<Cache>) -> Result<(), Refusal> {
        self.ready().await?;
        let current = self.store.status().await.map_err(crate::store_refusal)?.revision;
        self.reach(current).await
    }

    /// Waits until the cache has applied `revision`.
    pub async fn reach(&self, revision: Revision) -> Result<(), Refusal> {
        let mut progress = self.progress.subscribe();
        if progress.borrow_and_update().revision >= revision {
            return Ok(());
        }
        self.wanted.notify_one();
        let reached = env::time::timeout(CATCH_UP_MAX, progress.wait_for(|progress| progress.revision >= revision));
        match reached.await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let current = self.progress().revision;
                Err(crate::from_the_future(revision, current))
            }
        }
    }

    /// Notes what is known of `stored`, which somebody is about to write.
    pub(crate) fn announce(&self, key: Key, stored: Bytes, facts: Arc<Facts>) {
        if !self.started.initialized() {
            return;
        }
        let mut announcements = self.announcements.lock();
        if announcements.len() >= ANNOUNCEMENTS_MAX {
            announcements.clear();
        }
        announcements.insert(key, (stored, facts));
    }

    /// What was noted of exactly these bytes.
    fn announced(&self, key: &Key, stored: &Bytes) -> Option<Arc<Facts>> {
        let (bytes, facts) = self.announcements.lock().remove(key)?;
        (bytes == *stored).then_some(facts)
    }

    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<Cached>> {
        self.state.read().objects.get(key).cloned()
    }

    /// The objects whose keys begin with `prefix`, in order, and the revision they are of.
    pub(crate) fn under(&self, prefix: &str) -> (Vec<Arc<Cached>>, Progress) {
        let state = self.state.read();
        let objects = state.under(prefix).cloned().collect();
        (objects, self.progress())
    }

    /// How many objects there are under `prefix`.
    pub fn count(&self, prefix: &str) -> usize {
        self.state.read().under(prefix).count()
    }

    /// The changes behind position `after`, at most `entries_max` of them.
    pub(crate) fn changes_after(&self, after: u64, entries_max: usize) -> Read {
        self.state.read().read(after, entries_max)
    }

    /// The position behind the last change of `revision` or older; `None` when that is no longer known.
    pub(crate) fn position_of(&self, revision: Revision) -> Option<u64> {
        self.state.read().position_of(revision)
    }
}
