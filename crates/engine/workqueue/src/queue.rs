//! Keys that wait for their turn.
//!
//! A key is waiting, in hand, or both at once (woken while in hand), never waiting twice. Delays stand on a heap; the
//! one who takes keys sleeps until the earliest.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use env::time::Instant;
use parking_lot::Mutex;
use plan::Key;
use tokio::sync::Notify;

use crate::Metrics;
use crate::metrics::Measured;

/// How retries are slowed down. The defaults are upstream's `DefaultTypedControllerRateLimiter`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The wait after a key's first failure; it doubles with each further one.
    pub backoff_first: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// Retries per second of all keys together, in the long run.
    pub retries_per_second: f64,
    /// Retries of all keys together that may come at once.
    pub retries_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            backoff_first: Duration::from_millis(5),
            backoff_max: Duration::from_secs(1000),
            retries_per_second: 10.0,
            retries_burst: 100,
        }
    }
}

/// The queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
    limits: Limits,
    measured: Option<Measured>,
}

#[derive(Debug)]
struct State {
    ready: VecDeque<Key>,
    /// Keys that are to be handed out, and since when: those in `ready`, and those in hand that were woken again.
    wanted: HashMap<Key, Instant>,
    in_hand: HashMap<Key, Instant>,
    delays: BinaryHeap<Reverse<(Instant, u64, Key)>>,
    /// The delay that counts for a key; what else stands on the heap is outdated.
    due: HashMap<Key, (Instant, u64)>,
    failures: HashMap<Key, u32>,
    bucket: Bucket,
    sequence: u64,
    is_shut: bool,
}

