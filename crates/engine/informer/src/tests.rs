//! Informers against a server that hangs up, forgets, refuses and does not know everything.

pub(crate) mod fake;

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Client, Known};
use http::Method;
use kind::Refusal;
use object::Value;
use plan::{Index, Key, View as _};
use typed::Kind;
use typed::api::core::v1::{ConfigMap, Pod};

use crate::{Cache, Changed, Informer, Informers, Item, Scope, Subscription, Witness, Written};
use fake::{Fake, PATIENCE};

fn config(name: &str, value: &str) -> Value {
    let mut tree = Value::map();
    tree.set(&["metadata", "namespace"], "default");
    tree.set(&["metadata", "name"], name);
    tree.set(&["data", "value"], value);
    tree
}

fn value(config: &ConfigMap) -> &str {
    config.data.as_ref().and_then(|data| data.get("value")).map_or("", String::as_str)
}

/// Waits until what an informer sees satisfies `wanted`.
async fn until<T: Item>(informer: &Informer<T>, what: &str, wanted: impl Fn(&Cache<T>) -> bool) {
    let mut progress = informer.progress();
    let come = env::time::timeout(PATIENCE, async {
        while !wanted(informer) {
            progress.changed().await.expect("the informer lives");
        }
    });
    assert!(come.await.is_ok(), "never came: {what}; the cache: {:#?}", informer.all());
}

fn values(cache: &Cache<ConfigMap>) -> BTreeMap<String, String> {
    cache.all().iter().map(|one| (one.name().to_owned(), value(one).to_owned())).collect()
}

