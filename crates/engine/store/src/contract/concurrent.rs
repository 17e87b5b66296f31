//! Many at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;

use env::task::{Fate, spawn};

use crate::{Outcome, Range, Revision, Txn, Watch};

use super::{Ground, Told, bytes, text};

const WRITERS: usize = 16;
const WRITES_EACH: usize = 25;
const WATCHERS: usize = 20;

pub(super) async fn one_of_many_writers_wins_each_round(ground: Ground) {
    let ground = Arc::new(ground);
    ground.put("counter", "0").await;
    let writers = (0..WRITERS).map(|_| spawn(Fate::Local, "contract-writer", count_up(ground.clone(), WRITES_EACH)));
    for finished in join_all(writers).await {
        finished.expect("every writer comes to its end");
    }
    let total = (WRITERS * WRITES_EACH).to_string();
    assert_eq!(ground.value("counter", None).await, Some(total), "no increment was lost or doubled");
}

async fn count_up(ground: Arc<Ground>, times: usize) {
    let key = ground.key("counter");
    let mut current = ground.store.get(&key, None).await.expect("it can be read").entry.expect("it is there");
    let mut done = 0;
    while done < times {
        let number: usize = text(&current.value).parse().expect("the counter is a number");
        let txn = Txn::update(key.clone(), current.modified, bytes(&(number + 1).to_string()));
        match ground.store.txn(txn).await.expect("a sound transaction is decided") {
            Outcome::Committed { .. } => {
                done += 1;
                current = ground.store.get(&key, None).await.expect("it can be read").entry.expect("it is there");
            }
            Outcome::Conflict { current: entries, .. } => {
                current = entries.into_iter().next().flatten().expect("the counter is never deleted");
            }
        }
    }
}

pub(super) async fn revisions_are_linear_and_watchers_see_all(ground: Ground) {
    let ground = Arc::new(ground);
    let start = ground.current().await;
    let watches = (0..WATCHERS).map(|_| Told::begin(&ground, Watch::after(ground.span(), start)));
    let watches = join_all(watches).await;
    let writers = (0..WRITERS).map(|writer| {
        let ground = ground.clone();
        spawn(Fate::Local, "contract-writer", async move {
            let mut written = Vec::new();
            for n in 0..WRITES_EACH {
                let name = format!("{}/{writer}", n % 3);
                let value = format!("{writer}-{n}");
                written.push((ground.put(&name, &value).await, value));
            }
            written
        })
    });
    let mut all = BTreeMap::new();
    for written in join_all(writers).await {
        let written = written.expect("every writer comes to its end");
        assert!(written.is_sorted(), "a writer's revisions grow");
        all.extend(written);
    }
    assert_eq!(all.len(), WRITERS * WRITES_EACH, "no two writes share a revision");
    let late = Told::begin(&ground, Watch::after(ground.span(), start)).await;
    for mut told in watches.into_iter().chain([late]) {
        let mut seen: Vec<(Revision, String)> = Vec::new();
        while seen.len() < all.len() {
            let event = told.event().await;
            let entry = event.entry().expect("nothing was deleted");
            seen.push((event.revision(), text(&entry.value)));
        }
        assert!(
            seen.iter().eq(all.iter().map(|(revision, value)| (*revision, value.clone())).collect::<Vec<_>>().iter())
        );
    }
}

pub(super) async fn reads_follow_acknowledged_writes(ground: Ground) {
    let ground = Arc::new(ground);
    let readers = (0..4).map(|reader| {
        let ground = ground.clone();
        spawn(Fate::Local, "contract-reader", async move {
            for n in 0..WRITES_EACH {
                let name = format!("{reader}");
                let written = ground.put(&name, &n.to_string()).await;
                assert_eq!(ground.value(&name, None).await, Some(n.to_string()), "one's own write is seen");
                let page = ground.store.range(Range::of(ground.span())).await.expect("it can be read");
                assert!(page.revision >= written, "a list is not older than the write before it");
                let newest = page.entries.iter().map(|entry| entry.modified).max();
                assert!(newest.is_some_and(|newest| written <= newest && newest <= page.revision));
            }
        })
    });
    for finished in join_all(readers).await {
        finished.expect("every reader comes to its end");
    }
}
