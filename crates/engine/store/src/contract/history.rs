//! The past, and how it is forgotten.

use crate::{Error, Range, Revision};

use super::Ground;

pub(super) async fn the_past_can_be_read_exactly(ground: Ground) {
    let before = ground.pass_time().await;
    let one = ground.put("a", "1").await;
    let two = ground.put("a", "2").await;
    let other = ground.put("b", "1").await;
    let gone = ground.delete("a").await;
    let back = ground.put("a", "3").await;
    let past = [
        (before, None, vec![]),
        (one, Some("1"), vec!["a"]),
        (two, Some("2"), vec!["a"]),
        (other, Some("2"), vec!["a", "b"]),
        (gone, None, vec!["b"]),
        (back, Some("3"), vec!["a", "b"]),
    ];
    for (at, value, names) in past {
        assert_eq!(ground.value("a", Some(at)).await.as_deref(), value, "at {at}");
        assert_eq!(ground.names(Some(at)).await, names, "at {at}");
    }
}

pub(super) async fn the_future_cannot(ground: Ground) {
    let future = Revision(ground.pass_time().await.0 + 1_000_000);
    let error = ground.store.get(&ground.key("a"), Some(future)).await.expect_err("it has not happened");
    assert!(matches!(error, Error::FutureRevision { requested, .. } if requested == future), "{error:?}");
    let error = ground.store.range(Range::of(ground.span()).at(future)).await.expect_err("it has not happened");
    assert!(matches!(error, Error::FutureRevision { requested, .. } if requested == future), "{error:?}");
}

pub(super) async fn compaction_forgets_the_past_alone(ground: Ground) {
    let one = ground.put("a", "1").await;
    ground.put("gone", "1").await;
    ground.delete("gone").await;
    let two = ground.put("a", "2").await;
    let three = ground.put("a", "3").await;
    ground.store.compact(two).await.expect("the past can be forgotten");
    for at in [one, Revision(two.0 - 1)] {
        let error = ground.store.get(&ground.key("a"), Some(at)).await.expect_err("it is forgotten");
        assert!(matches!(error, Error::Compacted { requested, .. } if requested == at), "{error:?}");
        let error = ground.store.range(Range::of(ground.span()).at(at)).await.expect_err("it is forgotten");
        assert!(matches!(error, Error::Compacted { .. }), "{error:?}");
    }
    assert_eq!(ground.value("a", Some(two)).await.as_deref(), Some("2"), "the compacted revision itself stays");
    assert_eq!(ground.value("a", Some(three)).await.as_deref(), Some("3"));
    assert_eq!(ground.names(Some(two)).await, ["a"]);
    assert_eq!(ground.value("a", None).await.as_deref(), Some("3"));
}

pub(super) async fn compaction_is_refused_twice_and_ahead(ground: Ground) {
    ground.put("a", "1").await;
    let now = ground.put("a", "2").await;
    ground.store.compact(now).await.expect("the past can be forgotten");
    for at in [now, Revision(now.0 - 1)] {
        let error = ground.store.compact(at).await.expect_err("it is compacted");
        assert!(matches!(error, Error::Compacted { .. }), "{error:?}");
    }
    let error = ground.store.compact(Revision(now.0 + 1_000_000)).await.expect_err("it has not happened");
    assert!(matches!(error, Error::FutureRevision { .. }), "{error:?}");
    assert_eq!(ground.value("a", None).await.as_deref(), Some("2"), "and what is stays");
}
