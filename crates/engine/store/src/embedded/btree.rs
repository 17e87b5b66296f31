//! The journal as a B-tree file: the newest value of each key, in `redb`.
//!
//! Three tables: entries by key, leases by number, and facts about the whole (the format, the revision). A group is one
//! transaction of the file with one sync: `redb` writes new pages beside the old ones, and a header with a checksum makes
//! them count. After a crash the file is checked and falls back to the last transaction whose pages are whole.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use jiff::Timestamp;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use crate::mvcc::{Commit, Lease, Snapshot};
use crate::{Change, Entry, Error, Key, LeaseId, Revision};

use super::journal::{DiskError, FORMAT, Group, Journal};

/// Key → created, modified, version, lease (8 bytes each, little-endian, 0 for none), value.
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");
/// Lease number → deadline in milliseconds since 1970.
const LEASES: TableDefinition<'_, i64, i64> = TableDefinition::new("leases");
/// Name → number.
const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");

const FACT_REVISION: &str = "revision";
const HEAD_BYTES: usize = 32;

/// The pages that `redb` may keep in memory. All reads are served from our own state, so only the tree's inner pages
/// and what a transaction touches matter.
const CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct TreeFile {
    database: Database,
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
        let file = TreeFile { database, path: Some(Arc::from(path)) };
        let snapshot = file.load()?;
        Ok((file, snapshot))
    }

    /// The same on another medium.
    #[cfg(test)]
    pub(super) fn open_backend(backend: impl redb::StorageBackend) -> Result<(TreeFile, Snapshot), Error> {
        let medium = Path::new("(not a file)");
        let database = builder().create_with_backend(backend).map_err(|error| cannot_open(medium, error))?;
        initialize(&database).map_err(|error| Error::corrupt(error.to_string()))?;
        let file = TreeFile { database, path: None };
        let snapshot = file.load()?;
        Ok((file, snapshot))
    }

    fn load(&self) -> Result<Snapshot, Error> {
        self.read().map_err(|error| match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::corrupt(error.to_string()),
        })
    }

    fn read(&self) -> Result<Snapshot, DiskError> {
        let transaction = self.database.begin_read()?;
        let facts = transaction.open_table(FACTS)?;
        if facts.get(FORMAT)?.is_none() {
            return Err(Error::corrupt(format!("the file is not of the format {FORMAT}")).into());
        }
        let revision = facts.get(FACT_REVISION)?.map_or(Revision::ZERO, |fact| Revision(fact.value()));
        let mut snapshot = Snapshot { revision, ..Snapshot::default() };
        for row in transaction.open_table(ENTRIES)?.iter()? {
            let (key, value) = row?;
            snapshot.entries.push(decode(key.value(), value.value())?);
        }
        for row in transaction.open_table(LEASES)?.iter()? {
            let (id, deadline) = row?;
            let id = LeaseId::new(id.value()).ok_or_else(|| Error::corrupt("a lease has the number 0"))?;
            snapshot.leases.push(Lease { id, deadline: Timestamp::from_millisecond(deadline.value())? });
        }
        Ok(snapshot)
    }
}

impl Journal for TreeFile {
    fn append(&mut self, group: &Group) -> Result<(), DiskError> {
        let transaction = self.database.begin_write()?;
        if let Some(last) = group.commits.last() {
            let mut entries = transaction.open_table(ENTRIES)?;
            for commit in newest_changes(&group.commits) {
                match commit {
                    Change::Put(entry) => {
                        let mut row = entries.insert_reserve(entry.key.as_bytes(), HEAD_BYTES + entry.value.len())?;
                        encode(entry, row.as_mut());
                    }
                    Change::Delete { key, .. } => {
                        entries.remove(key.as_bytes())?;
                    }
                }
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
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        let length = |path: &Arc<Path>| env::fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.path.as_ref().map_or(0, length)
    }
}

/// The last change of each key, in key order: neighbours share pages, and what is overwritten at once is never written.
fn newest_changes(commits: &[Arc<Commit>]) -> Vec<&Change> {
    let mut changes: Vec<_> = commits.iter().flat_map(|commit| &commit.events).collect();
    // Stable, so that of one key's changes the newest comes last.
    changes.sort_by(|a, b| a.key().cmp(b.key()));
    let is_newest = |(at, event): (usize, &&_)| changes.get(at + 1).is_none_or(|next| is_other_key(next, event));
    changes.iter().enumerate().filter(|pair| is_newest(*pair)).map(|(_, event)| &event.change).collect()
}

fn is_other_key(a: &crate::Event, b: &crate::Event) -> bool {
    a.key() != b.key()
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
    env::fs::remove_file_if_exists(&staging).map_err(|error| failed(error.into()))?;
    sync_folder_of(path).map_err(|error| failed(error.into()))
}

/// Makes the names in the file's folder durable.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::File::open(folder)?.sync_all()
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

fn encode(entry: &Entry, row: &mut [u8]) {
    let lease = entry.lease.map_or(0, LeaseId::get);
    let numbers = [entry.created.0, entry.modified.0, entry.version, lease.cast_unsigned()];
    let (head, value) = row.split_at_mut(HEAD_BYTES);
    for (field, number) in head.chunks_exact_mut(8).zip(numbers) {
        field.copy_from_slice(&number.to_le_bytes());
    }
    value.copy_from_slice(&entry.value);
}

fn decode(key: &[u8], mut row: &[u8]) -> Result<Entry, Error> {
    let key = Key::try_from(Bytes::copy_from_slice(key))?;
    if row.len() < HEAD_BYTES {
        return Err(Error::corrupt(format!("the entry of {key} is cut short")));
    }
    let created = Revision(row.get_u64_le());
    let modified = Revision(row.get_u64_le());
    let version = row.get_u64_le();
    let lease = LeaseId::new(row.get_i64_le());
    Ok(Entry { key, value: Bytes::copy_from_slice(row), created, modified, version, lease })
}
