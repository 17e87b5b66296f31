//! Queues by themselves; controllers, events and elections against a server in memory.

#[path = "../../informer/src/tests/fake.rs"]
#[expect(dead_code, reason = "the server of the informer's tests can do more than is asked of it here")]
mod fake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use env::task::{Fate, Shutdown};
use env::time::Instant;
use http::Method;
use informer::{Changed, Informers};
use kind::Refusal;
use object::{Meta, Value};
use plan::{Action, Guard, Key, MetaPatch, Plan, Say, Step, Target};
use tokio::sync::{Notify, mpsc};
use typed::Kind;
use typed::api::coordination::v1::Lease;
use typed::api::core::v1::{ConfigMap, Event, Namespace, ObjectReference, Secret};

use crate::{Controller, Election, Ended, Limits, Metrics, Queue, Recorder, Spoken, Timing};
use fake::{Fake, PATIENCE};

async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    env::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} does not happen"))
}

fn key(name: &str) -> Key {
    Key::new("default", name)
}

fn quick() -> Limits {
    Limits {
        backoff_first: Duration::from_millis(1),
        backoff_max: Duration::from_millis(8),
        retries_per_second: 1000.0,
        retries_burst: 1000,
    }
}

#[tokio::test]
async fn a_key_waits_once_and_again_when_woken_in_hand() {
    let queue = Queue::new("test", Limits::default(), None);
    queue.add_all([key("a"), key("b"), key("a")]);
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.next().await, Some(key("a")));
    queue.add(key("a"));
    assert_eq!(queue.len(), 1, "what is in hand is not handed out");
    assert_eq!(queue.next().await, Some(key("b")));
    queue.done(&key("b"));
    assert_eq!(queue.len(), 0);
    queue.done(&key("a"));
    assert_eq!(soon("the second turn", queue.next()).await, Some(key("a")));
    queue.done(&key("a"));
    assert_eq!(queue.len(), 0);
    queue.shut_down();
    assert_eq!(queue.next().await, None);
}

#[tokio::test]
async fn delays_end_in_their_order_and_the_earliest_wish_counts() {
    let queue = Queue::new("test", Limits::default(), None);
    let begun = Instant::now();
    queue.add_after(key("late"), Duration::from_millis(60));
    queue.add_after(key("a"), Duration::from_secs(3600));
    queue.add_after(key("a"), Duration::from_millis(30));
    queue.add_after(key("a"), Duration::from_secs(1800));
    assert_eq!(queue.len(), 0);
    assert_eq!(soon("the first delay", queue.next()).await, Some(key("a")));
    assert!(begun.elapsed() >= Duration::from_millis(30));
    assert_eq!(soon("the second delay", queue.next()).await, Some(key("late")));
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn waits_double_until_success_and_all_keys_share_a_bucket() {
    let queue = Queue::new("test", Limits::default(), None);
    let waits: Vec<u128> = (0..4).map(|_| queue.retry(key("a")).as_millis()).collect();
    assert_eq!(waits, [5, 10, 20, 40]);
    for _ in 0..60 {
        queue.retry(key("a"));
    }
    assert_eq!(queue.retry(key("a")), Duration::from_secs(1000));
    queue.forget(&key("a"));
    assert_eq!(queue.retry(key("a")).as_millis(), 5);
    for number in 0..60 {
        queue.retry(key(&number.to_string()));
    }
    let last = queue.retry(key("last"));
    assert!(last > Duration::from_secs(2), "a hundred at once, then ten in a second: {last:?}");
}

#[tokio::test]
async fn a_waiting_taker_hears_of_new_keys_and_earlier_delays() {
    let queue = Queue::new("test", Limits::default(), None);
    queue.add_after(key("never"), Duration::from_secs(3600));
    let taker = queue.clone();
    let taken = env::task::spawn(Fate::Local, "taker", async move { (taker.next().await, taker.next().await) });
    tokio::task::yield_now().await;
    queue.add(key("now"));
    tokio::task::yield_now().await;
    queue.add_after(key("soon"), Duration::from_millis(5));
    let wanted = (Some(key("now")), Some(key("soon")));
    assert_eq!(soon("both", taken).await, Some(wanted));
}

#[tokio::test]
async fn queues_are_measured_under_upstreams_names() {
    let registry = observe::metrics::Registry::new();
    let queue = Queue::new("deployment", quick(), Some(&Metrics::new(&registry)));
    queue.add_all([key("a"), key("b"), key("b")]);
    let taken = queue.next().await.expect("it is open");
    queue.retry(taken.clone());
    queue.done(&taken);
    let text = registry.encode();
    for line in [
        "workqueue_depth{name=\"deployment\"} 1",
        "workqueue_adds_total{name=\"deployment\"} 2",
        "workqueue_retries_total{name=\"deployment\"} 1",
        "workqueue_queue_duration_seconds_count{name=\"deployment\"} 1",
        "workqueue_work_duration_seconds_count{name=\"deployment\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is missing in {text}");
    }
}

