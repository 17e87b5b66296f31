//! Leases.

use std::time::Duration;

use crate::{Error, LeaseId, Txn, Watch};

use super::{Ground, Told, bytes, text};

const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(3_600);

async fn grant(ground: &Ground, ttl: Duration) -> LeaseId {
    ground.store.lease_grant(ttl).await.expect("a lease is granted")
}

pub(super) async fn keys_end_with_their_lease(ground: Ground) {
    let start = ground.current().await;
    let mut told = Told::begin(&ground, Watch::after(ground.span(), start)).await;
    let lease = grant(&ground, SHORT).await;
    let txn = Txn::new().put_leased(ground.key("a"), bytes("1"), lease).put(ground.key("stays"), bytes("1"));
    ground.commit(txn).await;
    ground.commit(Txn::new().put_leased(ground.key("b"), bytes("2"), lease)).await;
    let entry = ground.store.get(&ground.key("a"), None).await.expect("it can be read").entry.expect("it is there");
    assert_eq!(entry.lease, Some(lease), "an entry names its lease");
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let event = told.event().await;
        if event.entry().is_none() {
            let prev = event.prev.clone().expect("what is deleted was there");
            ended.push((event.key().clone(), text(&prev.value)));
        }
    }
    assert_eq!(ended, [(ground.key("a"), "1".to_owned()), (ground.key("b"), "2".to_owned())]);
    assert_eq!(ground.names(None).await, ["stays"]);
    let late = ground.store.txn(Txn::new().put_leased(ground.key("c"), bytes("3"), lease)).await;
    assert!(matches!(late, Err(Error::LeaseNotFound { .. })), "{late:?}");
}

pub(super) async fn a_revoked_lease_takes_its_keys_along(ground: Ground) {
    let lease = grant(&ground, LONG).await;
    ground.commit(Txn::new().put_leased(ground.key("a"), bytes("1"), lease)).await;
    ground.put("b", "2").await;
    ground.store.lease_revoke(lease).await.expect("a live lease can be revoked");
    assert_eq!(ground.names(None).await, ["b"]);
    let error = ground.store.lease_revoke(lease).await.expect_err("it ended");
    assert!(matches!(error, Error::LeaseNotFound { lease: named } if named == lease), "{error:?}");
}

pub(super) async fn rewriting_a_key_detaches_it(ground: Ground) {
    let (first, second) = (grant(&ground, LONG).await, grant(&ground, LONG).await);
    for name in ["freed", "moved", "gone", "back"] {
        ground.commit(Txn::new().put_leased(ground.key(name), bytes("1"), first)).await;
    }
    ground.put("freed", "2").await;
    ground.commit(Txn::new().put_leased(ground.key("moved"), bytes("2"), second)).await;
    ground.delete("back").await;
    ground.put("back", "2").await;
    ground.store.lease_revoke(first).await.expect("a live lease can be revoked");
    assert_eq!(ground.names(None).await, ["back", "freed", "moved"]);
    ground.store.lease_revoke(second).await.expect("a live lease can be revoked");
    assert_eq!(ground.names(None).await, ["back", "freed"]);
}

pub(super) async fn unknown_leases_are_refused(ground: Ground) {
    let unknown = LeaseId::new(i64::MAX).expect("it is not zero");
    let before = ground.current().await;
    let txn = Txn::new().put_leased(ground.key("a"), bytes("1"), unknown);
    let error = ground.store.txn(txn).await.expect_err("there is no such lease");
    assert!(matches!(error, Error::LeaseNotFound { lease } if lease == unknown), "{error:?}");
    assert_eq!(ground.current().await, before, "nothing happened");
    let forever = ground.store.lease_grant(Duration::from_secs(u64::MAX)).await.expect_err("nothing lasts for ever");
    assert!(matches!(forever, Error::LeaseTooLong { .. }), "{forever:?}");
}
