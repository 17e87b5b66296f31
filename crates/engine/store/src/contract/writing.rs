//! Transactions.

use bytes::Bytes;

use crate::limits::{KEY_BYTES_MAX, TXN_BYTES_MAX, TXN_OPS_MAX};
use crate::{Entry, Error, Key, Outcome, Revision, Txn};

use super::{Ground, bytes, text};

pub(super) async fn creation_begins_a_history(ground: Ground) {
    let key = ground.key("a");
    let absent = ground.store.get(&key, None).await.expect("an absent key can be asked for");
    assert_eq!(absent.entry, None, "the key is new");
    let revision = ground.commit(Txn::create(key.clone(), bytes("1"))).await;
    assert!(revision > absent.revision, "a change takes a new revision");
    let got = ground.store.get(&key, None).await.expect("it can be read");
    let entry = Entry { key, value: bytes("1"), created: revision, modified: revision, version: 1, lease: None };
    assert_eq!(got.entry, Some(entry));
    assert!(got.revision >= revision, "a read sees the write that was acknowledged before it");
}

pub(super) async fn update_continues_it(ground: Ground) {
    let key = ground.key("a");
    let created = ground.commit(Txn::create(key.clone(), bytes("1"))).await;
    let modified = ground.commit(Txn::update(key.clone(), created, bytes("2"))).await;
    let got = ground.store.get(&key, None).await.expect("it can be read");
    let entry = Entry { key, value: bytes("2"), created, modified, version: 2, lease: None };
    assert_eq!(got.entry, Some(entry));
}

pub(super) async fn deletion_ends_it(ground: Ground) {
    let key = ground.key("a");
    let created = ground.commit(Txn::create(key.clone(), bytes("1"))).await;
    let deleted = ground.commit(Txn::remove(key.clone(), created)).await;
    assert!(deleted > created, "a deletion takes a revision");
    assert_eq!(ground.value("a", None).await, None);
    let again = ground.commit(Txn::create(key.clone(), bytes("3"))).await;
    let entry = ground.store.get(&key, None).await.expect("it can be read").entry.expect("it is there again");
    assert_eq!((entry.created, entry.version), (again, 1), "a key that comes back begins anew");
}

pub(super) async fn conflicts_change_nothing_and_tell_what_is(ground: Ground) {
    let (a, b) = (ground.key("a"), ground.key("b"));
    let created = ground.commit(Txn::create(a.clone(), bytes("1"))).await;
    let before = ground.current().await;
    let wrong = [
        Txn::create(a.clone(), bytes("x")),
        Txn::update(a.clone(), Revision(created.0 - 1), bytes("x")),
        Txn::update(a.clone(), Revision(created.0 + 1_000), bytes("x")),
        Txn::remove(a.clone(), Revision(created.0 - 1)),
        Txn::update(a.clone(), created, bytes("x")).when(b.clone(), created),
    ];
    for txn in wrong {
        let compares = txn.compares.len();
        let outcome = ground.store.txn(txn.clone()).await.expect("a conflict is an answer");
        let Outcome::Conflict { revision, current } = outcome else { panic!("{txn:?} came through: {outcome:?}") };
        assert!(revision >= before, "the conflict was seen at a revision of now");
        assert_eq!(current.len(), compares, "one for each comparison");
        let entry = current[0].as_ref().expect("the key is there");
        assert_eq!((entry.modified, text(&entry.value)), (created, "1".to_owned()));
        assert_eq!(current.get(1).cloned().flatten(), None, "the other key is absent");
    }
    assert_eq!(ground.value("a", None).await, Some("1".to_owned()));
    let missing = ground.store.txn(Txn::update(b.clone(), created, bytes("x"))).await.expect("a conflict is an answer");
    assert!(matches!(missing, Outcome::Conflict { current, .. } if current == [None]), "an absent key has no revision");
}

pub(super) async fn unconditional_writes_overwrite(ground: Ground) {
    let first = ground.put("a", "1").await;
    let second = ground.put("a", "2").await;
    assert!(second > first, "revisions grow");
    let entry = ground.store.get(&ground.key("a"), None).await.expect("it can be read").entry.expect("it is there");
    assert_eq!((entry.created, entry.modified, entry.version), (first, second, 2));
}