fn config(name: &str) -> Value {
    let mut tree = Value::map();
    tree.set(&["metadata", "namespace"], "default");
    tree.set(&["metadata", "name"], name);
    tree
}

fn secret(namespace: &str, prefix: &str) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.namespace = Some(namespace.to_owned());
    secret.metadata.generate_name = Some(prefix.to_owned());
    secret
}

fn own<T: Kind>(change: &Changed<T>) -> Vec<Key> {
    change.latest().map(|object| Key::new(object.namespace(), object.name())).into_iter().collect()
}

const SECRETS: &str = "/api/v1/namespaces/default/secrets/";
const CONFIGS: &str = "/api/v1/namespaces/default/configmaps/";

/// Waits until the server holds what is wanted.
async fn until(fake: &Fake, what: &str, wanted: impl Fn(&Fake) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted(fake) {
        assert!(Instant::now() < deadline, "never came: {what}; requests: {:#?}", fake.requests());
        tokio::task::yield_now().await;
    }
}

/// A controller that wants three secrets for each config map, made with generated names: planning once too often from an
/// outdated view would make a fourth.
fn triplets(fake: &Fake, informers: &Informers) -> Controller {
    let client = fake.client();
    let recorder = Recorder::start(client.clone(), "tester", "");
    let (configs, secrets) = (informers.of::<ConfigMap>(), informers.of::<Secret>());
    let (owners, children) = (configs.clone(), secrets.clone());
    Controller::new("triplets", client, recorder, move |ask| {
        let mut plan = Plan::nothing();
        let Some(owner) = owners.get_key(ask.key) else { return plan };
        let prefix = format!("{}-", ask.key.name);
        let there = children.all().iter().filter(|child| child.name().starts_with(&prefix)).count();
        if there < 3 {
            let say = Say::named("SuccessfulCreate", "Created secret: ");
            let create = Step::of(Action::create(secret("default", &prefix))).done(owner.as_ref(), say);
            plan.then(vec![create]);
        }
        plan
    })
    .wakes(&configs, own::<ConfigMap>)
    .wakes(&secrets, |change: &Changed<Secret>| {
        let owner = change.latest().and_then(|child| child.name().rsplit_once('-').map(|(owner, _)| key(owner)));
        owner.into_iter().collect::<Vec<_>>()
    })
    .limits(quick())
    .workers(3)
}

