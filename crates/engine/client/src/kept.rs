//! What a server said lately.

use std::collections::BTreeMap;
use std::time::Duration;

use env::time::Instant;
use parking_lot::Mutex;

/// Values by text, each with an end. When it is full, what has ended goes; when that is not enough, everything does.
#[derive(Debug)]
pub struct Kept<V> {
    entries: Mutex<BTreeMap<String, (V, Instant)>>,
    entries_max: usize,
}

impl<V: Clone> Kept<V> {
    /// Keeps at most `entries_max` values.
    pub fn new(entries_max: usize) -> Kept<V> {
        Kept { entries: Mutex::default(), entries_max }
    }

    /// The value, while it lasts.
    pub fn get(&self, key: &str) -> Option<V> {
        let entries = self.entries.lock();
        let (value, until) = entries.get(key)?;
        (*until > Instant::now()).then(|| value.clone())
    }

    /// Keeps a value for `life`.
    pub fn put(&self, key: String, value: V, life: Duration) {
        let (now, mut entries) = (Instant::now(), self.entries.lock());
        if entries.len() >= self.entries_max {
            entries.retain(|_, (_, until)| *until > now);
        }
        if entries.len() >= self.entries_max {
            entries.clear();
        }
        entries.insert(key, (value, now + life));
    }

    /// Forgets whatever begins with `prefix`.
    pub fn forget(&self, prefix: &str) {
        self.entries.lock().retain(|key, _| !key.starts_with(prefix));
    }
}

#[cfg(test)]
mod tests;
