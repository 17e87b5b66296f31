//! The requests that wait for the committer: a bounded queue from tasks to one thread.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use crate::limits::{COMMANDS_WAITING_MAX, GROUP_COMMANDS_MAX};
use crate::{Error, LeaseId, Outcome, Txn};

/// A request that changes something, with the way back.
#[derive(Debug)]
pub(super) enum Command {
    /// The transaction's bounds are checked already.
    Txn {
        txn: Txn,
        reply: oneshot::Sender<Result<Outcome, Error>>,
    },
    Grant {
        ttl: Duration,
        reply: oneshot::Sender<Result<LeaseId, Error>>,
    },
    End {
        lease: LeaseId,
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    room: Semaphore,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<Command>,
    closed: bool,
}

impl Default for Queue {
    fn default() -> Queue {
        let (waiting, arrived) = Default::default();
        Queue { waiting, arrived, room: Semaphore::new(COMMANDS_WAITING_MAX) }
    }
}

impl Queue {
    /// Adds a command, waiting for room.
    pub(super) async fn push(&self, command: Command) -> Result<(), Error> {
        let room = self.room.acquire().await.map_err(|_closed| Error::Closed)?;
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(Error::Closed);
        }
        room.forget();
        waiting.commands.push_back(command);
        let was_empty = waiting.commands.len() == 1;
        drop(waiting);
        if was_empty {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for commands and moves some of them, in order, to `group`; false when the queue is closed and empty.
    pub(super) fn take(&self, group: &mut VecDeque<Command>) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.commands.is_empty() {
            if waiting.closed {
                return false;
            }
            self.arrived.wait(&mut waiting);
        }
        let count = waiting.commands.len().min(GROUP_COMMANDS_MAX);
        group.extend(waiting.commands.drain(..count));
        drop(waiting);
        self.room.add_permits(count);
        true
    }

    /// Refuses further commands. Those in the queue are still served.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.room.close();
        self.arrived.notify_one();
    }

    /// Drops what is queued, and with it the hopes of whoever waits for an answer.
    pub(super) fn discard(&self) {
        let commands = std::mem::take(&mut self.waiting.lock().commands);
        drop(commands);
    }
}
