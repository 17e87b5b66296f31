//! Noticing that a process ended, without asking again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A watch over one process; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Exit {
    over: Arc<AtomicBool>,
    _task: env::task::Owned<()>,
}

impl Exit {
    /// Wakes `notify` once, when the process `pid` has ended (or has already).
    pub(crate) fn watch(pid: i32, notify: Arc<Notify>) -> Exit {
        let over = Arc::new(AtomicBool::new(false));
        let flag = over.clone();
        let task = env::task::spawn(env::task::Fate::Local, "exit-watch", async move {
            if let Err(error) = mounts::process::ended(pid).await {
                // The relist of the whole node notices instead, later.
                return tracing::warn!(pid, %error, "a process cannot be watched");
            }
            flag.store(true, Ordering::Release);
            notify.notify_one();
        });
        Exit { over, _task: task.abort_on_drop() }
    }

    /// Whether the process has ended, as far as this watch knows.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}
