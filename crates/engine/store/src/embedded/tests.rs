//! What a store does when its disk does not do as told, and over restarts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redb::StorageBackend;

use super::btree::TreeFile;
use super::journal::{FORMAT, FORMAT_BEFORE};
use super::ledger::Ledger;
use super::{Embedded, Options};
use crate::{Error, Key, Outcome, Range, Revision, Span, Store, Txn, Watch};

/// A disk with a tree and the two files of a log. It forgets what was not synced when the power fails, sector by sector,
/// and it can be told to fail.
#[derive(Debug, Clone)]
struct Disk {
    files: [File; 3],
}

#[derive(Debug, Clone, Default)]
struct File {
    platter: Arc<Mutex<Platter>>,
    health: Arc<Mutex<Health>>,
}

#[derive(Debug, Default)]
struct Platter {
    /// What reads see.
    cached: Vec<u8>,
    /// What survives.
    durable: Vec<u8>,
    /// The writes since the last sync, as (offset, length).
    unsynced: Vec<(usize, usize)>,
}

#[derive(Debug, Default)]
struct Health {
    /// How many more writes and syncs will succeed, if that is limited.
    changes_left: Option<u64>,
}

const SECTOR_BYTES: usize = 512;
/// Small, so that the files of the log take turns often.
const LOG_BYTES_MAX: u64 = 32 * 1024;

impl Disk {
    fn new() -> Disk {
        let health = Arc::<Mutex<Health>>::default();
        Disk { files: std::array::from_fn(|_| File { platter: Arc::default(), health: health.clone() }) }
    }

    fn fail_after(&self, changes: u64) {
        self.files[0].health.lock().changes_left = Some(changes);
    }

    /// The disk after a power failure: each sector not synced has, or has not, reached the platter.
    fn after_power_failure(&self) -> Disk {
        let new = Disk::new();
        for (old, new) in self.files.iter().zip(&new.files) {
            *new.platter.lock() = old.platter.lock().after_power_failure();
        }
        new
    }

    fn has_unsynced(&self) -> bool {
        self.files.iter().any(|file| !file.platter.lock().unsynced.is_empty())
    }
}

impl Platter {
    fn after_power_failure(&self) -> Platter {
        let mut durable = self.durable.clone();
        durable.resize(self.cached.len().max(durable.len()), 0);
        for (offset, length) in &self.unsynced {
            let sectors = (*offset..offset + length).step_by(SECTOR_BYTES);
            for start in sectors.filter(|_| env::rand::below(2) == 0) {
                let end = (start + SECTOR_BYTES).min(offset + length).min(self.cached.len());
                durable[start.min(end)..end].copy_from_slice(&self.cached[start.min(end)..end]);
            }
        }
        Platter { cached: durable.clone(), durable, unsynced: Vec::new() }
    }
}

impl File {
    fn change(&self, change: impl FnOnce(&mut Platter)) -> io::Result<()> {
        let mut health = self.health.lock();
        match &mut health.changes_left {
            Some(0) => return Err(io::Error::other("the disk is broken")),
            Some(left) => *left -= 1,
            None => {}
        }
        change(&mut self.platter.lock());
        Ok(())
    }
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter.lock().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let platter = self.platter.lock();
        let found = platter.cached.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|platter| platter.cached.resize(usize::try_from(len).unwrap(), 0))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|platter| {
            platter.durable.clone_from(&platter.cached);
            platter.unsynced.clear();
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        self.change(|platter| {
            platter.cached[start..start + data.len()].copy_from_slice(data);
            platter.unsynced.push((start, data.len()));
        })
    }
}

fn open(disk: &Disk) -> Embedded {
    let [tree, first, second] = disk.files.clone();
    let tree = TreeFile::open_backend(tree).unwrap();
    let (journal, snapshot) = Ledger::open(tree, [Box::new(first), Box::new(second)], LOG_BYTES_MAX).unwrap();
    Embedded::start(journal, snapshot, Options::default())
}

fn put(key: &str, value: String) -> Txn {
    Txn::new().put(Key::from(key), Bytes::from(value))
}

async fn commit(store: &Embedded, txn: Txn) -> Revision {
    match store.txn(txn).await.unwrap() {
        Outcome::Committed { revision } => revision,
        conflict @ Outcome::Conflict { .. } => panic!("{conflict:?}"),
    }
}

