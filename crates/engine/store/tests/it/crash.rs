//! SIGKILL at any moment loses nothing that was acknowledged.
//!
//! The test runs itself again as a child process, in which concurrent writers write to an embedded store and report
//! every acknowledged transaction on a pipe. It kills the child at a random moment, opens the store, and looks.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use env::process::Stdio;
use store::embedded::{Embedded, Options};
use store::{Entry, Key, Range, Revision, Span, Store, Txn};
use tokio::io::{AsyncBufReadExt, BufReader, Split};
use tokio::process::ChildStdout;

/// Names the store's file to the child.
const FILE: &str = "STORE_CRASH_FILE";
/// How many kills, if not the default.
const KILLS: &str = "STORE_CRASH_KILLS";
const KILLS_DEFAULT: usize = 200;
/// How long the writers may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);
const WRITERS: u64 = 8;
/// Each writer's transactions write this many keys, which must never differ.
const KEYS_EACH: usize = 3;

/// A small log, so that some of the kills hit its folding.
fn options() -> Options {
    Options { log_bytes_max: 256 * 1024, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let kills = env::process::variable(KILLS).map_or(KILLS_DEFAULT, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (mut acknowledged, mut total) = (Acknowledged::default(), 0);
    for kill in 0..kills {
        // A tenth of the kills hit the making or opening of the file.
        let acks = if kill % 10 == 0 { 0 } else { 1 + usize::try_from(env::rand::below(60)).unwrap() };
        total += run_and_kill(&path, acks, &mut acknowledged).await;
        acknowledged.verify(&path).await;
    }
    eprintln!("{kills} kills, {total} acknowledged transactions");
    assert!(total > kills, "the writers were killed too early to prove anything: {total} in {kills} runs");
}

/// Runs the writers, kills them a moment after they saw `acks` transactions acknowledged, and returns how many it was.
async fn run_and_kill(path: &Path, acks: usize, acknowledged: &mut Acknowledged) -> usize {
    let mut child = env::process::command(env::process::executable().unwrap())
        .args(["crash::writers", "--exact", "--nocapture"])
        .env(FILE, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
    let mut count = 0;
    let enough = listen(&mut lines, acknowledged, &mut count, acks);
    env::time::timeout(PATIENCE, enough).await.expect("the writers begin in time");
    let moment = Duration::from_millis(env::rand::below(if acks == 0 { 30 } else { 4 }));
    let on = env::time::timeout(moment, listen(&mut lines, acknowledged, &mut count, usize::MAX)).await;
    assert!(on.is_err(), "the writers ended by themselves: {:?}", child.wait().await);
    child.kill().await.unwrap();
    // What is left in the pipe was acknowledged as well.
    listen(&mut lines, acknowledged, &mut count, usize::MAX).await;
    count
}

type Lines = Split<BufReader<ChildStdout>>;

/// Notes what the writers tell until they have told of `enough`, or are gone.
async fn listen(lines: &mut Lines, acknowledged: &mut Acknowledged, count: &mut usize, enough: usize) {
    while *count < enough {
        let Some(line) = lines.next_segment().await.unwrap() else { break };
        *count += usize::from(acknowledged.note(&line));
    }
}

/// The newest acknowledged transaction of each writer.
#[derive(Debug, Default)]
struct Acknowledged {
    by_writer: BTreeMap<u64, (u64, Revision)>,
}

impl Acknowledged {
    /// Reads a line `ack WRITER NUMBER REVISION.`; the point tells that it is whole.
    fn note(&mut self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        let Some(fields) = line.strip_prefix("ack ").and_then(|rest| rest.strip_suffix('.')) else { return false };
        let fields: Vec<u64> = fields.split(' ').map(|field| field.parse().unwrap()).collect();
        self.by_writer.insert(fields[0], (fields[1], Revision(fields[2])));
        true
    }

    async fn verify(&mut self, path: &Path) {
        let store = Embedded::open(path, options()).await.unwrap();
        let current = store.status().await.unwrap().revision;
        for writer in 0..WRITERS {
            let page = store.range(Range::of(Span::prefix(&format!("/crash/{writer}/")))).await.unwrap();
            let found = page.entries;
            let (number, revision) = self.by_writer.get(&writer).copied().unwrap_or_default();
            assert!(current >= revision, "the store is at {current}, but {revision} was acknowledged");
            let Some(first) = found.first() else {
                assert_eq!(revision, Revision::ZERO, "writer {writer} lost everything");
                continue;
            };
            assert_eq!(found.len(), KEYS_EACH, "half a transaction: {found:?}");
            let same = |entry: &Entry| (entry.modified, entry.version, entry.value.clone());
            assert!(found.iter().all(|entry| same(entry) == same(first)), "half a transaction: {found:?}");
            assert!(first.modified >= revision, "writer {writer} lost {number} at {revision}: {first:?}");
            assert!(read_number(first) >= number, "writer {writer} lost {number}: {first:?}");
            assert!(first.modified <= current, "an entry is newer than the store");
            assert_eq!(first.version, read_number(first), "every transaction wrote once");
            self.by_writer.insert(writer, (read_number(first), first.modified));
        }
    }
}

fn read_number(entry: &Entry) -> u64 {
    let end = entry.value.iter().position(|byte| *byte == b' ').unwrap();
    std::str::from_utf8(&entry.value[..end]).unwrap().parse().unwrap()
}

/// The child. Does nothing when it is run as one of the tests.
#[tokio::test]
async fn writers() {
    let Some(path) = env::process::variable(FILE).map(PathBuf::from) else { return };
    let store = Embedded::open(&path, options()).await.unwrap();
    let writers = (0..WRITERS).map(|writer| write_for_ever(&store, writer));
    futures::future::join_all(writers).await;
}

async fn write_for_ever(store: &Embedded, writer: u64) {
    let keys: Vec<_> = (0..KEYS_EACH).map(|n| Key::from(format!("/crash/{writer}/{n}"))).collect();
    let got = store.get(&keys[0], None).await.unwrap();
    let mut number = got.entry.as_ref().map_or(0, read_number);
    let mut last = got.entry.map_or(Revision::ZERO, |entry| entry.modified);
    loop {
        number += 1;
        let length = usize::try_from(env::rand::below(8_000)).unwrap();
        let value = Bytes::from(format!("{number} {}", "x".repeat(length)));
        let txn = Txn::new().when(keys[0].clone(), last);
        let txn = keys.iter().fold(txn, |txn, key| txn.put(key.clone(), value.clone()));
        let store::Outcome::Committed { revision } = store.txn(txn).await.unwrap() else {
            panic!("nobody else writes")
        };
        last = revision;
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {writer} {number} {revision}.").unwrap();
        out.flush().unwrap();
    }
}