#[tokio::test]
async fn a_controller_converges_and_never_acts_on_an_outdated_view() {
    let fake = Fake::new();
    for name in ["a", "b", "c", "d"] {
        fake.put(ConfigMap::resource(), config(name));
    }
    let shutdown = Shutdown::new();
    let running = triplets(&fake, &Informers::new(fake.client())).run(shutdown.clone());
    let running = env::task::spawn(Fate::Local, "controller", running);
    until(&fake, "three secrets each", |fake| fake.below(SECRETS).len() >= 12).await;
    let victim = Meta::of(&fake.below(SECRETS)[0]).name().to_owned();
    fake.delete(&format!("{SECRETS}{victim}"));
    until(&fake, "the deleted one again", |fake| fake.below(SECRETS).len() >= 12).await;
    let events = "/api/v1/namespaces/default/events/";
    until(&fake, "an event for each", |fake| fake.below(events).len() >= 13).await;
    shutdown.cancel();
    soon("the end", running).await;
    assert_eq!(fake.below(SECRETS).len(), 12, "{:#?}", fake.requests());
    let creates = fake.requests().iter().filter(|line| line.starts_with("POST") && line.contains("secrets")).count();
    assert_eq!(creates, 13, "no write is made twice");
    let event = Event::from_tree(&fake.below(events)[0]).expect("it is an event");
    let words = event.message.expect("it has words");
    assert!(words.starts_with("Created secret: ") && words.len() > "Created secret: a-".len(), "{words}");
    assert_eq!(event.involved_object.kind.as_deref(), Some("ConfigMap"));
}

