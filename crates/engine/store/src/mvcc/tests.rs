//! What the contract cannot see from outside: how much is kept, and who is woken.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;

use crate::{Error, Key, Range, Revision, Span, Txn, Want, Watch};

use super::{Mvcc, Snapshot, Staging};

fn state(history_bytes_max: usize) -> Arc<Mvcc> {
    Arc::new(Mvcc::new(Snapshot::default(), history_bytes_max))
}

fn put(mvcc: &Mvcc, key: &str, value: &'static str) -> Revision {
    commit(mvcc, &Txn::new().put(Key::from(key), Bytes::from_static(value.as_bytes())))
}

fn delete(mvcc: &Mvcc, key: &str) -> Revision {
    commit(mvcc, &Txn::new().delete(Key::from(key)))
}

fn commit(mvcc: &Mvcc, txn: &Txn) -> Revision {
    let mut staging = Staging::new(mvcc);
    staging.stage(txn).unwrap();
    mvcc.apply(staging.into_commits());
    mvcc.revision()
}

fn versions(mvcc: &Mvcc) -> usize {
    mvcc.index.read().versions()
}

#[test]
fn compaction_leaves_one_version_of_each_live_key() {
    let mvcc = state(usize::MAX);
    for round in 0..100 {
        for key in ["/a/1", "/a/2", "/b/1"] {
            put(&mvcc, key, "x");
        }
        if round % 10 == 0 {
            delete(&mvcc, "/b/1");
        }
    }
    let now = delete(&mvcc, "/b/1");
    assert_eq!(versions(&mvcc), 300 + 11);
    mvcc.compact(now).unwrap();
    assert_eq!(versions(&mvcc), 2);
    assert_eq!(mvcc.size_bytes(), 2 * (4 + 1));
}

#[test]
fn a_bounded_history_compacts_itself() {
    let mvcc = state(100_000);
    for _ in 0..10_000 {
        put(&mvcc, "/a/1", "some value");
    }
    assert!(versions(&mvcc) < 1_000, "{} versions are kept", versions(&mvcc));
    let error = mvcc.get(&Key::from("/a/1"), Some(Revision(1))).unwrap_err();
    assert!(matches!(error, Error::Compacted { .. }), "{error:?}");
}

#[test]
fn a_running_scan_keeps_what_it_needs() {
    let mvcc = state(usize::MAX);
    let keys: Vec<_> = (0..3_000).map(|n| format!("/a/{n:05}")).collect();
    for key in &keys {
        put(&mvcc, key, "old");
    }
    let mut scan = mvcc.scan(Range::of(Span::prefix("/a/"))).unwrap();
    assert!(!scan.step(), "there is more than one piece");
    for key in &keys {
        put(&mvcc, key, "new");
    }
    mvcc.compact(mvcc.revision()).unwrap();
    while !scan.step() {}
    let page = scan.finish();
    assert_eq!(page.count, 3_000);
    assert!(page.entries.iter().all(|entry| entry.value == "old"), "the scan shows one revision");
    let last = put(&mvcc, "/a/00000", "newer");
    mvcc.compact(last).unwrap();
    assert_eq!(versions(&mvcc), 3_000, "once it is over, nothing of the past remains");
}

#[test]
fn a_watcher_that_falls_behind_is_closed() {
    let mvcc = state(100_000);
    let mut slow = mvcc.watch(Watch::now(Span::prefix("/a/"))).unwrap();
    let mut idle = mvcc.watch(Watch::now(Span::prefix("/b/"))).unwrap();
    put(&mvcc, "/a/1", "seen");
    assert_eq!(slow.next().now_or_never().unwrap().unwrap().unwrap().events.len(), 1);
    for _ in 0..10_000 {
        put(&mvcc, "/a/1", "some value");
    }
    let item = slow.next().now_or_never().unwrap();
    assert!(matches!(item, Some(Err(Error::WatcherBehind { .. }))), "{item:?}");
    assert!(slow.next().now_or_never().unwrap().is_none());
    assert!(idle.next().now_or_never().is_none(), "whom nothing concerned is not behind");
    put(&mvcc, "/b/1", "x");
    assert_eq!(idle.next().now_or_never().unwrap().unwrap().unwrap().events.len(), 1);
}

#[test]
fn only_those_concerned_are_marked() {
    let mvcc = state(usize::MAX);
    let spans = ["/a/", "/a/x/", "/b/", "/a"].map(Span::prefix);
    let mut watchers = spans.map(|span| mvcc.watch(Watch::now(span)).unwrap());
    put(&mvcc, "/a/x/1", "x");
    let told: Vec<_> = watchers.iter_mut().map(|watcher| watcher.next().now_or_never().is_some()).collect();
    assert_eq!(told, [true, true, false, true]);
    drop(watchers);
    put(&mvcc, "/a/x/1", "x");
    let count = mvcc.scan(Range::of(Span::prefix("")).want(Want::Count)).unwrap();
    assert_eq!(count.finish().entries.len(), 0);
}
