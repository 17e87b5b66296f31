//! Why the store did not do what it was asked.

use std::sync::Arc;

use crate::{Key, LeaseId, Revision};

/// The failures of a store. They clone, because one failed sync is told to everybody who shared it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The revision is forgotten: list again (HTTP 410 in Kubernetes). `compacted` is the oldest one kept, where the
    /// engine tells it.
    #[error("revision {requested} is compacted")]
    Compacted { requested: Revision, compacted: Option<Revision> },

    /// The revision has not happened. `current` is where the store stands, where the engine tells it.
    #[error("revision {requested} is in the future")]
    FutureRevision { requested: Revision, current: Option<Revision> },

    /// A watcher was too slow for the history that is kept and is closed: list again.
    #[error("the watcher fell behind: it waits for revision {waiting_for}, the oldest kept is {oldest_kept}")]
    WatcherBehind { waiting_for: Revision, oldest_kept: Revision },

    /// The transaction has too many bytes.
    #[error("the transaction has {size_bytes} bytes, at most {size_bytes_max} are possible")]
    TooLarge { size_bytes: usize, size_bytes_max: usize },

    /// Something countable exceeds its bound.
    #[error("too many {what}: at most {max} are possible")]
    TooMany { what: &'static str, max: usize },

    /// A key is empty or too long.
    #[error("a key must have 1 to {size_bytes_max} bytes, this one has {size_bytes}")]
    InvalidKey { size_bytes: usize, size_bytes_max: usize },

    /// A transaction writes one key twice.
    #[error("the transaction writes the key {key} more than once")]
    DuplicateKey { key: Key },

    /// The lease ended or never was.
    #[error("lease {lease} does not exist")]
    LeaseNotFound { lease: LeaseId },

    /// The lease's time to live is longer than possible.
    #[error("a lease may live for at most {seconds_max} seconds")]
    LeaseTooLong { seconds_max: u64 },

    /// The engine's disk quota is used up; reads and deletes may still work.
    #[error("the store is out of space")]
    NoSpace,

    /// The engine does not accept our credentials, or they may not do this.
    #[error("the store refused access: {message}")]
    Denied { message: String },

    /// The engine cannot be reached; nothing was done. Trying again later is right.
    #[error("the store is unavailable: {message}")]
    Unavailable { message: String },

    /// The connection broke, or time ran out, after a write was sent: it may have happened or not.
    #[error("the store did not confirm a write that it may have made: {message}")]
    OutcomeUnknown { message: String },

    /// The engine lacks something, with its version or with this build.
    #[error("the store does not support {what}")]
    Unsupported { what: &'static str },

    /// What is stored, or was answered, makes no sense.
    #[error("the store is corrupt: {message}")]
    Corrupt { message: String },

    /// Another process has the store's file open.
    #[error("the store file {path} is in use by another process")]
    InUse { path: String },

    /// A write to disk failed. Whatever was under way may be durable or not, nothing will be written any more, and the
    /// process should end, to recover from the file when it is started again.
    #[error("a write to the disk failed and the store accepts no more writes")]
    Poisoned(#[source] Arc<dyn std::error::Error + Send + Sync>),

    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,

    /// A file could not be opened or prepared.
    #[error("the store file {path} could not be opened")]
    Open { path: String, source: Arc<dyn std::error::Error + Send + Sync> },
}

impl Error {
    pub(crate) fn corrupt(message: impl Into<String>) -> Error {
        Error::Corrupt { message: message.into() }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Error {
        Error::Unavailable { message: message.into() }
    }
}
