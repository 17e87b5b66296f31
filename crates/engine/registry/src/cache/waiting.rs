//! Who waits for changes, and when they are woken: in rounds, a few at a time.
//!
//! A thousand watchers that are woken at once stand in line before every request that comes meanwhile, and waking each
//! of them for each change costs more than telling them of several together. So requests take their turns between the
//! watchers, and after a round that took long there is a rest as long: what is written meanwhile goes out with the next.
//! Where watchers are few, a round takes no time, and neither does its rest.
//!
//! Invariants
//! - Nobody parks who has not heard of the last move; whoever is parked is woken after the next one.
//! - No client is woken again for a later move before all others have been woken for the one before.
//! - Watchers of this process are woken at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use env::time::Instant;
use parking_lot::Mutex;

/// Woken at once, and as many more as share a connection with the last of them: what they say leaves together.
const WOKEN_AT_ONCE: usize = 128;
/// Rounds that are over sooner than this have no rest behind them, and no rest is longer than that.
const REST: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// A place in the order: beside others of the same client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    peer: Option<SocketAddr>,
    number: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// How often the cache has moved.
    moves: AtomicU64,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    places: u64,
    /// Who is parked, and which move each has heard of.
    parked: BTreeMap<Place, (u64, Waker)>,
    /// Who was woken last; `None` when all have been.
    woken: Option<Place>,
}

impl Waiting {
    /// A new place.
    pub(crate) fn place(&self, peer: Option<SocketAddr>) -> Place {
        let mut line = self.line.lock();
        line.places += 1;
        Place { peer, number: line.places }
    }

    /// How often the cache has moved: to be asked before looking at it.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// Parks whoever has seen everything up to the move `seen`; `false` when there is more to be seen.
    pub(crate) fn park(&self, place: Place, seen: u64, waker: &Waker) -> bool {
        let mut line = self.line.lock();
        if self.moves() != seen {
            return false;
        }
        line.parked.insert(place, (seen, waker.clone()));
        true
    }

    /// Forgets a place.
    pub(crate) fn leave(&self, place: Place) {
        self.line.lock().parked.remove(&place);
    }

    /// The cache has moved.
    pub(super) fn moved(&self) {
        // Under the lock, so that nobody parks in between who has not heard of it.
        let _line = self.line.lock();
        self.moves.fetch_add(1, Ordering::Release);
    }

    /// Wakes those within this process.
    pub(super) fn wake_own(&self) {
        let own = self.line.lock().take_own(self.moves());
        own.into_iter().for_each(Waker::wake);
    }

    /// Wakes some; `true` when more may be due.
    fn wake_some(&self) -> bool {
        let (woken, more) = self.line.lock().next(self.moves());
        woken.into_iter().for_each(Waker::wake);
        more
    }
}

/// The rounds in which the watchers of one cache are woken.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// When the one under way began.
    began: Option<Instant>,
    rests_until: Option<Instant>,
}

impl Rounds {
    /// Goes on with the round, or begins the next one unless there is a rest still; `true` when there is more to do.
    pub(super) fn go_on(&mut self, waiting: &Waiting, now: Instant) -> bool {
        if self.rests_until.is_some_and(|until| now < until) {
            return true;
        }
        self.rests_until = None;
        let began = *self.began.get_or_insert(now);
        if waiting.wake_some() {
            return true;
        }
        self.began = None;
        let took = now.duration_since(began);
        self.rests_until = (took > REST.0).then(|| now + took.min(REST.1));
        false
    }

    /// Waits until it is worth going on: others have had their turn, or the rest is over.
    pub(super) async fn turn(&self) {
        match self.rests_until {
            Some(until) => env::time::sleep_until(until).await,
            None => tokio::task::yield_now().await,
        }
    }
}

impl Line {
    /// Those within this process who have not heard of the move `now`.
    fn take_own(&mut self, now: u64) -> Vec<Waker> {
        let own = self.parked.iter().take_while(|(place, _)| place.peer.is_none());
        let due: Vec<Place> = own.filter(|(_, (seen, _))| *seen != now).map(|(place, _)| *place).collect();
        due.iter().filter_map(|place| self.parked.remove(place)).map(|(_, waker)| waker).collect()
    }

    /// The next who have not heard of the move `now`, and whether there may be more.
    fn next(&mut self, now: u64) -> (Vec<Waker>, bool) {
        let from = self.woken.take();
        let behind = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut due: Vec<Place> = Vec::new();
        for (place, (seen, _)) in self.parked.range((behind, Bound::Unbounded)) {
            let last = due.last().copied().filter(|_| due.len() >= WOKEN_AT_ONCE);
            if last.is_some_and(|last| !last.is_beside(place)) {
                self.woken = last;
                break;
            }
            if *seen != now {
                due.push(*place);
            }
        }
        let wakers = due.iter().filter_map(|place| self.parked.remove(place)).map(|(_, waker)| waker).collect();
        // The first ones may wait again by now, for a move that came after their turn.
        (wakers, self.woken.is_some() || from.is_some())
    }
}

impl Place {
    fn is_beside(&self, other: &Place) -> bool {
        self.peer.is_some() && self.peer == other.peer
    }
}

#[cfg(test)]
mod tests;
