//! Two servers over one store, one of which does not see yet what the other has written.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use http::Method;
use store::{
    Answer, Batch, Error, Got, Key, LeaseId, Outcome, Page, Range, Revision, Status, Store, Txn, Watch, Watcher,
    Watching,
};
use tokio::sync::watch;

use crate::fixture::{Cluster, JSON, JSON_PATCH, MAPS, MERGE, STRATEGIC, config_map};

/// A store whose changes of ConfigMaps can be held back on their way to whoever watches.
#[derive(Debug)]
struct Slow {
    store: Arc<dyn Store>,
    held: watch::Receiver<bool>,
}

/// A watch of it.
struct Held {
    changes: Watcher,
    held: watch::Receiver<bool>,
    waiting: Option<BoxFuture<'static, ()>>,
}

impl Stream for Held {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if *self.held.borrow() && self.waiting.is_none() {
            let mut held = self.held.clone();
            self.waiting = Some(Box::pin(async move {
                held.wait_for(|held| !held).await.expect("the test goes on");
            }));
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        Pin::new(&mut self.changes).poll_next(cx)
    }
}

impl Watching for Held {
    fn request_progress(mut self: Pin<&mut Self>) -> Result<(), Error> {
        self.changes.request_progress()
    }
}

impl Store for Slow {
    fn get<'a>(&'a self, key: &'a Key, at: Option<Revision>) -> Answer<'a, Got> {
        self.store.get(key, at)
    }

    fn range(&self, range: Range) -> Answer<'_, Page> {
        self.store.range(range)
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        self.store.txn(txn)
    }

    fn watch(&self, watch: Watch) -> Answer<'_, Watcher> {
        Box::pin(async move {
            let is_held_back = watch.span.start().starts_with(b"/registry/configmaps/");
            let changes = self.store.watch(watch).await?;
            let held = self.held.clone();
            Ok(if is_held_back { Watcher::new(Held { changes, held, waiting: None }) } else { changes })
        })
    }

    fn lease_grant(&self, ttl: Duration) -> Answer<'_, LeaseId> {
        self.store.lease_grant(ttl)
    }

    fn lease_revoke(&self, lease: LeaseId) -> Answer<'_, ()> {
        self.store.lease_revoke(lease)
    }

    fn compact(&self, revision: Revision) -> Answer<'_, ()> {
        self.store.compact(revision)
    }

    fn status(&self) -> Answer<'_, Status> {
        self.store.status()
    }
}

#[tokio::test]
async fn what_changes_nothing_of_an_older_object_changes_the_newest() {
    let store: Arc<dyn Store> = Arc::new(store::memory::Memory::default());
    let (hold, held) = watch::channel(false);
    let near = Cluster::over(Arc::clone(&store)).await;
    let far = Cluster::over(Arc::new(Slow { store, held })).await;
    let (near, far) = (near.admin(), far.admin());
    let merge = r#"{"data":{"key":"a"}}"#.to_owned();
    let whole = |name: &str| config_map(name, "a");
    let cases = [
        ("merge", Method::PATCH, MERGE, merge.clone()),
        ("strategic", Method::PATCH, STRATEGIC, merge),
        ("json", Method::PATCH, JSON_PATCH, r#"[{"op":"replace","path":"/data/key","value":"a"}]"#.to_owned()),
        ("put", Method::PUT, JSON, whole("put")),
    ];
    for (name, method, media, body) in cases {
        let path = format!("{MAPS}/{name}");
        near.post(MAPS, &whole(name)).await.is(201);
        assert_eq!(far.get(&path).await.is(200).at("data.key"), "a");
        hold.send_replace(true);
        near.patch(&path, MERGE, r#"{"data":{"key":"b"}}"#).await.is(200);
        let answer = far.send(method, &path, media, body).await.is(200);
        assert_eq!(answer.at("data.key"), "a", "{name}: {}", answer.text());
        let stored = near.get(&path).await.is(200);
        assert_eq!(stored.at("data.key"), "a", "{name}: what was acknowledged is there");
        assert_eq!(stored.revision(), answer.revision(), "{name}");
        hold.send_replace(false);
    }
}
