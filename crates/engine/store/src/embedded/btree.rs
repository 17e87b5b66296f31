//! What has left the log: the newest value of each key, as a B-tree file, in `redb`.
//!
//! Three tables: entries by the revision of their last write, leases by number, and facts about the whole (the format,
//! the revision). Entries are ordered by time and not by key, because nobody looks for keys on disk: new rows are
//! appended to full pages side by side, and what was written together tends to be superseded together. A folding is one
//! transaction of the file with one sync: `redb` writes new pages beside the old ones, and a header with a checksum makes
//! them count. After a crash the file is checked and falls back to the last transaction whose pages are whole.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use jiff::Timestamp;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use crate::mvcc::{Commit, Lease, Snapshot};
use crate::{Entry, Error, Key, LeaseId, Revision};

use super::journal::{DiskError, FORMAT, FORMAT_BEFORE, Group};

/// Revision of the last write (8 bytes, big-endian) and key → created, version, lease (8 bytes each, little-endian,
/// 0 for none), value.
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");
/// Lease number → deadline in milliseconds since 1970.
const LEASES: TableDefinition<'_, i64, i64> = TableDefinition::new("leases");
/// Name → number.
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

const FACT_REVISION: &str = "revision";
/// The number of the last record of the log that is in here.
const FACT_RECORD: &str = "record";
const HEAD_BYTES: usize = 24;
const REVISION_BYTES: usize = 8;

/// The pages that `redb` may keep in memory. All reads are served from our own state, so only the tree's inner pages
/// and what a transaction touches matter.
const CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct TreeFile {
    database: Database,
    folded: u64,
    path: Option<Arc<Path>>,
}

impl TreeFile {
    /// Opens or makes the file, and reads all of it.
    pub(super) fn open(path: &Path) -> Result<(TreeFile, Snapshot), Error> {
        let exists = env::fs::symlink_metadata(path).is_ok();
        if !exists {
            create(path)?;
        }
        let database = builder().open(path).map_err(|error| cannot_open(path, error))?;
        renew(&database, path)
            .map_err(|error| Error::Open { path: path.display().to_string(), source: Arc::from(error) })?;
        let mut file = TreeFile { database, folded: 0, path: Some(Arc::from(path)) };
        let snapshot = file.load()?;
        Ok((file, snapshot))
    }

    /// The same on another medium.
    #[cfg(test)]
    pub(super) fn open_backend(backend: impl redb::StorageBackend) -> Result<(TreeFile, Snapshot), Error> {
        let medium = Path::new("(not a file)");
        let database = builder().create_with_backend(backend).map_err(|error| cannot_open(medium, error))?;
        initialize(&database).map_err(|error| Error::corrupt(error.to_string()))?;
        let mut file = TreeFile { database, folded: 0, path: None };
        let snapshot = file.load()?;
        Ok((file, snapshot))
    }

    /// The number of the last record of the log that is in here.
    pub(super) fn folded(&self) -> u64 {
        self.folded
    }

    fn load(&mut self) -> Result<Snapshot, Error> {
        self.read().map_err(|error| match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::corrupt(error.to_string()),
        })
    }

    fn read(&mut self) -> Result<Snapshot, DiskError> {
        let transaction = self.database.begin_read()?;
        let facts = transaction.open_table(FACTS)?;
        if facts.get(FORMAT)?.is_none() {
            return Err(Error::corrupt(format!("the file is not of the format {FORMAT}")).into());
        }
        let revision = facts.get(FACT_REVISION)?.map_or(Revision::ZERO, |fact| Revision(fact.value()));
        self.folded = facts.get(FACT_RECORD)?.map_or(0, |fact| fact.value());
        let mut snapshot = Snapshot { revision, ..Snapshot::default() };
        for row in transaction.open_table(ENTRIES)?.iter()? {
            let (key, value) = row?;
            snapshot.entries.push(decode(key.value(), value.value())?);
        }
        snapshot.entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        if let Some(twice) = snapshot.entries.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(Error::corrupt(format!("the key {} is there twice", twice[0].key)).into());
        }
        for row in transaction.open_table(LEASES)?.iter()? {
            let (id, deadline) = row?;
            let id = LeaseId::new(id.value()).ok_or_else(|| Error::corrupt("a lease has the number 0"))?;
            snapshot.leases.push(Lease { id, deadline: Timestamp::from_millisecond(deadline.value())? });
        }
        Ok(snapshot)
    }
}

impl TreeFile {
    /// Takes in everything that the log has said up to the record `last`, or, after a crash, nothing of it.
    ///
    /// # Errors
    /// After an error the state on disk is unknown, and the file must not be used again.
    pub(super) fn fold(&mut self, group: &Group, last: u64) -> Result<(), DiskError> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(FACTS)?.insert(FACT_RECORD, last)?;
        if let Some(last) = group.commits.last() {
            let mut entries = transaction.open_table(ENTRIES)?;
            let (superseded, written) = net_changes(&group.commits);
            for entry in superseded {
                entries.remove(&*row_key(entry))?;
            }
            for entry in written {
                let mut row = entries.insert_reserve(&*row_key(entry), HEAD_BYTES + entry.value.len())?;
                encode(entry, row.as_mut());
            }
            transaction.open_table(FACTS)?.insert(FACT_REVISION, last.revision.0)?;
        }
        if !group.leases_granted.is_empty() || !group.leases_ended.is_empty() {
            let mut leases = transaction.open_table(LEASES)?;
            for lease in &group.leases_granted {
                leases.insert(lease.id.get(), lease.deadline.as_millisecond())?;
            }
            for lease in &group.leases_ended {
                leases.remove(lease.get())?;
            }
        }
        transaction.commit()?;
        self.folded = last;
        Ok(())
    }

    /// The size of what is stored.
    pub(super) fn size_bytes(&self) -> u64 {
        let length = |path: &Arc<Path>| env::fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.path.as_ref().map_or(0, length)
    }
}

