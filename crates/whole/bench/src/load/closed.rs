//! Closed loop: so many clients, each waiting for its answer before it asks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use env::task::{Fate, spawn};
use env::time::Instant;

use super::{Call, Client};

/// Makes the nth request.
pub(crate) type Make = Arc<dyn Fn(u64) -> Call + Send + Sync>;

/// How much, how long, by how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Requests under way at any time.
    pub(crate) clients: usize,
    pub(crate) requests_max: u64,
    /// No request begins later.
    pub(crate) time_max: Duration,
    /// The status of every answer.
    pub(crate) status: u16,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) elapsed: Duration,
    /// How long each request took, in no order.
    pub(crate) took: Vec<Duration>,
}

impl Done {
    pub(crate) fn count(&self) -> usize {
        self.took.len()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends requests until one of the bounds is reached.
///
/// # Errors
/// The first answer with another status, or the first lost connection.
pub(crate) async fn run(client: &Arc<Client>, load: Load, make: Make) -> Result<Done> {
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let lanes: Vec<_> = (0..load.clients)
        .map(|_| spawn(Fate::Local, "client", lane(client.clone(), load, make.clone(), next.clone(), began)))
        .collect();
    let mut took = Vec::new();
    for lane in lanes {
        took.extend(lane.await.context("a client of the load generator panicked")??);
    }
    Ok(Done { elapsed: began.elapsed(), took })
}

async fn lane(
    client: Arc<Client>,
    load: Load,
    make: Make,
    next: Arc<AtomicU64>,
    began: Instant,
) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while began.elapsed() < load.time_max {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= load.requests_max {
            break;
        }
        let call = make(number);
        let asked = Instant::now();
        client.expect(&call, load.status).await?;
        took.push(asked.elapsed());
    }
    Ok(took)
}