#[tokio::test]
async fn a_failed_write_poisons_the_store() {
    let disk = Disk::new();
    let store = open(&disk);
    let before = commit(&store, put("/a", "1".to_owned())).await;
    disk.fail_after(0);
    for _ in 0..3 {
        let error = store.txn(put("/a", "2".to_owned())).await.unwrap_err();
        assert!(matches!(error, Error::Poisoned(_)), "{error:?}");
    }
    let error = store.lease_grant(Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, Error::Poisoned(_)), "{error:?}");
    assert!(matches!(store.failed().await, Error::Poisoned(_)), "whoever waits for a failure is told");
    let got = store.get(&Key::from("/a"), None).await.unwrap();
    assert_eq!(got.entry.map(|entry| entry.modified), Some(before), "what is not durable was never visible");
    assert_eq!(got.revision, before);
}

#[tokio::test]
async fn a_power_failure_tears_no_transaction() {
    let mut disk = Disk::new();
    let (mut acknowledged, mut torn) = (0, 0);
    for round in 0..200 {
        let store = open(&disk);
        let page = store.range(Range::of(Span::prefix("/t/"))).await.unwrap();
        let values: Vec<_> = page.entries.iter().map(|entry| entry.value.clone()).collect();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "half a transaction in round {round}");
        let mut length = values.first().map_or(0, Bytes::len);
        assert!(length >= acknowledged, "round {round} found {length} of {acknowledged}");
        // The power fails in the midst of some write or sync; what was under way is then partly on the platter.
        disk.fail_after(env::rand::below(60));
        loop {
            length += 1;
            let value = Bytes::from("x".repeat(length));
            let txn = (0..5).fold(Txn::new(), |txn, n| txn.put(Key::from(format!("/t/{n}")), value.clone()));
            match store.txn(txn).await {
                Ok(_) => acknowledged = length,
                Err(Error::Poisoned(_)) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
        drop(store);
        torn += usize::from(disk.has_unsynced());
        disk = disk.after_power_failure();
    }
    assert!(torn > 50, "only {torn} failures left anything unsynced");
    assert!(acknowledged > 100, "{acknowledged} transactions prove little");
}

#[tokio::test]
async fn a_log_damaged_in_the_middle_is_told_from_a_torn_end() {
    let disk = Disk::new();
    let store = open(&disk);
    for n in 0..3 {
        commit(&store, put(&format!("/{n}"), format!("value {n}"))).await;
    }
    drop(store);
    let log = &disk.files[1];
    let place = |text: &str| {
        let platter = log.platter.lock();
        platter.cached.windows(text.len()).position(|window| window == text.as_bytes()).expect("it is in the log")
    };
    // The last record may never have been finished: then nobody was told of it.
    let last = place("value 2");
    log.platter.lock().cached[last] ^= 1;
    let store = open(&disk);
    assert_eq!(store.status().await.unwrap().revision, Revision(2));
    drop(store);
    log.platter.lock().cached[last] ^= 1;
    // One before it was acknowledged, and is missing.
    let before = place("value 1");
    log.platter.lock().cached[before] ^= 1;
    let tree = TreeFile::open_backend(disk.files[0].clone()).unwrap();
    let refused = Ledger::open(tree, [Box::new(log.clone()), Box::new(disk.files[2].clone())], LOG_BYTES_MAX);
    assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_left_the_log_is_in_the_tree() {
    let disk = Disk::new();
    let (mut last, value) = (Revision::ZERO, "x".repeat(3_000));
    for round in 0..4 {
        let store = open(&disk);
        assert_eq!(store.status().await.unwrap().revision, last, "round {round}");
        for n in 0..60 {
            commit(&store, put(&format!("/{}", n % 7), format!("{round} {n} {value}"))).await;
        }
        last = commit(&store, Txn::new().delete(Key::from("/0"))).await;
    }
    let store = open(&disk);
    let page = store.range(Range::of(Span::prefix("/"))).await.unwrap();
    let found: Vec<String> =
        page.entries.iter().map(|entry| String::from_utf8_lossy(&entry.value[..4]).into_owned()).collect();
    assert_eq!(
        found,
        ["3 57", "3 58", "3 59", "3 53", "3 54", "3 55"].map(str::to_owned).to_vec(),
        "{}",
        page.revision
    );
    assert!(store.status().await.unwrap().size_bytes < 1024 * 1024, "the log does not grow for ever");
}

#[tokio::test]
async fn a_restart_keeps_entries_revision_and_leases() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Embedded::open(&path, Options::default()).await.unwrap();
    let lease = store.lease_grant(Duration::from_secs(3_600)).await.unwrap();
    let leased = Txn::new().put_leased(Key::from("/leased"), Bytes::from_static(b"1"), lease);
    commit(&store, leased).await;
    commit(&store, put("/kept", "1".to_owned())).await;
    commit(&store, put("/gone", "1".to_owned())).await;
    let last = commit(&store, Txn::new().delete(Key::from("/gone"))).await;
    let before = store.range(Range::of(Span::prefix("/"))).await.unwrap();
    let second = Embedded::open(&path, Options::default()).await.unwrap_err();
    assert!(matches!(second, Error::InUse { .. }), "{second:?}");
    drop(store);
    let store = Embedded::open(&path, Options::default()).await.unwrap();
    assert_eq!(store.range(Range::of(Span::prefix("/"))).await.unwrap(), before);
    assert_eq!(store.status().await.unwrap().revision, last, "a deletion's revision is kept as well");
    let mut old = store.watch(Watch { span: Span::prefix("/"), from: Some(last) }).await.unwrap();
    assert!(matches!(old.next().await, Some(Err(Error::Compacted { .. }))), "the past is not kept");
    let mut new = store.watch(Watch::after(Span::prefix("/"), last)).await.unwrap();
    store.lease_revoke(lease).await.unwrap();
    let batch = new.next().await.unwrap().unwrap();
    assert_eq!(batch.events[0].key(), &Key::from("/leased"), "the lease still knew its key");
}

#[tokio::test]
async fn a_lease_that_ends_while_nobody_runs_ends_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Embedded::open(&path, Options::default()).await.unwrap();
    let lease = store.lease_grant(Duration::from_millis(50)).await.unwrap();
    let leased = Txn::new().put_leased(Key::from("/leased"), Bytes::from_static(b"1"), lease);
    let attached = store.txn(leased).await;
    drop(store);
    let store = Embedded::open(&path, Options::default()).await.unwrap();
    if attached.is_ok() {
        let mut watcher = store.watch(Watch::now(Span::prefix("/"))).await.unwrap();
        let there = store.get(&Key::from("/leased"), None).await.unwrap().entry.is_some();
        if there {
            let batch = env::time::timeout(Duration::from_secs(10), watcher.next()).await.unwrap().unwrap().unwrap();
            assert!(batch.events[0].entry().is_none(), "{batch:?}");
        }
    }
    assert!(store.get(&Key::from("/leased"), None).await.unwrap().entry.is_none());
}