fn expect(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn following(fake: &Fake) -> Informer<ConfigMap> {
    let informer = Informers::new(fake.client()).of::<ConfigMap>();
    env::time::timeout(PATIENCE, informer.synced()).await.expect("the first state comes");
    informer
}

async fn follows_through(fake: Fake) {
    let row = ConfigMap::resource();
    fake.put(row, config("a", "1"));
    let informer = following(&fake).await;
    assert_eq!(values(&informer), expect(&[("a", "1")]));
    fake.put(row, config("b", "1"));
    fake.put(row, config("a", "2"));
    until(&informer, "changes", |cache| values(cache) == expect(&[("a", "2"), ("b", "1")])).await;
    fake.hang_up();
    fake.put(row, config("b", "2"));
    until(&informer, "changes after a hang-up", |cache| values(cache) == expect(&[("a", "2"), ("b", "2")])).await;
    fake.delete("/api/v1/namespaces/default/configmaps/a");
    fake.forget();
    fake.put(row, config("c", "1"));
    until(&informer, "changes after a relist", |cache| values(cache) == expect(&[("b", "2"), ("c", "1")])).await;
    assert_eq!(informer.revision(), fake.revision());
    assert_eq!(informer.len(), fake.below("/api/v1/namespaces/default/configmaps/").len());
    let stored = fake.get("/api/v1/namespaces/default/configmaps/b").expect("it is stored");
    assert_eq!(ConfigMap::from_tree(&stored).as_ref(), Ok(&*informer.get("default", "b").expect("it is cached")));
}

#[tokio::test]
async fn it_follows_a_server_that_streams_lists() {
    let fake = Fake::new();
    follows_through(fake.clone()).await;
    let begun = fake.requests().iter().filter(|line| line.contains("sendInitialEvents=true")).count();
    assert_eq!(begun, 2, "the state is asked for again when the server has forgotten: {:?}", fake.requests());
    assert!(fake.requests().iter().all(|line| line.contains("watch=true")), "nothing is listed: {:?}", fake.requests());
}

#[tokio::test]
async fn it_follows_a_server_that_only_lists() {
    let fake = Fake::without_list_streams();
    follows_through(fake.clone()).await;
    assert!(fake.requests().iter().any(|line| !line.contains("watch=true")), "something is listed");
}

#[tokio::test]
async fn refusals_are_waited_out() {
    let fake = Fake::new();
    fake.put(ConfigMap::resource(), config("a", "1"));
    for _ in 0..2 {
        fake.refuse_next(Method::GET, Refusal::Internal("not yet".to_owned()));
    }
    let begun = env::time::Instant::now();
    let informer = following(&fake).await;
    assert_eq!(values(&informer), expect(&[("a", "1")]));
    let waited = begun.elapsed();
    assert!(waited.as_millis() >= 800 + 1600, "waits grow: {waited:?}");
}

#[tokio::test]
async fn one_informer_serves_everybody() {
    let fake = Fake::new();
    let informers = Informers::new(fake.client());
    let (one, two) = (informers.of::<ConfigMap>(), informers.of::<ConfigMap>());
    assert!(Arc::ptr_eq(one.cache(), two.cache()));
    let part = informers.scoped::<ConfigMap>(Scope::fields("metadata.name=a"));
    assert!(!Arc::ptr_eq(one.cache(), part.cache()));
    informers.synced().await;
    assert_eq!(fake.requests().len(), 2, "{:?}", fake.requests());
    assert!(fake.requests().iter().any(|line| line.contains("fieldSelector=metadata.name%3Da")));
}

#[tokio::test]
async fn metadata_alone_names_its_kind() {
    let fake = Fake::new();
    fake.put(ConfigMap::resource(), config("a", "1"));
    let informer = Informers::new(fake.client()).metadata_of(ConfigMap::resource());
    informer.synced().await;
    let seen = informer.get("default", "a").expect("it is there");
    assert_eq!(seen.0.str_at(&["kind"]), Some("ConfigMap"));
    assert_eq!(seen.meta().resource_version(), "101");
}

#[tokio::test]
async fn a_transform_drops_what_nobody_reads() {
    let fake = Fake::new();
    fake.put(ConfigMap::resource(), config("a", "1"));
    let informers = Informers::new(fake.client());
    informers.transform::<ConfigMap>(|config| config.data = None);
    let informer = informers.of::<ConfigMap>();
    informer.synced().await;
    assert_eq!(informer.get("default", "a").expect("it is there").data, None);
}

#[tokio::test]
async fn writes_are_seen_when_they_are_in_the_cache() {
    let fake = Fake::new();
    let informer = following(&fake).await;
    let tree = fake.put(ConfigMap::resource(), config("a", "1"));
    let written = Written::object(&tree);
    env::time::timeout(PATIENCE, informer.seen(written.clone())).await.expect("the write is seen");
    assert_eq!(values(&informer), expect(&[("a", "1")]));
    let gone = Written::deleted(Key::new("default", "a"), &written.uid);
    assert!(!informer.has_seen(&gone));
    fake.delete("/api/v1/namespaces/default/configmaps/a");
    env::time::timeout(PATIENCE, informer.seen(gone)).await.expect("the end is seen");
}

#[tokio::test]
async fn informers_of_one_server_hold_the_same_objects() {
    let (fake, known) = (Fake::new(), Known::default());
    let mut tree = config("a", "1");
    tree.set(&["metadata", "uid"], "0a000000-0000-4000-8000-000000000000");
    fake.put(ConfigMap::resource(), tree.clone());
    let informers = || Informers::new(fake.client().sharing(&known));
    let (one, part) = (informers().of::<ConfigMap>(), informers().scoped::<ConfigMap>(Scope::namespace("default")));
    let same = |revision: u64| {
        let held = one.get("default", "a").zip(part.get("default", "a"));
        held.is_some_and(|(one, part)| one.revision() == revision && Arc::ptr_eq(&one, &part))
    };
    until(&one, "the state", |cache| cache.len() == 1).await;
    until(&part, "the state", |cache| cache.len() == 1).await;
    assert!(same(fake.revision()));
    tree.set(&["data", "value"], "2");
    fake.put(ConfigMap::resource(), tree);
    until(&one, "the change", |cache| cache.revision() == fake.revision()).await;
    until(&part, "the change", |cache| cache.revision() == fake.revision()).await;
    assert!(same(fake.revision()));
    fake.delete("/api/v1/namespaces/default/configmaps/a");
    until(&one, "the end", |cache| cache.is_empty()).await;
}

fn made(name: &str, uid: &str, revision: u64) -> Arc<ConfigMap> {
    let mut object = ConfigMap::default();
    object.metadata.namespace = Some("default".to_owned());
    object.metadata.name = Some(name.to_owned());
    object.metadata.uid = Some(uid.to_owned());
    object.metadata.resource_version = Some(revision.to_string());
    Arc::new(object)
}

fn drained(news: &mut Subscription<ConfigMap>) -> Vec<String> {
    let word = |one: Option<&Arc<ConfigMap>>| one.map_or("-", |one| one.resource_version()).to_owned();
    let line = |change: Changed<ConfigMap>| {
        let name = change.latest().map_or(String::new(), |one| one.name().to_owned());
        format!("{name} {}>{}", word(change.old.as_ref()), word(change.new.as_ref()))
    };
    std::iter::from_fn(|| news.try_next()).map(line).collect()
}

#[test]
fn slow_readers_get_merged_news_and_lose_nothing() {
    let cache = Cache::new();
    cache.put(made("a", "a1", 1));
    let mut quick = cache.subscribe();
    let mut slow = cache.subscribe();
    assert_eq!(drained(&mut quick), ["a ->1"]);
    cache.put(made("b", "b1", 2));
    cache.put(made("a", "a1", 3));
    assert_eq!(drained(&mut quick), ["b ->2", "a 1>3"]);
    cache.take(&Key::new("default", "a"), 4);
    cache.put(made("a", "a2", 5));
    cache.put(made("c", "c1", 6));
    cache.take(&Key::new("default", "c"), 7);
    assert_eq!(drained(&mut quick), ["a 3>-", "a ->5"]);
    assert_eq!(drained(&mut slow), ["a ->5", "b ->2"]);
}

#[test]
fn what_came_and_went_unread_is_swept_out() {
    let cache = Cache::new();
    let mut news = cache.subscribe();
    for number in 0..10_000 {
        let object = made(&format!("job-{number}"), &number.to_string(), number);
        let key = object.key();
        cache.put(object);
        cache.take(&key, number);
    }
    cache.put(made("last", "last", 20_000));
    assert_eq!(drained(&mut news), ["last ->20000"]);
}

#[test]
fn a_fresh_state_replaces_the_old_one_and_only_differences_are_news() {
    let cache = Cache::new();
    for (name, revision) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        cache.put(made(name, name, revision));
    }
    let mut news = cache.subscribe();
    drained(&mut news);
    cache.replace(vec![made("a", "a", 1), made("b", "b", 7), made("d", "other", 8), made("e", "e", 9)], "10");
    assert_eq!(drained(&mut news), ["c 3>-", "b 2>7", "d 4>-", "d ->8", "e ->9"]);
    assert_eq!(cache.revision(), 10);
}

