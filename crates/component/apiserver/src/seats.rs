//! How many requests may be under way.
//!
//! Two bounds, as upstream's without priority levels: one for reads, one for writes. Requests of the masters' group are
//! never refused, and long-running ones (watches, exec, logs, proxies) hold no seat.

use std::sync::Arc;

use gate::{Authenticated, RequestInfo};
use kind::{Refusal, User};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The seats.
#[derive(Debug)]
pub(crate) struct Seats {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl Seats {
    /// So many at a time (upstream's defaults are 400 and 200).
    pub(crate) fn new(reads_max: usize, writes_max: usize) -> Seats {
        Seats { reads: Arc::new(Semaphore::new(reads_max)), writes: Arc::new(Semaphore::new(writes_max)) }
    }

    /// A seat, given back when it is dropped; `None` for requests that need none.
    pub(crate) fn take(&self, request: &Authenticated) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        let info = request.info();
        if is_long_running(info) || request.user().in_group(User::MASTERS) {
            return Ok(None);
        }
        let reads = matches!(info.verb, "get" | "list" | "watch" | "head");
        let seats = if reads { &self.reads } else { &self.writes };
        match Arc::clone(seats).try_acquire_owned() {
            Ok(seat) => Ok(Some(seat)),
            Err(_all_taken) => Err(Refusal::TooManyRequests {
                message: "Too many requests, please try again later.".to_owned(),
                retry_after_seconds: 1,
                causes: Vec::new(),
            }),
        }
    }
}

/// Requests that last as long as their client likes.
pub(crate) fn is_long_running(info: &RequestInfo) -> bool {
    let subresource = info.target.as_ref().map(|target| target.subresource.as_str()).unwrap_or_default();
    info.verb == "watch" || matches!(subresource, "attach" | "exec" | "proxy" | "log" | "portforward")
}
