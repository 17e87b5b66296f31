//! Clock readings and waits.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;

use crate::world::World;

pub use tokio::time::{Instant, error::Elapsed};

/// The wall clock, UTC.
pub fn now() -> Timestamp {
    World::with(|world| world.wall()).unwrap_or_else(Timestamp::now)
}

/// Waits for `duration`.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits until the monotonic clock reads `deadline`.
pub async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline).await;
}

/// Gives `future` at most `duration` to finish.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(duration, future).await
}
