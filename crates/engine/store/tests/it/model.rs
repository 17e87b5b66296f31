//! The embedded engine against a model that is too simple to be wrong, restarts included.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use store::embedded::{Embedded, Options};
use store::{Batch, Entry, Error, Event, Key, Outcome, Page, Range, Revision, Span, Store, Txn, Watch};

const KEYS: u8 = 6;

#[derive(Debug, Clone)]
enum Step {
    /// Under the condition that the key is as it is (`true`), or as it is not.
    Put {
        key: u8,
        value: u8,
        sound: bool,
    },
    Delete {
        key: u8,
        sound: bool,
    },
    Several {
        puts: Vec<(u8, u8)>,
        delete: u8,
    },
    /// Reads everything as it was so many revisions ago.
    Look {
        back: usize,
        limit: usize,
    },
    /// Watches from so many revisions ago.
    Watch {
        back: usize,
    },
    Compact {
        back: usize,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS;
    prop_oneof![
        6 => (key.clone(), any::<u8>(), prop::bool::weighted(0.8))
            .prop_map(|(key, value, sound)| Step::Put { key, value, sound }),
        3 => (key.clone(), prop::bool::weighted(0.8)).prop_map(|(key, sound)| Step::Delete { key, sound }),
        2 => (prop::collection::btree_map(0..KEYS - 1, any::<u8>(), 0..4))
            .prop_map(|puts| Step::Several { puts: puts.into_iter().collect(), delete: KEYS - 1 }),
        4 => (0..12_usize, 0..4_usize).prop_map(|(back, limit)| Step::Look { back, limit }),
        2 => (0..12_usize).prop_map(|back| Step::Watch { back }),
        1 => (0..6_usize).prop_map(|back| Step::Compact { back }),
        1 => Just(Step::Restart),
    ]
}

/// Every state there ever was.
#[derive(Debug, Default)]
struct Model {
    states: Vec<BTreeMap<Key, Entry>>,
    events: Vec<Vec<Event>>,
    compacted: usize,
    replay_from: usize,
}

impl Model {
    fn new() -> Model {
        Model { states: vec![BTreeMap::new()], events: vec![Vec::new()], compacted: 0, replay_from: 1 }
    }

    fn current(&self) -> usize {
        self.states.len() - 1
    }

    fn modified(&self, key: &Key) -> Revision {
        self.states[self.current()].get(key).map_or(Revision::ZERO, |entry| entry.modified)
    }