/// Upstream's token bucket with reservations: whoever finds it empty learns how long to wait.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Queue {
    /// An empty queue.
    pub fn new(name: &str, limits: Limits, metrics: Option<&Metrics>) -> Self {
        let state = State {
            ready: VecDeque::new(),
            wanted: HashMap::new(),
            in_hand: HashMap::new(),
            delays: BinaryHeap::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
            bucket: Bucket { tokens: f64::from(limits.retries_burst), filled: Instant::now() },
            sequence: 0,
            is_shut: false,
        };
        let measured = metrics.map(|metrics| metrics.of(name));
        Queue(Arc::new(Shared { state: Mutex::new(state), news: Notify::new(), limits, measured }))
    }

    /// Wants a key to be handed out, if it is not wanted already.
    pub fn add(&self, key: Key) {
        let added = self.0.state.lock().add(key, Instant::now());
        self.tell(usize::from(added == Added::Ready), usize::from(added == Added::InHand));
    }

    /// Wants keys to be handed out.
    pub fn add_all(&self, keys: impl IntoIterator<Item = Key>) {
        // Keys may be slow to find; nobody waits for the lock meanwhile.
        let keys: Vec<Key> = keys.into_iter().collect();
        if keys.is_empty() {
            return;
        }
        let now = Instant::now();
        let added: Vec<Added> = {
            let mut state = self.0.state.lock();
            keys.into_iter().map(|key| state.add(key, now)).collect()
        };
        let count = |wanted: Added| added.iter().filter(|added| **added == wanted).count();
        self.tell(count(Added::Ready), count(Added::InHand));
    }

    /// Wants a key to be handed out after a while; of several wishes the earliest counts.
    pub fn add_after(&self, key: Key, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let mut state = self.0.state.lock();
        let at = Instant::now() + delay;
        if state.is_shut || state.due.get(&key).is_some_and(|(known, _)| *known <= at) {
            return;
        }
        state.sequence += 1;
        let sequence = state.sequence;
        state.due.insert(key.clone(), (at, sequence));
        state.delays.push(Reverse((at, sequence, key)));
        drop(state);
        self.0.news.notify_one();
    }

    /// Wants a key that failed to be handed out after a wait that grows with its failures. Returns the wait.
    pub fn retry(&self, key: Key) -> Duration {
        let mut state = self.0.state.lock();
        let failures = state.failures.entry(key.clone()).or_default();
        let factor = 2_f64.powi(i32::try_from(*failures).unwrap_or(i32::MAX).min(64));
        *failures += 1;
        let limits = &self.0.limits;
        let own = Duration::try_from_secs_f64(limits.backoff_first.as_secs_f64() * factor).unwrap_or(Duration::MAX);
        let wait = own.min(limits.backoff_max).max(state.bucket.reserve(limits, Instant::now()));
        drop(state);
        if let Some(measured) = &self.0.measured {
            measured.retries.add(1);
        }
        self.add_after(key, wait);
        wait
    }

    /// A key succeeded: its next failure is its first.
    pub fn forget(&self, key: &Key) {
        self.0.state.lock().failures.remove(key);
    }

    /// How often a key has failed in a row.
    pub fn failures(&self, key: &Key) -> u32 {
        self.0.state.lock().failures.get(key).copied().unwrap_or(0)
    }

    /// How many keys could be handed out now.
    pub fn len(&self) -> usize {
        self.0.state.lock().ready.len()
    }

    /// Whether no key could be handed out now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next key, which is in hand until [`Queue::done`]; `None` when the queue is shut. May be dropped and called
    /// again.
    pub async fn next(&self) -> Option<Key> {
        loop {
            let (key, earliest) = self.0.state.lock().take(Instant::now());
            if let Some((key, waited, more)) = key {
                if more {
                    self.0.news.notify_one();
                }
                if let Some(measured) = &self.0.measured {
                    measured.depth.add(-1.0);
                    measured.waited.observe(waited.as_secs_f64());
                }
                return Some(key);
            }
            if self.0.state.lock().is_shut {
                self.0.news.notify_one();
                return None;
            }
            let news = self.0.news.notified();
            match earliest {
                Some(at) => {
                    let _either = env::time::timeout(at.saturating_duration_since(Instant::now()), news).await;
                }
                None => news.await,
            }
        }
    }

    /// A key is no longer in hand; if it was woken meanwhile it waits again.
    pub fn done(&self, key: &Key) {
        let mut state = self.0.state.lock();
        let Some(begun) = state.in_hand.remove(key) else { return };
        let again = state.wanted.contains_key(key) && !state.is_shut;
        if again {
            state.ready.push_back(key.clone());
        }
        drop(state);
        if let Some(measured) = &self.0.measured {
            measured.worked.observe(begun.elapsed().as_secs_f64());
            measured.depth.add(if again { 1.0 } else { 0.0 });
        }
        self.0.news.notify_one();
    }

    /// Hands nothing out any more, and takes nothing in.
    pub fn shut_down(&self) {
        self.0.state.lock().is_shut = true;
        self.0.news.notify_one();
    }

    /// Tells of keys that became ready, and of others that will be when they are no longer in hand.
    fn tell(&self, ready: usize, in_hand: usize) {
        if ready + in_hand == 0 {
            return;
        }
        if let Some(measured) = &self.0.measured {
            measured.adds.add((ready + in_hand) as u64);
            measured.depth.add(ready as f64);
        }
        if ready > 0 {
            self.0.news.notify_one();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    Nothing,
    Ready,
    InHand,
}

impl State {
    fn add(&mut self, key: Key, now: Instant) -> Added {
        if self.is_shut || self.wanted.contains_key(&key) {
            return Added::Nothing;
        }
        self.wanted.insert(key.clone(), now);
        if self.in_hand.contains_key(&key) {
            return Added::InHand;
        }
        self.ready.push_back(key);
        Added::Ready
    }

    /// The next key with how long it has waited and whether more are ready; otherwise the earliest delay.
    fn take(&mut self, now: Instant) -> (Option<(Key, Duration, bool)>, Option<Instant>) {
        let earliest = self.ripen(now);
        if self.is_shut {
            return (None, None);
        }
        let Some(key) = self.ready.pop_front() else { return (None, earliest) };
        let since = self.wanted.remove(&key).unwrap_or(now);
        self.in_hand.insert(key.clone(), now);
        (Some((key, now.duration_since(since), !self.ready.is_empty())), earliest)
    }

    /// Adds the keys whose delay is over; returns the earliest delay that is not.
    fn ripen(&mut self, now: Instant) -> Option<Instant> {
        while let Some(Reverse((at, sequence, _))) = self.delays.peek() {
            let (at, sequence) = (*at, *sequence);
            let is_current = |known: &(Instant, u64)| *known == (at, sequence);
            let Some(Reverse((_, _, key))) = self.delays.peek() else { break };
            let is_current = self.due.get(key).is_some_and(is_current);
            if is_current && at > now {
                return Some(at);
            }
            let Some(Reverse((_, _, key))) = self.delays.pop() else { break };
            if is_current {
                self.due.remove(&key);
                self.add(key, now);
            }
        }
        None
    }
}

impl Bucket {
    fn reserve(&mut self, limits: &Limits, now: Instant) -> Duration {
        let gained = now.duration_since(self.filled).as_secs_f64() * limits.retries_per_second;
        self.tokens = (self.tokens + gained).min(f64::from(limits.retries_burst)) - 1.0;
        self.filled = now;
        let missing = (-self.tokens).max(0.0) / limits.retries_per_second;
        Duration::try_from_secs_f64(missing).unwrap_or(Duration::ZERO)
    }
}