pub(super) async fn several_keys_change_together_or_not_at_all(ground: Ground) {
    let (a, b, c) = (ground.key("a"), ground.key("b"), ground.key("c"));
    let created = ground.commit(Txn::create(a.clone(), bytes("1"))).await;
    let txn = Txn::new()
        .when(a.clone(), created)
        .when(b.clone(), Revision::ZERO)
        .delete(a.clone())
        .put(b.clone(), bytes("2"))
        .put(c.clone(), bytes("3"));
    let together = ground.commit(txn.clone()).await;
    assert_eq!(ground.names(None).await, ["b", "c"]);
    for key in [&b, &c] {
        let entry = ground.store.get(key, None).await.expect("it can be read").entry.expect("it was written");
        assert_eq!(entry.modified, together, "all operations share the revision");
    }
    let again = ground.store.txn(txn).await.expect("a conflict is an answer");
    assert!(matches!(again, Outcome::Conflict { .. }), "its conditions hold no more");
    assert_eq!(ground.names(None).await, ["b", "c"]);
}

pub(super) async fn changing_nothing_takes_no_revision(ground: Ground) {
    let written = ground.put("a", "1").await;
    assert_eq!(ground.delete("absent").await, written, "deleting what is absent changes nothing");
    assert_eq!(ground.commit(Txn::new().when(ground.key("a"), written)).await, written, "nor does looking");
    assert_eq!(ground.put("a", "1").await, written.next(), "but writing the same value does");
}

pub(super) async fn bounds_are_refused_with_a_type(ground: Ground) {
    let before = ground.current().await;
    let refused = async |txn: Txn| ground.store.txn(txn).await.expect_err("it is out of bounds");
    let key = ground.key("a");
    let twice = Txn::new().put(key.clone(), bytes("1")).delete(key.clone());
    assert!(matches!(refused(twice).await, Error::DuplicateKey { .. }));
    let large = Txn::new().put(key.clone(), Bytes::from(vec![b'x'; TXN_BYTES_MAX + 1]));
    assert!(matches!(refused(large).await, Error::TooLarge { .. }));
    let many = (0..=TXN_OPS_MAX).fold(Txn::new(), |txn, n| txn.delete(ground.key(&n.to_string())));
    assert!(matches!(refused(many).await, Error::TooMany { .. }));
    assert!(matches!(refused(Txn::new().put(Key::from(""), bytes("1"))).await, Error::InvalidKey { .. }));
    let long = Key::from("k".repeat(KEY_BYTES_MAX + 1));
    assert!(matches!(refused(Txn::new().put(long, bytes("1"))).await, Error::InvalidKey { .. }));
    assert_eq!(ground.current().await, before, "a refused transaction changes nothing");
    let most = (0..TXN_OPS_MAX).fold(Txn::new(), |txn, n| txn.put(ground.key(&n.to_string()), bytes("1")));
    ground.commit(most).await;
    assert_eq!(ground.names(None).await.len(), TXN_OPS_MAX, "the bound itself is possible");
}

pub(super) async fn large_values_survive(ground: Ground) {
    let key = ground.key("large");
    let size_bytes = TXN_BYTES_MAX - 2 * key.len();
    let value: Bytes = (0..size_bytes).map(|n| u8::try_from(n % 251).expect("a remainder of 251 fits")).collect();
    ground.commit(Txn::create(key.clone(), value.clone())).await;
    let entry = ground.store.get(&key, None).await.expect("it can be read").entry.expect("it is there");
    assert!(entry.value == value, "what was written is read, {size_bytes} bytes");
    let empty = ground.key("empty");
    ground.commit(Txn::create(empty.clone(), Bytes::new())).await;
    let entry = ground.store.get(&empty, None).await.expect("it can be read").entry;
    assert_eq!(entry.map(|entry| entry.value), Some(Bytes::new()), "an empty value is a value");
}

pub(super) async fn keys_may_be_any_text(ground: Ground) {
    let names = ["a b", "a/b", "z", "ä", "日本", "😀", "\u{10ffff}"];
    for name in names {
        ground.put(name, name).await;
    }
    assert_eq!(ground.names(None).await, names, "in the order of their bytes");
    for name in names {
        assert_eq!(ground.value(name, None).await.as_deref(), Some(name));
    }
}