#[tokio::test]
async fn another_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    env::fs::write_atomic(&path, b"something that is not a store, but long enough to be read", 0o600).unwrap();
    let refused = Embedded::open(&path, Options::default()).await.unwrap_err();
    assert!(matches!(refused, Error::Open { .. } | Error::Corrupt { .. }), "{refused:?}");
    assert!(env::fs::read(&path).unwrap().starts_with(b"something"));
    let missing = Embedded::open(&folder.path().join("no/folder"), Options::default()).await.unwrap_err();
    assert!(matches!(missing, Error::Open { .. }), "{missing:?}");
}

#[tokio::test]
async fn a_file_of_the_layout_before_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Embedded::open(&path, Options::default()).await.unwrap();
    commit(&store, put("/kept", "1".to_owned())).await;
    let before = store.range(Range::of(Span::prefix("/"))).await.unwrap();
    drop(store);
    let facts = redb::TableDefinition::<&str, u64>::new("facts");
    let rename = |from: &str, to: &str| {
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(facts).unwrap();
            assert!(table.remove(from).unwrap().is_some(), "the file is of the format {from}");
            table.insert(to, 1).unwrap();
        }
        transaction.commit().unwrap();
    };
    rename(FORMAT, FORMAT_BEFORE);
    let store = Embedded::open(&path, Options::default()).await.unwrap();
    assert_eq!(store.range(Range::of(Span::prefix("/"))).await.unwrap(), before);
    drop(store);
    // Programs that know of no log look for the old name.
    rename(FORMAT, FORMAT);
}