#[test]
fn indexes_follow_their_objects() {
    let cache = Cache::new();
    let pod = |name: &str, node: &str| {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some("default".to_owned());
        pod.metadata.name = Some(name.to_owned());
        pod.spec.get_or_insert_default().node_name = Some(node.to_owned()).filter(|node| !node.is_empty());
        Arc::new(pod)
    };
    let names = |pods: Vec<Arc<Pod>>| pods.iter().map(|pod| pod.name().to_owned()).collect::<Vec<_>>();
    cache.put(pod("a", "n1"));
    cache.put(pod("b", ""));
    cache.add_index("initial", |pod: &Pod| vec![pod.name()[..1].into()]);
    assert_eq!(names(cache.by(Index::Node, "n1")), ["a"]);
    cache.put(pod("b", "n1"));
    cache.put(pod("a", "n2"));
    assert_eq!(names(cache.by(Index::Node, "n1")), ["b"]);
    assert_eq!(names(cache.by(Index::Node, "n2")), ["a"]);
    assert_eq!(names(cache.by(Index::Uncontrolled, "default")), ["a", "b"]);
    assert_eq!(names(cache.within("default")), ["a", "b"]);
    assert_eq!(names(cache.by_own("initial", "b")), ["b"]);
    cache.take(&Key::new("default", "b"), 0);
    assert_eq!(names(cache.by(Index::Node, "n1")), Vec::<String>::new());
    assert_eq!(names(cache.by_own("initial", "b")), Vec::<String>::new());
}

#[test]
fn an_index_by_labels_finds_what_a_look_at_everything_finds() {
    let pod = |namespace: &str, number: usize| {
        let labels = [("app", number % 3), ("tier", number % 2), ("number", number)];
        let mut pod = Pod::default();
        pod.metadata.namespace = Some(namespace.to_owned());
        pod.metadata.name = Some(format!("p{number:02}"));
        pod.metadata.labels = Some(labels.map(|(name, value)| (name.to_owned(), value.to_string())).into());
        Arc::new(pod)
    };
    let (plain, indexed) = (Cache::<Pod>::new(), Cache::<Pod>::new());
    indexed.put(pod("here", 0));
    // From what is there already, and from what comes.
    indexed.index_labels();
    for cache in [&plain, &indexed] {
        (0..12).for_each(|number| cache.put(pod("here", number)));
        cache.put(pod("there", 1));
        let mut changed = pod("here", 4).as_ref().clone();
        changed.metadata.labels = Some([("app".to_owned(), "0".to_owned())].into());
        cache.put(Arc::new(changed));
        cache.take(&Key::new("here", "p07"), 0);
    }
    type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);
    let cases: [Case; 7] = [
        (&[("app", "1")], &["p01", "p10"]),
        (&[("app", "0")], &["p00", "p03", "p04", "p06", "p09"]),
        (&[("app", "1"), ("tier", "0")], &["p10"]),
        (&[("number", "5"), ("tier", "1")], &["p05"]),
        (&[("number", "5"), ("tier", "0")], &[]),
        (&[("nothing", "")], &[]),
        (&[], &["p00", "p01", "p02", "p03", "p04", "p05", "p06", "p08", "p09", "p10", "p11"]),
    ];
    for (labels, expected) in cases {
        let wanted = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        for cache in [&plain, &indexed] {
            let found = cache.labelled("here", &wanted);
            assert_eq!(found.iter().map(|pod| pod.name()).collect::<Vec<_>>(), expected, "{labels:?}");
        }
    }
}

#[test]
fn clients_and_informers_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Client>();
    crosses::<Informers>();
    crosses::<Informer<Pod>>();
    crosses::<Subscription<Pod>>();
}
