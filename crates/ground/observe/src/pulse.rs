//! Whether a loop goes on: it has not ended, and no piece of its work hangs.

use std::sync::Arc;
use std::time::Duration;

use env::time::Instant;
use parking_lot::Mutex;

/// The pulse of a loop, as those feel it who watch over it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    NotBegun,
    Resting,
    WorkingSince(Instant),
    Ended,
}

/// Held by the loop while it runs: with its drop, however that comes, the loop has ended.
#[derive(Debug)]
pub struct Beat(Arc<Mutex<State>>);

impl Pulse {
    /// The loop begins.
    pub fn begin(&self) -> Beat {
        *self.0.lock() = State::Resting;
        Beat(Arc::clone(&self.0))
    }

    /// Passes unless the loop has ended, or has been at one piece of work for longer than `work_max`. One that has not
    /// begun is not ill: it may be another's turn.
    ///
    /// # Errors
    /// What is the matter.
    pub fn check(&self, work_max: Duration) -> Result<(), String> {
        let state = *self.0.lock();
        match state {
            State::NotBegun | State::Resting => Ok(()),
            State::Ended => Err("its loop has ended".to_owned()),
            State::WorkingSince(since) if since.elapsed() <= work_max => Ok(()),
            State::WorkingSince(since) => {
                Err(format!("its loop hangs: it has worked for {} s without a rest", since.elapsed().as_secs()))
            }
        }
    }
}

impl Beat {
    /// A piece of work begins.
    pub fn work(&self) {
        *self.0.lock() = State::WorkingSince(Instant::now());
    }

    /// There is nothing to do.
    pub fn rest(&self) {
        *self.0.lock() = State::Resting;
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        *self.0.lock() = State::Ended;
    }
}
