//! Watches.

use crate::{Change, Error, Revision, Span, Txn, Watch};

use super::{Ground, Told, bytes, text};

pub(super) async fn changes_arrive_with_what_was_before(ground: Ground) {
    let start = ground.current().await;
    let mut told = Told::begin(&ground, Watch::after(ground.span(), start)).await;
    let created = ground.put("a", "1").await;
    let event = told.event().await;
    assert_eq!((event.revision(), &event.prev), (created, &None), "a creation has no past");
    let entry = event.entry().expect("it was written");
    assert_eq!((text(&entry.value).as_str(), entry.created, entry.version), ("1", created, 1));
    let modified = ground.put("a", "2").await;
    let event = told.event().await;
    let (entry, prev) = (event.entry().expect("it was written"), event.prev.as_ref().expect("it was there"));
    assert_eq!((text(&entry.value).as_str(), entry.modified, entry.version), ("2", modified, 2));
    assert_eq!((text(&prev.value).as_str(), prev.modified), ("1", created));
    let deleted = ground.delete("a").await;
    let event = told.event().await;
    assert_eq!(event.change, Change::Delete { key: ground.key("a"), revision: deleted });
    let prev = event.prev.expect("what is deleted was there");
    assert_eq!((text(&prev.value).as_str(), prev.modified, prev.created), ("2", modified, created));
}

pub(super) async fn a_watch_from_the_past_replays_it(ground: Ground) {
    let mut revisions = Vec::new();
    for n in 0..50 {
        revisions.push(ground.put(&format!("{}", n % 5), &n.to_string()).await);
    }
    for first in [0, 1, 25, 49] {
        let from = Some(revisions[first]);
        let mut told = Told::begin(&ground, Watch { span: ground.span(), from }).await;
        for revision in &revisions[first..] {
            told.expect_next_at(*revision).await;
        }
    }
    let mut told = Told::begin(&ground, Watch { span: ground.span(), from: Some(revisions[48]) }).await;
    let next = ground.put("live", "x").await;
    for revision in [revisions[48], revisions[49], next] {
        told.expect_next_at(revision).await;
    }
}

pub(super) async fn a_watch_from_the_future_waits(ground: Ground) {
    let now = ground.put("a", "1").await;
    let mut told = Told::begin(&ground, Watch { span: ground.span(), from: Some(Revision(now.0 + 3)) }).await;
    for n in 0..2 {
        ground.put("a", &n.to_string()).await;
    }
    let first = ground.put("a", "first").await;
    assert_eq!(first, Revision(now.0 + 3), "nobody else writes");
    told.expect_next_at(first).await;
    let mut told = Told::begin(&ground, Watch::now(ground.span())).await;
    let next = ground.put("a", "next").await;
    told.expect_next_at(next).await;
}

pub(super) async fn only_the_span_is_told(ground: Ground) {
    let start = ground.current().await;
    let inside = Span::prefix(ground.key("in/").as_str());
    let mut told = Told::begin(&ground, Watch::after(inside, start)).await;
    ground.put("in", "not the folder itself").await;
    ground.put("inside", "nor what begins alike").await;
    ground.put("out/a", "x").await;
    let first = ground.put("in/a", "x").await;
    ground.put("out/a", "y").await;
    let second = ground.delete("in/a").await;
    told.expect_next_at(first).await;
    told.expect_next_at(second).await;
}

pub(super) async fn a_transaction_arrives_in_one_piece(ground: Ground) {
    let start = ground.current().await;
    let mut live = Told::begin(&ground, Watch::after(ground.span(), start)).await;
    let mut expected = Vec::new();
    for round in 0..20 {
        let txn = (0..10).fold(Txn::new(), |txn, n| txn.put(ground.key(&format!("{n}")), bytes(&round.to_string())));
        expected.push(ground.commit(txn).await);
    }
    let mut replayed = Told::begin(&ground, Watch::after(ground.span(), start)).await;
    for told in [&mut live, &mut replayed] {
        let mut seen: Vec<Revision> = Vec::new();
        while seen.len() < expected.len() * 10 {
            let batch = told.batch().await.expect("the watch is healthy");
            seen.extend(batch.events.iter().map(crate::Event::revision));
            assert_eq!(seen.len() % 10, 0, "a batch holds whole transactions");
        }
        seen.dedup();
        assert_eq!(seen, expected);
    }
}

pub(super) async fn compacted_history_cannot_be_watched(ground: Ground) {
    let old = ground.put("a", "1").await;
    ground.put("a", "2").await;
    let kept = ground.put("a", "3").await;
    ground.store.compact(kept).await.expect("the past can be forgotten");
    let mut told = Told::begin(&ground, Watch { span: ground.span(), from: Some(old) }).await;
    let error = told.error().await;
    assert!(matches!(error, Error::Compacted { .. }), "{error:?}");
    let mut told = Told::begin(&ground, Watch { span: ground.span(), from: Some(kept) }).await;
    told.expect_next_at(kept).await;
    let next = ground.put("a", "4").await;
    told.expect_next_at(next).await;
}

pub(super) async fn progress_is_told_on_request(ground: Ground) {
    let written = ground.put("a", "1").await;
    let mut told = Told::begin(&ground, Watch { span: ground.span(), from: Some(written) }).await;
    let elsewhere = ground.pass_time().await;
    let can = ground.store.status().await.expect("a store tells its status").progress_on_request;
    if !can {
        let refused = told.watcher.request_progress().expect_err("the status says that it cannot be relied on");
        assert!(matches!(refused, Error::Unsupported { .. }), "{refused:?}");
        return;
    }
    told.watcher.request_progress().expect("the status says that it can be relied on");
    let mut events = 0;
    while told.revision < elsewhere {
        events += told.batch().await.expect("the watch is healthy").events.len();
    }
    assert_eq!(events, 1, "progress is told after what came before it");
}

pub(super) async fn watches_of_one_key_and_of_everything(ground: Ground) {
    let start = ground.current().await;
    let one = Span::one(&ground.key("a"));
    let mut one = Told::begin(&ground, Watch::after(one, start)).await;
    let mut all = Told::begin(&ground, Watch::after(Span::prefix(""), start)).await;
    let mut revisions = Vec::new();
    for name in ["aa", "a", "b", "a/b"] {
        revisions.push(ground.put(name, "x").await);
    }
    one.expect_next_at(revisions[1]).await;
    for revision in revisions {
        all.expect_next_at(revision).await;
    }
}
