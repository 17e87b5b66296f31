//! Runs one controller: a queue of keys, planners at work, and the one place where anything is tried again.
//!
//! A key is queued once, however often it is woken; it is planned by one worker at a time; and it is planned again only after
//! the caches have seen what the last plan wrote, so that no planner ever acts on a state that it changed itself.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use env::task::{Fate, Shutdown, Task};
use env::time::Instant;
use futures::StreamExt as _;
use futures::stream::{self, FuturesUnordered};
use jiff::Timestamp;
use plan::{Key, Refusal};

use crate::controller::{Controller, Moment, Planner};
use crate::executor::{Executor, Outcome};

/// The first wait after a failure; each further one doubles it.
const BACKOFF_MS_FIRST: u64 = 5;
/// The longest wait after a failure.
const BACKOFF_SECONDS_MAX: u64 = 300;
/// A wait further away than this is looked at again.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Keys and their states.
#[derive(Default)]
struct Queue {
    ready: VecDeque<Key>,
    queued: HashSet<Key>,
    running: HashSet<Key>,
    /// Woken while they were being planned.
    again: HashSet<Key>,
    /// When a key is due; only the entry that `due` knows counts.
    later: BinaryHeap<Reverse<(Instant, Key)>>,
    due: HashMap<Key, Instant>,
    failures: HashMap<Key, (u32, Option<Refusal>)>,
}

impl Queue {
    fn wake(&mut self, key: Key) {
        if self.running.contains(&key) {
            self.again.insert(key);
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn wake_at(&mut self, key: Key, at: Instant) {
        if self.due.get(&key).is_some_and(|known| *known <= at) {
            return;
        }
        self.due.insert(key.clone(), at);
        self.later.push(Reverse((at, key)));
    }

    /// Moves what is due to the others; when the next key is due.
    fn turn_to(&mut self, now: Instant) -> Option<Instant> {
        loop {
            let Reverse((at, key)) = self.later.peek()?.clone();
            if at > now {
                return Some(at);
            }
            self.later.pop();
            if self.due.get(&key) == Some(&at) {
                self.due.remove(&key);
                self.wake(key);
            }
        }
    }

    fn take(&mut self) -> Option<Key> {
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        self.running.insert(key.clone());
        Some(key)
    }

    fn done(&mut self, key: Key, outcome: Outcome) {
        self.running.remove(&key);
        if self.again.remove(&key) {
            self.wake(key.clone());
        }
        if outcome.failed {
            let (count, refusal) = self.failures.entry(key.clone()).or_default();
            *count += 1;
            *refusal = outcome.refusal;
            let wait = backoff(*count);
            self.wake_at(key.clone(), Instant::now() + wait);
        } else {
            self.failures.remove(&key);
        }
        if let Some(at) = outcome.requeue_at {
            self.wake_at(key, Instant::now() + until(at));
        }
    }
}

fn backoff(failures: u32) -> Duration {
    let doubled = BACKOFF_MS_FIRST.saturating_mul(1_u64.checked_shl(failures - 1).unwrap_or(u64::MAX));
    Duration::from_millis(doubled).min(Duration::from_secs(BACKOFF_SECONDS_MAX))
}

/// From now to a time of the wall clock, and a millisecond more, so that it has come when we wake.
fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(env::time::now())).unwrap_or_default() + Duration::from_millis(1)
}

/// Runs a controller until shutdown; plans under way are finished.
pub(crate) async fn run(controller: Controller, executor: Executor, shutdown: Shutdown) {
    let Controller { name, workers, wakes, planner } = controller;
    let mut wakes = stream::select_all(wakes);
    let mut queue = Queue::default();
    let mut running: FuturesUnordered<Task<(Key, Outcome)>> = FuturesUnordered::new();
    let executor = Arc::new(executor);
    loop {
        let next_due = queue.turn_to(Instant::now());
        while running.len() < workers
            && let Some(key) = queue.take()
        {
            let refusal = queue.failures.get(&key).and_then(|(_, refusal)| refusal.clone());
            running.push(start(name, key, refusal, &planner, &executor));
        }
        let nap = next_due.map_or(SLEEP_MAX, |at| at.saturating_duration_since(Instant::now()).min(SLEEP_MAX));
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(keys) = wakes.next() => keys.into_iter().for_each(|key| queue.wake(key)),
            Some(done) = running.next() => {
                if let Some((key, outcome)) = done {
                    queue.done(key, outcome);
                }
            }
            () = env::time::sleep(nap) => {}
        }
    }
    while running.next().await.is_some() {}
}

fn start(
    name: &'static str,
    key: Key,
    refusal: Option<Refusal>,
    planner: &Planner,
    executor: &Arc<Executor>,
) -> Task<(Key, Outcome)> {
    let (planner, executor) = (Arc::clone(planner), Arc::clone(executor));
    env::task::spawn(Fate::Vital, name, async move {
        let moment = Moment { now: env::time::now(), refusal, client: executor.client.clone() };
        let outcome = match planner(key.clone(), moment).await {
            Ok(plan) => executor.execute(&key, plan).await,
            Err(error) => {
                tracing::debug!(controller = name, %key, %error, "a question found no answer");
                Outcome { failed: true, ..Outcome::default() }
            }
        };
        (key, outcome)
    })
}
