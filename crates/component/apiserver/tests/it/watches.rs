//! Watches: every change of a span, in order, or a clear end.

use std::sync::Arc;

use codec::proto;
use env::task::Fate;
use futures::StreamExt as _;
use store::Revision;

use crate::fixture::{Client, Cluster, Events, JSON, MAPS, MERGE, PODS, PROTOBUF, TABLE, at, config_map, pod};

fn labelled(name: &str, colour: &str) -> String {
    format!(r#"{{"metadata":{{"name":"{name}","labels":{{"colour":"{colour}"}}}}}}"#)
}

async fn colour(admin: &Client, name: &str, colour: &str) {
    let body = format!(r#"{{"metadata":{{"labels":{{"colour":"{colour}"}}}}}}"#);
    admin.patch(&format!("{MAPS}/{name}"), MERGE, &body).await.is(200);
}

#[tokio::test]
async fn changes_come_as_the_selector_sees_them() {
    let admin = Cluster::start().await.admin();
    let start = admin.get(MAPS).await.revision();
    let mut all = admin.watch(&format!("{MAPS}?watch=true&resourceVersion={start}")).await;
    let mut red = admin.watch(&format!("{MAPS}?watch=1&resourceVersion={start}&labelSelector=colour%3Dred")).await;
    let mut one =
        admin.watch(&format!("{MAPS}?watch=true&resourceVersion={start}&fieldSelector=metadata.name%3Dtwo")).await;
    let mut old = admin.watch(&format!("/api/v1/watch/namespaces/default/configmaps?resourceVersion={start}")).await;
    let mut elsewhere = admin
        .watch(&format!(
            "/api/v1/namespaces/kube-system/configmaps?watch=true&resourceVersion={start}&timeoutSeconds=1"
        ))
        .await;
    admin.post(MAPS, &labelled("one", "red")).await.is(201);
    admin.post(MAPS, &labelled("two", "blue")).await.is(201);
    colour(&admin, "two", "red").await;
    colour(&admin, "one", "blue").await;
    admin.delete(&format!("{MAPS}/two"), "").await.is(200);
    admin.delete(&format!("{MAPS}/one"), "").await.is(200);
    let whole = ["ADDED one", "ADDED two", "MODIFIED two", "MODIFIED one", "DELETED two", "DELETED one"];
    all.are(&whole).await;
    old.are(&whole).await;
    red.are(&["ADDED one", "ADDED two", "DELETED one", "DELETED two"]).await;
    one.are(&["ADDED two", "MODIFIED two", "DELETED two"]).await;
    assert_eq!(elsewhere.word().await, "END", "a watch ends when its time is over");
    assert_eq!(all.headers["content-type"], "application/json");
    // From the beginning: what there is, then what comes.
    admin.post(MAPS, &labelled("three", "red")).await.is(201);
    let mut from_now = admin.watch(&format!("{MAPS}?watch=true&labelSelector=colour")).await;
    from_now.are(&["ADDED three"]).await;
    colour(&admin, "three", "green").await;
    from_now.are(&["MODIFIED three"]).await;
}

#[tokio::test]
async fn a_deletion_shows_the_last_state_at_its_revision() {
    let admin = Cluster::start().await.admin();
    let made = admin.post(MAPS, &labelled("one", "red")).await.is(201);
    let mut events = admin.watch(&format!("{MAPS}?watch=true&resourceVersion={}", made.revision())).await;
    admin.delete(&format!("{MAPS}/one"), "").await.is(200);
    let event = events.next().await.expect("an event");
    assert_eq!((at(&event, "type"), at(&event, "object.metadata.labels.colour")), ("DELETED".into(), "red".into()));
    let (at_deletion, at_creation) = (at(&event, "object.metadata.resourceVersion"), made.revision());
    assert!(at_deletion.parse::<u64>().expect("a number") > at_creation.parse::<u64>().expect("a number"));
    let kind = (at(&event, "object.kind"), at(&event, "object.apiVersion"));
    assert_eq!(kind, ("ConfigMap".into(), "v1".into()));
    let mut leaving =
        admin.watch(&format!("{MAPS}?watch=true&resourceVersion={}&labelSelector=colour%3Dred", made.revision())).await;
    leaving.are(&["DELETED one"]).await;
}

#[tokio::test]
async fn a_watch_list_says_when_its_beginning_is_through() {
    let admin = Cluster::start().await.admin();
    admin.post(MAPS, &labelled("one", "red")).await.is(201);
    admin.post(MAPS, &labelled("two", "red")).await.is(201);
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=colour";
    for version in ["", "&resourceVersion=0"] {
        let mut events = admin.watch(&format!("{MAPS}?{query}{version}")).await;
        events.are(&["ADDED one", "ADDED two"]).await;
        let mark = events.next().await.expect("a bookmark");
        assert_eq!((at(&mark, "type"), at(&mark, "object.kind")), ("BOOKMARK".into(), "ConfigMap".into()));
        let end = mark.at(&["object", "metadata", "annotations", "k8s.io/initial-events-end"]);
        assert_eq!(end.and_then(object::Value::as_str), Some("true"));
        let list = admin.get(MAPS).await.revision();
        assert_eq!(at(&mark, "object.metadata.resourceVersion"), list);
        assert_eq!(at(&mark, "object.metadata.creationTimestamp"), "");
    }
    let mut events = admin.watch(&format!("{MAPS}?{query}")).await;
    events.are(&["ADDED one", "ADDED two", "BOOKMARK"]).await;
    colour(&admin, "two", "blue").await;
    events.are(&["MODIFIED two"]).await;
    let declined = "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = admin.watch(&format!("{MAPS}?{declined}")).await;
    colour(&admin, "one", "blue").await;
    events.are(&["MODIFIED one"]).await;
}

#[tokio::test]
async fn the_forgotten_past_is_gone() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let start = admin.get(MAPS).await.revision();
    for number in 0..20 {
        admin.post(MAPS, &config_map(&format!("m{number}"), "a")).await.is(201);
    }
    // What the cache still knows is served though the store has forgotten it.
    let newest = Revision(admin.get(MAPS).await.revision().parse().expect("a number"));
    cluster.store.compact(newest).await.expect("history can be forgotten");
    let mut known = admin.watch(&format!("{MAPS}?watch=true&resourceVersion={start}")).await;
    known.are(&["ADDED m0", "ADDED m1"]).await;
    let second = Cluster::over(Arc::clone(&cluster.store)).await;
    let old = second.admin().get(&format!("{MAPS}?watch=true&resourceVersion={start}")).await;
    if old.code == 200 {
        let event = codec::json::parse(&old.body).expect("one event");
        assert_eq!(
            (at(&event, "type"), at(&event, "object.code"), at(&event, "object.reason")),
            ("ERROR".into(), "410".into(), "Expired".into())
        );
    } else {
        old.is(410);
    }
}

#[tokio::test]
async fn watches_speak_protobuf_and_tables() {
    let admin = Cluster::start().await.admin();
    let start = admin.get(PODS).await.revision();
    let path = format!("{PODS}?watch=true&resourceVersion={start}");
    let mut messages = admin.with("accept", PROTOBUF).watch(&path).await;
    let mut tables = admin.with("accept", TABLE).watch(&path).await;
    assert_eq!(messages.headers["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    admin.post(PODS, &pod("a")).await.is(201);
    admin.post(PODS, &pod("b")).await.is(201);
    let mut bytes = Vec::new();
    for name in ["a", "b"] {
        let (kind, object) = message(&mut messages, &mut bytes).await;
        assert_eq!((kind.as_str(), at(&object, "metadata.name").as_str()), ("ADDED", name));
    }
    let first = tables.next().await.expect("an event");
    let second = tables.next().await.expect("an event");
    assert_eq!((at(&first, "object.kind"), at(&first, "object.rows.0.cells.0")), ("Table".into(), "a".into()));
    assert!(!first.list_at(&["object", "columnDefinitions"]).is_empty(), "the first table names its columns");
    assert_eq!(
        (at(&second, "object.rows.0.cells.0"), second.list_at(&["object", "columnDefinitions"]).len()),
        ("b".into(), 0)
    );
    let metadata = admin.with("accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let first = metadata.watch(&path).await.next().await.expect("an event");
    assert_eq!((at(&first, "object.kind"), at(&first, "object.spec")), ("PartialObjectMetadata".into(), String::new()));
}

/// The next frame: four bytes of length, then a WatchEvent.
async fn message(events: &mut Events, bytes: &mut Vec<u8>) -> (String, object::Value) {
    loop {
        if let Some(head) = bytes.first_chunk::<4>() {
            let length = u32::from_be_bytes(*head) as usize;
            if bytes.len() >= 4 + length {
                let frame: Vec<u8> = bytes.drain(..4 + length).collect();
                let (kind, object) = proto::open_event(&frame[4..]).expect("a frame holds an event");
                let decoded =
                    proto::decode_enveloped(object, object::Schema::builtin()).expect("an event holds an object");
                return (kind.to_owned(), decoded.value);
            }
        }
        bytes.extend_from_slice(&events.chunk().await.expect("the stream goes on"));
    }
}

/// Lists and events of every type share an object's bytes, in which the type stands that was wanted first.
#[tokio::test]
async fn an_event_says_its_own_type_whoever_read_the_object_first() {
    let admin = Cluster::start().await.admin();
    for (accept, name) in [(JSON, "json"), (PROTOBUF, "protobuf")] {
        let reader = admin.with("accept", accept);
        let path = format!("{MAPS}?watch=true&fieldSelector=metadata.name%3D{name}");
        let since =
            format!("{path}&resourceVersion={}", admin.post(MAPS, &labelled(name, "red")).await.is(201).revision());
        for (colours, order) in [("blue", ["list", "MODIFIED", "ADDED"]), ("green", ["MODIFIED", "list", "ADDED"])] {
            colour(&admin, name, colours).await;
            let expected = admin.get(&format!("{MAPS}/{name}")).await.is(200);
            for reads in order {
                let path = match reads {
                    "list" => {
                        reader.get(MAPS).await.is(200);
                        continue;
                    }
                    "MODIFIED" => &since,
                    _ => &path,
                };
                let (kind, object) = last(&reader, path, accept == PROTOBUF, colours).await;
                assert_eq!(
                    (kind.as_str(), at(&object, "metadata.uid")),
                    (reads, expected.at("metadata.uid")),
                    "{order:?}"
                );
                assert_eq!(at(&object, "metadata.resourceVersion"), expected.revision(), "{order:?}");
            }
        }
    }
}

/// The event of a watch that tells of this colour.
async fn last(reader: &Client, path: &str, is_protobuf: bool, colour: &str) -> (String, object::Value) {
    let (mut events, mut bytes) = (reader.watch(path).await, Vec::new());
    loop {
        let (kind, object) = if is_protobuf {
            message(&mut events, &mut bytes).await
        } else {
            let event = events.next().await.expect("the stream goes on");
            (at(&event, "type"), event.get("object").cloned().expect("an event has an object"))
        };
        if at(&object, "metadata.labels.colour") == colour {
            return (kind, object);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_watchers_see_everything_in_order() {
    const WATCHERS: usize = 200;
    const OBJECTS: usize = 200;
    let admin = Cluster::start().await.admin();
    let start = admin.get(MAPS).await.revision();
    let path = format!("{MAPS}?watch=true&resourceVersion={start}");
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let mut events = admin.watch(&path).await;
        watchers.push(env::task::spawn(Fate::Local, "watcher", async move {
            let mut seen = Vec::with_capacity(OBJECTS);
            while seen.len() < OBJECTS {
                let event = events.next().await.expect("the stream goes on");
                let revision: u64 = at(&event, "object.metadata.resourceVersion").parse().expect("a number");
                seen.push((revision, at(&event, "object.metadata.name")));
            }
            seen
        }));
    }
    let writes = (0..OBJECTS).map(|number| {
        let admin = admin.clone();
        async move {
            admin
                .post(MAPS, &config_map(&format!("m{number}"), "a"))
                .await
                .is(201)
                .revision()
                .parse::<u64>()
                .expect("a number")
        }
    });
    let mut written: Vec<u64> = futures::stream::iter(writes).buffer_unordered(16).collect().await;
    written.sort_unstable();
    for watcher in watchers {
        let seen = watcher.await.expect("the watcher came to its end");
        let revisions: Vec<u64> = seen.iter().map(|(revision, _)| *revision).collect();
        assert_eq!(revisions, written, "every change once and in order");
    }
}

#[tokio::test]
async fn a_watcher_that_falls_behind_is_told_so() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    let made = admin.post(MAPS, &config_map("one", &"x".repeat(900 << 10))).await.is(201).revision();
    let mut slow = admin.watch(&format!("{MAPS}?watch=true&resourceVersion={made}")).await;
    // More than the ring remembers: 64 MiB of objects that have changed since, written as another server would.
    let key = store::Key::from("/registry/configmaps/default/one");
    for _ in 0..80 {
        let entry = cluster.store.get(&key, None).await.expect("the store answers").entry.expect("the object is there");
        let update = store::Txn::update(key.clone(), entry.modified, entry.value);
        cluster.store.txn(update).await.expect("the store writes");
    }
    admin.get(MAPS).await.is(200);
    let mut last = String::new();
    while let Some(event) = slow.next().await {
        last = format!("{} {} {}", at(&event, "type"), at(&event, "object.code"), at(&event, "object.reason"));
        assert!(last.starts_with("ERROR"), "it has missed changes and must not be served later ones");
    }
    assert_eq!(last, "ERROR 410 Expired");
}
