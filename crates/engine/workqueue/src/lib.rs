//! What drives controllers: queues of keys, and the one loop that plans and writes.
//!
//! - [`Queue`]: each key at most once, with delays, growing waits after failures, and an overall limit.
//! - [`Controller`]: wakes keys by the news of informers, plans them, executes the plans, waits until its own writes are
//!   in view, retries. The only place where anything is retried.
//! - [`Recorder`]: events, merged and limited as upstream does.
//! - [`Election`]: one leader among many, by a Lease.
//!
//! Deliberately not here: any kind, any decision. Planners are pure functions that are handed in.
//!
//! Invariants
//! - A key is never planned twice at the same time, nor before the caches hold what its last plan wrote.
//! - A wake-up that comes while a key is in hand is not lost: it is planned again afterwards.
//! - Nothing polls. A queue has one timer, for the earliest delay, and none when nothing is delayed.

mod controller;
mod election;
mod execute;
mod metrics;
mod queue;
mod recorder;

#[cfg(test)]
mod tests;

pub use controller::{Ask, Controller};
pub use election::{Election, Ended, Timing};
pub use execute::{Executed, Executor};
pub use metrics::Metrics;
pub use queue::{Limits, Queue};
pub use recorder::{Recorder, Spoken};