/// The entries that the commits put out of force and the ones they leave in force, both in the order of the table.
///
/// What is written and overwritten within a group never reaches the disk.
fn net_changes(commits: &[Arc<Commit>]) -> (Vec<&Entry>, Vec<&Entry>) {
    let mut events: Vec<_> = commits.iter().flat_map(|commit| &commit.events).collect();
    // Stable, so that the changes of one key stay in their order.
    events.sort_by(|a, b| a.key().cmp(b.key()));
    let (mut superseded, mut written) = (Vec::new(), Vec::new());
    for of_one_key in events.chunk_by(|a, b| a.key() == b.key()) {
        superseded.extend(of_one_key.first().and_then(|event| event.prev.as_ref()));
        written.extend(of_one_key.last().and_then(|event| event.entry()));
    }
    // Stable again: within a revision by key.
    superseded.sort_by_key(|entry| entry.modified);
    written.sort_by_key(|entry| entry.modified);
    (superseded, written)
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES_MAX);
    builder
}

/// Makes an empty store appear at `path` all at once, so that a crash leaves no half-made one.
fn create(path: &Path) -> Result<(), Error> {
    let failed = |error: DiskError| Error::Open { path: path.display().to_string(), source: Arc::from(error) };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let staging = path.with_file_name(format!(".{name}.new"));
    env::fs::write_atomic(&staging, b"", env::fs::PRIVATE).map_err(|error| failed(error.into()))?;
    let database = builder().create(&staging).map_err(|error| cannot_open(path, error))?;
    initialize(&database).map_err(failed)?;
    drop(database);
    match env::fs::hard_link(&staging, path) {
        // Somebody else was faster; whether they still use it will show.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked.map_err(|error| failed(error.into()))?,
    }
    // Replacing the second name makes the first one durable too: they are in one folder, which is synced for it.
    env::fs::write_atomic(&staging, b"", env::fs::PRIVATE).map_err(|error| failed(error.into()))?;
    env::fs::remove_file_if_exists(&staging).map_err(|error| failed(error.into()))
}

/// Marks a file of the layout before, so that no program that does not know of the log takes the file for everything.
fn renew(database: &Database, path: &Path) -> Result<(), DiskError> {
    let is_before = {
        let facts = database.begin_read()?.open_table(FACTS)?;
        facts.get(FORMAT_BEFORE)?.is_some()
    };
    if !is_before {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        let mut facts = transaction.open_table(FACTS)?;
        facts.remove(FORMAT_BEFORE)?;
        facts.insert(FORMAT, 1)?;
    }
    transaction.commit()?;
    tracing::warn!(path = %path.display(), "the store has a log from now on ({FORMAT}): earlier builds refuse it");
    Ok(())
}

fn initialize(database: &Database) -> Result<(), DiskError> {
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(LEASES)?;
    transaction.open_table(FACTS)?.insert(FORMAT, 1)?;
    transaction.commit()?;
    Ok(())
}

fn cannot_open(path: &Path, error: DatabaseError) -> Error {
    let path = path.display().to_string();
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse { path },
        DatabaseError::Storage(redb::StorageError::Corrupted(message)) => Error::Corrupt { message },
        other => Error::Open { path, source: Arc::new(other) },
    }
}

pub(super) fn row_key(entry: &Entry) -> Vec<u8> {
    [&entry.modified.0.to_be_bytes(), entry.key.as_bytes()].concat()
}

pub(super) fn encode(entry: &Entry, row: &mut [u8]) {
    let lease = entry.lease.map_or(0, LeaseId::get);
    let numbers = [entry.created.0, entry.version, lease.cast_unsigned()];
    let (head, value) = row.split_at_mut(HEAD_BYTES);
    for (field, number) in head.chunks_exact_mut(8).zip(numbers) {
        field.copy_from_slice(&number.to_le_bytes());
    }
    value.copy_from_slice(&entry.value);
}

pub(super) fn decode(mut row_key: &[u8], mut row: &[u8]) -> Result<Entry, Error> {
    if row_key.len() < REVISION_BYTES || row.len() < HEAD_BYTES {
        return Err(Error::corrupt(format!("an entry is cut short: {row_key:?}")));
    }
    let modified = Revision(row_key.get_u64());
    let key = Key::try_from(Bytes::copy_from_slice(row_key))?;
    let created = Revision(row.get_u64_le());
    let version = row.get_u64_le();
    let lease = LeaseId::new(row.get_i64_le());
    Ok(Entry { key, value: Bytes::copy_from_slice(row), created, modified, version, lease })
}
