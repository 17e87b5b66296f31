//! The task that keeps a cache equal to the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use env::task::Fate;
use env::time::Instant;
use kind::Refusal;
use store::{Batch, Change, Event, Key, Range, Revision, Span, Watch, Watcher};

use super::state::{Entry, Moved};
use super::waiting::Rounds;
use super::{Cache, Cached, Progress};
use crate::store_refusal;
use tokio::sync::Notify;

/// Objects read at once when a cache is filled.
const FILL_PAGE: usize = 2_000;
/// Shortest and longest wait before a cache that lost the store starts over.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Starts feeding. The task ends when nobody holds the cache any more.
pub(super) fn start(cache: Arc<Cache>) {
    let weak = Arc::downgrade(&cache);
    let wanted = Arc::clone(&cache.wanted);
    drop(cache);
    env::task::spawn(Fate::Vital, "watch cache", async move {
        let mut wait = RETRY.0;
        while let Some(cache) = weak.upgrade() {
            let filled = fill(&cache).await;
            let prefix = cache.stored.prefix().to_owned();
            drop(cache);
            let end = match filled {
                Ok(watcher) => {
                    wait = RETRY.0;
                    follow(&weak, &wanted, watcher).await
                }
                Err(refusal) => refusal.to_string(),
            };
            if weak.strong_count() == 0 {
                return;
            }
            tracing::warn!(%prefix, reason = %end, "the watch cache starts over");
            env::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    });
}

/// Reads everything as of one revision and begins to watch behind it.
async fn fill(cache: &Arc<Cache>) -> Result<Watcher, Refusal> {
    let prefix = cache.stored.prefix();
    let mut objects = BTreeMap::new();
    let mut revision = None;
    let mut span = Span::prefix(prefix);
    loop {
        let mut range = Range::of(span).limit(FILL_PAGE);
        range.at = revision;
        let page = cache.store.range(range).await.map_err(store_refusal)?;
        revision = Some(revision.unwrap_or(page.revision));
        for entry in page.entries {
            let cached = Cached::new(entry.key.clone(), entry.modified, entry.value, &cache.stored)?;
            objects.insert(entry.key, Arc::new(cached));
        }
        match objects.last_key_value() {
            Some((last, _)) if page.more => span = Span::prefix_after(prefix, last),
            _ => break,
        }
    }
    let revision = revision.unwrap_or_default();
    cache.announcements.lock().clear();
    let watcher = cache.store.watch(Watch::after(Span::prefix(prefix), revision)).await.map_err(store_refusal)?;
    let mut state = cache.state.write();
    state.reset(objects, revision);
    let sequence = state.end();
    cache.progress.send_modify(|progress| {
        // Revision 1 stands for "filled" on a store in which nothing was ever written.
        *progress = Progress { revision: revision.max(Revision(1)), sequence, restarts: progress.restarts + 1 };
    });
    cache.waiting.moved();
    Ok(watcher)
}

/// Applies what the store says until it says no more; returns why. Between two changes nothing holds the cache.
///
/// Watchers are woken in between.
async fn follow(weak: &Weak<Cache>, wanted: &Notify, mut watcher: Watcher) -> String {
    let (mut rounds, mut is_under_way) = (Rounds::default(), true);
    loop {
        tokio::select! {
            biased;
            batch = watcher.next() => {
                let batch = match batch {
                    Some(Ok(batch)) => batch,
                    Some(Err(error)) => return error.to_string(),
                    None => return "the store's watch ended".to_owned(),
                };
                let Some(cache) = weak.upgrade() else { return "nobody uses it".to_owned() };
                if let Err(refusal) = apply(&cache, batch) {
                    return refusal.to_string();
                }
            }
            () = rounds.turn(), if is_under_way => {}
            () = wanted.notified() => {
                if weak.strong_count() == 0 {
                    return "nobody uses it".to_owned();
                }
                if let Err(error) = watcher.request_progress() {
                    tracing::debug!(%error, "the store gives no progress on request");
                }
            }
        }
        let Some(cache) = weak.upgrade() else { return "nobody uses it".to_owned() };
        is_under_way = rounds.go_on(&cache.waiting, Instant::now());
    }
}

fn apply(cache: &Cache, batch: Batch) -> Result<(), Refusal> {
    // Objects are decoded before the lock is taken, so that readers wait for pointers to move and nothing else.
    let mut prepared: Vec<(Key, Arc<Cached>, bool)> = Vec::with_capacity(batch.events.len());
    for event in batch.events {
        let previous =
            prepared.iter().rev().find(|(key, ..)| key == event.key()).map(|(_, object, _)| Arc::clone(object));
        prepared.extend(prepare(cache, event, previous)?);
    }
    let at = Instant::now();
    let mut state = cache.state.write();
    for (key, object, deleted) in prepared {
        let old = state.objects.get(&key).cloned();
        let moved = match (deleted, &old) {
            (true, _) => Moved::Deleted,
            (false, None) => Moved::Added,
            (false, Some(_)) => Moved::Modified,
        };
        state.apply(Entry { object, old, moved, at });
    }
    let sequence = state.end();
    cache.progress.send_modify(|progress| {
        progress.revision = progress.revision.max(batch.revision);
        progress.sequence = sequence;
    });
    cache.waiting.moved();
    drop(state);
    cache.waiting.wake_own();
    Ok(())
}

/// The object that a change makes; a deletion's is the last state at the deletion's revision.
fn prepare(
    cache: &Cache,
    event: Event,
    previous: Option<Arc<Cached>>,
) -> Result<Option<(Key, Arc<Cached>, bool)>, Refusal> {
    Ok(match event.change {
        Change::Put(entry) => {
            let (key, value) = (entry.key.clone(), entry.value);
            let cached = match cache.announced(&key, &value) {
                Some(facts) => Cached::with_facts(key, entry.modified, value, facts),
                None => Cached::new(key, entry.modified, value, &cache.stored)?,
            };
            Some((entry.key, Arc::new(cached), false))
        }
        Change::Delete { key, revision } => {
            let last = previous.or_else(|| cache.get(&key)).map(|object| object.stored().clone());
            let Some(stored) = last.or_else(|| event.prev.map(|entry| entry.value)) else { return Ok(None) };
            let cached = Cached::new(key.clone(), revision, stored, &cache.stored)?;
            Some((key, Arc::new(cached), true))
        }
    })
}
