//! Who is woken, when, and beside whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Watcher {
    place: Place,
    bell: Arc<Bell>,
}

impl Watcher {
    fn new(waiting: &Waiting, peer: Option<&str>) -> Watcher {
        let peer = peer.map(|peer| peer.parse().expect("an address"));
        Watcher { place: waiting.place(peer), bell: Arc::default() }
    }

    fn park(&self, waiting: &Waiting) -> bool {
        waiting.park(self.place, waiting.moves(), &Waker::from(Arc::clone(&self.bell)))
    }

    fn rung(&self) -> usize {
        self.bell.0.load(Ordering::Relaxed)
    }
}

fn rung(watchers: &[Watcher]) -> Vec<usize> {
    watchers.iter().map(Watcher::rung).collect()
}

#[test]
fn nobody_parks_who_has_missed_a_move() {
    let waiting = Waiting::default();
    let watcher = Watcher::new(&waiting, None);
    let seen = waiting.moves();
    waiting.moved();
    assert!(!waiting.park(watcher.place, seen, Waker::noop()), "there is more to be seen");
    assert!(watcher.park(&waiting));
    assert!(!waiting.wake_some(), "it has heard of the last move");
    assert_eq!(watcher.rung(), 0);
    waiting.moved();
    waiting.wake_some();
    assert_eq!(watcher.rung(), 1);
    waiting.moved();
    waiting.wake_some();
    assert_eq!(watcher.rung(), 1, "it has not come back yet");
}

#[test]
fn watchers_of_one_connection_are_woken_together_and_all_before_one_again() {
    let waiting = Waiting::default();
    let mut watchers: Vec<Watcher> = Vec::new();
    let connections = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:3"];
    for _ in 0..WOKEN_AT_ONCE - 1 {
        watchers.extend(connections.map(|peer| Watcher::new(&waiting, Some(peer))));
    }
    let all_park = || watchers.iter().for_each(|watcher| assert!(watcher.park(&waiting)));
    all_park();
    waiting.moved();
    let expect = |counts: [usize; 3], when: &str| {
        let expected: Vec<usize> = (0..WOKEN_AT_ONCE - 1).flat_map(|_| counts).collect();
        assert_eq!(rung(&watchers), expected, "{when}");
    };
    assert!(waiting.wake_some());
    expect([1, 1, 0], "one connection has fewer, so the next one goes along as a whole");
    // These have seen the first move and hear of a second one before the others have heard of any.
    all_park();
    waiting.moved();
    assert!(waiting.wake_some());
    expect([1, 1, 1], "the others first");
    assert!(!waiting.wake_some(), "the others have not come back");
    expect([2, 2, 1], "then those again");
}

#[test]
fn own_watchers_need_no_turn() {
    let waiting = Waiting::default();
    let watchers = [Watcher::new(&waiting, Some("10.0.0.1:1")), Watcher::new(&waiting, None)];
    watchers.iter().for_each(|watcher| assert!(watcher.park(&waiting)));
    waiting.wake_own();
    assert_eq!(rung(&watchers), [0, 0], "nothing has moved");
    waiting.moved();
    waiting.wake_own();
    assert_eq!(rung(&watchers), [0, 1]);
}

#[test]
fn who_leaves_is_not_woken() {
    let waiting = Waiting::default();
    let watcher = Watcher::new(&waiting, None);
    assert!(watcher.park(&waiting));
    waiting.leave(watcher.place);
    waiting.moved();
    assert!(!waiting.wake_some());
    assert_eq!(watcher.rung(), 0);
}

#[test]
fn a_round_that_took_long_has_a_rest_behind_it() {
    for (took, rest) in [(REST.0, Duration::ZERO), (REST.0 * 5, REST.0 * 5), (REST.1 * 5, REST.1)] {
        let waiting = Waiting::default();
        let peers = (0..=WOKEN_AT_ONCE).map(|port| format!("10.0.0.1:{}", port + 1));
        let watchers: Vec<Watcher> = peers.map(|peer| Watcher::new(&waiting, Some(&peer))).collect();
        let all_park = || watchers.iter().for_each(|watcher| assert!(watcher.park(&waiting)));
        let mut rounds = Rounds::default();
        let began = Instant::now();
        all_park();
        waiting.moved();
        assert!(rounds.go_on(&waiting, began), "one is left");
        let ended = began + took;
        while rounds.go_on(&waiting, ended) {}
        assert_eq!(rung(&watchers), vec![1; WOKEN_AT_ONCE + 1]);
        all_park();
        waiting.moved();
        if !rest.is_zero() {
            assert!(rounds.go_on(&waiting, ended + rest - Duration::from_nanos(1)), "there is something to do, later");
            assert_eq!(watchers[0].rung(), 1, "nobody is woken in a rest of {rest:?}");
        }
        assert!(rounds.go_on(&waiting, ended + rest));
        assert_eq!(watchers[0].rung(), 2, "after a rest of {rest:?}");
    }
}
