//! What the etcd engine does when a member is gone, or is not whom it expects.

use bytes::Bytes;
use store::etcd::{Config, Etcd};
use store::{Error, Key, Outcome, Span, Store, Txn, Watch};

use crate::etcd_process::{EtcdProcess, free_address};

fn write() -> Txn {
    Txn::new().put(Key::from("/members/a"), Bytes::from_static(b"1"))
}

#[tokio::test]
async fn a_dead_endpoint_is_passed_over_also_by_writes() {
    let etcd = EtcdProcess::start().await;
    let dead = format!("https://{}", free_address().await);
    let endpoints = vec![dead, etcd.url()];
    let store = Etcd::new(Config { endpoints, ..etcd.config() }).unwrap();
    let outcome = store.txn(write()).await.unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert!(store.get(&Key::from("/members/a"), None).await.unwrap().entry.is_some());
}

#[tokio::test]
async fn a_crash_ends_watches_and_a_restart_serves_again() {
    let mut etcd = EtcdProcess::start().await;
    let store = Etcd::new(etcd.config()).unwrap();
    store.txn(write()).await.unwrap();
    let mut watcher = store.watch(Watch::now(Span::prefix("/members/"))).await.unwrap();
    etcd.kill().await;
    let item = watcher.next().await;
    assert!(matches!(item, Some(Err(Error::Unavailable { .. }))), "{item:?}");
    assert!(watcher.next().await.is_none(), "a failed watch has ended");
    let refused = store.txn(write()).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. } | Error::OutcomeUnknown { .. })), "{refused:?}");
    etcd.restart().await;
    let entry = store.get(&Key::from("/members/a"), None).await.unwrap().entry;
    assert!(entry.is_some(), "what was acknowledged is there");
}

#[tokio::test]
async fn a_stranger_gets_nothing() {
    let etcd = EtcdProcess::start().await;
    let store = Etcd::new(Config { credentials: etcd.credentials("stranger"), ..etcd.config() }).unwrap();
    let refused = store.txn(write()).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. } | Error::OutcomeUnknown { .. })), "{refused:?}");
    let honest = Etcd::new(etcd.config()).unwrap();
    assert!(honest.get(&Key::from("/members/a"), None).await.unwrap().entry.is_none(), "and changes nothing");
}

#[tokio::test]
async fn plaintext_is_refused_before_it_begins() {
    let etcd = EtcdProcess::start().await;
    for endpoint in ["http://127.0.0.1:2379", "127.0.0.1:2379"] {
        let refused = Etcd::new(Config { endpoints: vec![endpoint.to_owned()], ..etcd.config() });
        assert!(matches!(refused, Err(Error::Unsupported { .. } | Error::Unavailable { .. })), "{refused:?}");
    }
}