/// A controller whose only key is planned by `plans`, which is woken by one config map.
fn single(fake: &Fake, plans: impl Fn(&crate::Ask<'_>) -> Plan + Send + Sync + 'static) -> Controller {
    fake.put(ConfigMap::resource(), config("it"));
    let informers = Informers::new(fake.client());
    let recorder = Recorder::start(fake.client(), "tester", "");
    Controller::new("single", fake.client(), recorder, plans)
        .wakes(&informers.of::<ConfigMap>(), own::<ConfigMap>)
        .limits(quick())
}

#[tokio::test]
async fn refusals_are_retried_and_told_to_the_planner() {
    let fake = Fake::new();
    fake.refuse_next(Method::POST, Refusal::ForbiddenPath("not you".to_owned()));
    let (sender, mut asked) = mpsc::unbounded_channel();
    let controller = single(&fake, move |ask| {
        let refusal = ask.refusal.map(|refusal| (refusal.creating, refusal.reason.clone()));
        let mut plan = Plan::nothing();
        if sender.send(refusal).is_ok() {
            plan.then_do(Action::create(secret("default", "x-")));
            plan.then_do(Action::create(secret("default", "y-")));
            plan.finally(Action::create(secret("default", "z-")));
        }
        plan
    });
    let _running = env::task::spawn(Fate::Local, "controller", controller.run(Shutdown::new())).abort_on_drop();
    assert_eq!(soon("the first plan", asked.recv()).await, Some(None));
    assert_eq!(soon("the second plan", asked.recv()).await, Some(Some((true, "Forbidden".to_owned()))));
    until(&fake, "the outcome of both", |fake| fake.below(SECRETS).len() == 4).await;
    let names: BTreeMap<char, usize> = fake.below(SECRETS).iter().fold(BTreeMap::new(), |mut names, tree| {
        *names.entry(Meta::of(tree).name().chars().next().unwrap_or(' ')).or_default() += 1;
        names
    });
    let wanted = [('x', 1), ('y', 1), ('z', 2)];
    assert_eq!(names, wanted.into(), "after a refusal only what always runs still runs");
}

#[tokio::test]
async fn a_planner_is_asked_again_when_it_wished_and_after_a_panic() {
    let fake = Fake::new();
    let (sender, mut asked) = mpsc::unbounded_channel();
    let times = AtomicU32::new(0);
    let controller = single(&fake, move |ask| {
        let time = times.fetch_add(1, Ordering::Relaxed);
        let mut plan = Plan::nothing();
        assert!(sender.send(ask.now).is_ok(), "somebody listens");
        assert!(time != 0, "the first time it fails");
        if time == 1 {
            plan.look_again_at(ask.now + Duration::from_millis(30));
        }
        plan
    });
    let _running = env::task::spawn(Fate::Local, "controller", controller.run(Shutdown::new())).abort_on_drop();
    soon("the panic", asked.recv()).await.expect("it runs");
    let second = soon("the plan after the panic", asked.recv()).await.expect("it runs");
    let third = soon("the plan at the wished time", asked.recv()).await.expect("it runs");
    assert!(third.duration_since(second).as_millis() >= 30, "{second} {third}");
}

#[tokio::test]
async fn guards_patches_and_deletes_say_on_what_they_were_decided() {
    let fake = Fake::new();
    let tree = fake.put(ConfigMap::resource(), config("target"));
    let target = ConfigMap::from_tree(&tree).expect("it is a config map");
    let recorder = Recorder::start(fake.client(), "tester", "");
    let executor = crate::Executor::new(fake.client(), recorder);
    let labels = BTreeMap::from([("a".to_owned(), Some("b".to_owned()))]);
    let patch = || Action::patch(&target, MetaPatch { labels: labels.clone(), ..MetaPatch::default() });
    let refused_guards = [
        Guard::Gone(Target::identity(&target)),
        Guard::Alive(Target { uid: "other".into(), ..Target::identity(&target) }),
    ];
    for guard in refused_guards {
        let mut plan = Plan::nothing();
        plan.then(vec![Step::of(patch()).guarded(guard.clone())]);
        let executed = executor.execute(plan).await;
        let (_, error) = executed.refused.unwrap_or_else(|| panic!("{guard:?} holds"));
        assert!(error.is_conflict(), "{error}");
    }
    let mut plan = Plan::nothing();
    let gone = Guard::Gone(Target { uid: "other".into(), ..Target::identity(&target) });
    plan.then(vec![Step::of(patch()).guarded(Guard::Alive(Target::identity(&target))).guarded(gone)]);
    plan.then_do(Action::delete(&target));
    plan.then_do(Action::delete(&target));
    let executed = executor.execute(plan).await;
    assert!(executed.refused.is_none(), "{:?}", executed.refused);
    assert_eq!(executed.written.len(), 3, "a delete of what is gone counts as done");
    assert_eq!(fake.get(&format!("{CONFIGS}target")), None);
}

#[tokio::test]
async fn cluster_scoped_objects_are_found_too() {
    let fake = Fake::new();
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some("made".to_owned());
    let executor = crate::Executor::new(fake.client(), Recorder::start(fake.client(), "tester", ""));
    let mut plan = Plan::nothing();
    plan.then_do(Action::create(namespace));
    let executed = executor.execute(plan).await;
    assert_eq!(executed.written[0].1.key, Key::cluster("made"));
}

#[tokio::test]
async fn a_stage_writes_at_once_and_the_next_waits_for_all_of_it() {
    let fake = Fake::new();
    let executor = crate::Executor::new(fake.client(), Recorder::start(fake.client(), "tester", ""));
    let step = |prefix: &str| Step::of(Action::create(secret("default", prefix)));
    let mut plan = Plan::nothing();
    plan.then((0..100).map(|_| step("first-")).collect());
    plan.then((0..2).map(|_| step("second-")).collect());
    let executed = soon("the plan's end", executor.execute(plan)).await;
    assert!(executed.refused.is_none(), "{:?}", executed.refused);
    let is_second = |name: &str| usize::from(name.starts_with("second-"));
    let names: Vec<&str> = executed.written.iter().map(|(_, written)| &*written.key.name).collect();
    assert!(names.is_sorted_by_key(|name| is_second(name)), "{names:?}");
    assert_eq!((names.len(), fake.below(SECRETS).len()), (102, 102));
}

#[tokio::test]
async fn words_that_are_said_while_they_are_being_sent_raise_one_count() {
    let fake = Fake::new();
    let recorder = Recorder::start(fake.client(), "tester", "");
    let say = |object: u32| {
        let (namespace, name) = (Some("default".to_owned()), Some(format!("pod-{object}")));
        let regarding = ObjectReference { namespace, name, ..ObjectReference::default() };
        let (reason, message) = ("Pulled".to_owned(), "x".to_owned());
        recorder.speak(Spoken { regarding, event_type: "Normal", reason, message });
    };
    for object in (0..30).flat_map(|object| [object, object, 0]) {
        say(object);
    }
    let counts = |fake: &Fake| -> BTreeMap<String, i64> {
        let events = fake.below("/api/v1/namespaces/default/events/");
        let pair = |event: &Value| {
            let about = event.str_at(&["involvedObject", "name"]).unwrap_or_default().to_owned();
            (about, event.at(&["count"]).and_then(Value::as_int).unwrap_or_default())
        };
        events.iter().map(pair).collect()
    };
    // Of the first object 32 are said, which is more than the 25 that are heard at once.
    until(&fake, "all events", |fake| counts(fake).values().sum::<i64>() == 25 + 29 * 2).await;
    assert_eq!(fake.below("/api/v1/namespaces/default/events/").len(), 30, "one event for each object");
    assert_eq!(counts(&fake)["pod-0"], 25);
}

fn candidate(fake: &Fake, identity: &str) -> Election {
    let timing = Timing {
        lease: Duration::from_secs(2),
        renew_deadline: Duration::from_millis(1000),
        retry: Duration::from_millis(5),
    };
    Election::new(fake.client(), "kube-system", "boss", identity.to_owned()).with_timing(timing)
}

fn holder(fake: &Fake) -> (String, i32) {
    let tree = fake.get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/boss").expect("there is a lease");
    let spec = Lease::from_tree(&tree).expect("it is a lease").spec.expect("it has a spec");
    (spec.holder_identity.unwrap_or_default(), spec.lease_transitions.unwrap_or(-1))
}

#[tokio::test]
async fn one_leads_and_gives_back_then_the_other_leads() {
    let fake = Fake::new();
    let leading = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(Notify::new());
    let lead = |identity: &str| {
        let shutdown = Shutdown::new();
        let (leading, begun) = (Arc::clone(&leading), Arc::clone(&begun));
        let election = candidate(&fake, identity).lead(shutdown.clone(), move |stop| async move {
            assert!(!leading.swap(true, Ordering::SeqCst), "nobody else leads");
            begun.notify_one();
            stop.cancelled().await;
            leading.store(false, Ordering::SeqCst);
        });
        (shutdown, env::task::spawn(Fate::Local, "candidate", election))
    };
    let (first_shutdown, first) = lead("one");
    soon("the first leader", begun.notified()).await;
    assert_eq!(holder(&fake), ("one".to_owned(), 0));
    let (second_shutdown, second) = lead("two");
    let renewals = fake.revision() + 5;
    until(&fake, "renewals", |fake| fake.revision() > renewals).await;
    assert_eq!(holder(&fake).0, "one");
    first_shutdown.cancel();
    assert_eq!(soon("the first's end", first).await, Some(Ended::Shutdown));
    soon("the second leader", begun.notified()).await;
    assert_eq!(holder(&fake), ("two".to_owned(), 1), "taking is a transition, giving back is none");
    second_shutdown.cancel();
    assert_eq!(soon("the second's end", second).await, Some(Ended::Shutdown));
    assert_eq!(holder(&fake).0, "");
}

#[tokio::test]
async fn a_leader_that_cannot_renew_stops_its_work() {
    let fake = Fake::new();
    let begun = Arc::new(Notify::new());
    let beginning = Arc::clone(&begun);
    let vitals = vitals::Vitals::new();
    let leads = |vitals: &vitals::Vitals| {
        let text = vitals.metrics().encode();
        text.lines().find(|line| line.starts_with("leader_election_master_status")).map(str::to_owned)
    };
    let election = candidate(&fake, "one").watched_by(&vitals);
    assert_eq!(leads(&vitals).as_deref(), Some("leader_election_master_status{name=\"boss\"} 0"));
    let election = election.lead(Shutdown::new(), move |stop| async move {
        beginning.notify_one();
        stop.cancelled().await;
    });
    let election = env::task::spawn(Fate::Local, "candidate", election);
    soon("the leader", begun.notified()).await;
    assert_eq!(leads(&vitals).as_deref(), Some("leader_election_master_status{name=\"boss\"} 1"));
    for _ in 0..10_000 {
        fake.refuse_next(Method::PUT, Refusal::Internal("the disk is full".to_owned()));
    }
    assert_eq!(soon("the end", election).await, Some(Ended::Lost));
    assert_eq!(leads(&vitals).as_deref(), Some("leader_election_master_status{name=\"boss\"} 0"));
}