    fn commit(&mut self, changes: &[(Key, Option<Bytes>)]) {
        let mut state = self.states[self.current()].clone();
        let revision = Revision(self.states.len() as u64);
        let mut events = Vec::new();
        for (key, value) in changes {
            let prev = state.remove(key);
            let change = match value {
                None if prev.is_none() => continue,
                None => store::Change::Delete { key: key.clone(), revision },
                Some(value) => {
                    let entry = Entry {
                        key: key.clone(),
                        value: value.clone(),
                        created: prev.as_ref().map_or(revision, |prev| prev.created),
                        modified: revision,
                        version: prev.as_ref().map_or(1, |prev| prev.version + 1),
                        lease: None,
                    };
                    state.insert(key.clone(), entry.clone());
                    store::Change::Put(entry)
                }
            };
            events.push(Event { change, prev });
        }
        if !events.is_empty() {
            self.states.push(state);
            self.events.push(events);
        }
    }
}

fn name(key: u8) -> Key {
    Key::from(format!("/model/{key}"))
}

fn span() -> Span {
    Span::prefix("/model/")
}

async fn open(path: &Path) -> Embedded {
    Embedded::open(path, Options::default()).await.unwrap()
}

async fn check(steps: Vec<Step>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (mut store, mut model) = (open(&path).await, Model::new());
    for step in steps {
        match step {
            Step::Restart => {
                drop(store);
                store = open(&path).await;
                model.compacted = model.current();
                model.replay_from = model.current() + 1;
            }
            Step::Put { key, value, sound } => {
                write(&store, &mut model, &[(name(key), Some(Bytes::from(vec![value])))], sound).await;
            }
            Step::Delete { key, sound } => write(&store, &mut model, &[(name(key), None)], sound).await,
            Step::Several { puts, delete } => {
                let puts = puts.into_iter().map(|(key, value)| (name(key), Some(Bytes::from(vec![value]))));
                let changes: Vec<_> = puts.chain([(name(delete), None)]).collect();
                write(&store, &mut model, &changes, true).await;
            }
            Step::Look { back, limit } => look(&store, &model, back, limit).await,
            Step::Watch { back } => watch(&store, &model, back).await,
            Step::Compact { back } => compact(&store, &mut model, back).await,
        }
        assert_eq!(store.status().await.unwrap().revision, Revision(model.current() as u64));
    }
    look(&store, &model, 0, 0).await;
}

async fn write(store: &Embedded, model: &mut Model, changes: &[(Key, Option<Bytes>)], sound: bool) {
    let wrong = u64::from(!sound);
    let mut txn = Txn::new();
    for (key, value) in changes {
        txn = txn.when(key.clone(), Revision(model.modified(key).0 + wrong));
        txn = match value {
            Some(value) => txn.put(key.clone(), value.clone()),
            None => txn.delete(key.clone()),
        };
    }
    let outcome = store.txn(txn).await.unwrap();
    if sound {
        model.commit(changes);
        assert_eq!(outcome, Outcome::Committed { revision: Revision(model.current() as u64) });
    } else {
        let state = &model.states[model.current()];
        let current = changes.iter().map(|(key, _)| state.get(key).cloned()).collect();
        assert_eq!(outcome, Outcome::Conflict { revision: Revision(model.current() as u64), current });
    }
}

async fn look(store: &Embedded, model: &Model, back: usize, limit: usize) {
    let at = model.current().saturating_sub(back);
    let range = Range::of(span()).at(Revision(at as u64)).limit(limit);
    let result = store.range(range).await;
    if at < model.compacted {
        assert!(matches!(result, Err(Error::Compacted { .. })), "{result:?}");
        return;
    }
    let state = &model.states[at];
    let take = if limit == 0 { usize::MAX } else { limit };
    let entries: Vec<_> = state.values().take(take).cloned().collect();
    let expected = Page {
        more: entries.len() < state.len(),
        entries,
        revision: Revision(model.current() as u64),
        count: state.len() as u64,
    };
    assert_eq!(result.unwrap(), expected, "at {at}");
    for key in (0..KEYS).map(name) {
        let got = store.get(&key, Some(Revision(at as u64))).await.unwrap();
        assert_eq!(got.entry.as_ref(), state.get(&key), "{key} at {at}");
    }
}

async fn watch(store: &Embedded, model: &Model, back: usize) {
    let from = (model.current() + 1).saturating_sub(back).max(1);
    let mut watcher = store.watch(Watch { span: span(), from: Some(Revision(from as u64)) }).await.unwrap();
    if from < model.replay_from {
        let item = watcher.next().await;
        assert!(matches!(item, Some(Err(Error::Compacted { .. }))), "{item:?} from {from}");
        return;
    }
    let expected: Vec<_> = model.events[from..].concat();
    watcher.request_progress().unwrap();
    let mut seen = Vec::new();
    loop {
        let Batch { revision, events } = watcher.next().await.unwrap().unwrap();
        let done = events.is_empty();
        seen.extend(events);
        if done {
            assert_eq!(revision, Revision(model.current() as u64));
            break;
        }
    }
    assert_eq!(seen, expected);
}

async fn compact(store: &Embedded, model: &mut Model, back: usize) {
    let to = model.current().saturating_sub(back);
    let result = store.compact(Revision(to as u64)).await;
    if to <= model.compacted {
        assert!(matches!(result, Err(Error::Compacted { .. })), "{result:?}");
    } else {
        result.unwrap();
        model.compacted = to;
        model.replay_from = model.replay_from.max(to);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn embedded_behaves_as_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let checked = env::time::timeout(Duration::from_secs(30), check(steps)).await;
            checked.expect("every answer comes within 30 seconds");
        });
    }
}
