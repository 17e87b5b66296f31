//! Open loop: requests begin by the clock, and each is measured from when it was due, so that waiting in line counts.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use env::task::{Fate, spawn};
use env::time::{Instant, sleep_until};

use super::Client;
use super::closed::{Done, Make};

/// How often, how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) requests: u32,
    /// The status of every answer.
    pub(crate) status: u16,
}

impl Pace {
    /// When the nth request begins, after the first.
    pub(crate) fn due(&self, number: u32) -> Duration {
        Duration::from_secs(1) * number / self.per_second
    }
}

/// Sends requests at their times and waits for all answers.
///
/// # Errors
/// The first answer with another status, or the first lost connection.
pub(crate) async fn run(client: &Arc<Client>, pace: Pace, make: Make) -> Result<Done> {
    let began = Instant::now();
    let mut under_way = Vec::new();
    for number in 0..pace.requests {
        let due = began + pace.due(number);
        sleep_until(due).await;
        let (client, call) = (Arc::clone(client), make(u64::from(number)));
        let ask = async move { client.expect(&call, pace.status).await.map(|_| due.elapsed()) };
        under_way.push(spawn(Fate::Local, "request", ask));
    }
    let mut took = Vec::new();
    for request in under_way {
        took.push(request.await.context("a request of the load generator panicked")??);
    }
    Ok(Done { elapsed: began.elapsed(), took })
}
