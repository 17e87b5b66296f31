//! Who owns time and chance on this thread: the machine, or a simulation with a seed.

use std::cell::RefCell;

use jiff::Timestamp;

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// A simulated world: a seeded source of randomness and a wall clock that follows the runtime's (paused) clock.
#[derive(Debug, Clone)]
pub struct World {
    random: SplitMix64,
    wall_start: Timestamp,
    started: tokio::time::Instant,
}

impl World {
    /// Makes this thread's clock and randomness a function of `seed`, until the returned guard is dropped.
    ///
    /// Must be called inside a current-thread tokio runtime; with its clock paused, a run is repeatable.
    pub fn enter(seed: u64, wall_start: Timestamp) -> Guard {
        let world = World { random: SplitMix64(seed), wall_start, started: tokio::time::Instant::now() };
        WORLD.with(|slot| *slot.borrow_mut() = Some(world));
        Guard { _private: () }
    }

    pub(crate) fn with<R>(f: impl FnOnce(&mut World) -> R) -> Option<R> {
        WORLD.with(|slot| slot.borrow_mut().as_mut().map(f))
    }

    pub(crate) fn wall(&self) -> Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.started.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
        self.wall_start.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.random.next()
    }
}

/// Gives the thread back to the real world when dropped.
#[derive(Debug)]
pub struct Guard {
    _private: (),
}

impl Drop for Guard {
    fn drop(&mut self) {
        WORLD.with(|slot| *slot.borrow_mut() = None);
    }
}

/// Steele, Lea and Flood's SplitMix64: small, good enough for simulated chance, never for secrets.
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
