//! The objects of one informer, with their indexes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use compact_str::CompactString;
use parking_lot::RwLock;
use plan::{Index, Key, View, label_value};
use tokio::sync::watch;

use crate::item::revision;
use crate::subscription::Queue;
use crate::{Changed, Item, Subscription};

/// The indexes that every cache has; a namespace is a range of the keys themselves.
const INDEXES: [Index; 5] = [Index::Controller, Index::Uncontrolled, Index::Node, Index::Service, Index::Selected];
/// The index by labels, which caches have whose readers wish it: an object stands there once for each of its labels.
const LABELS: &str = "labels";

type Members<T> = BTreeMap<Key, Arc<T>>;

/// All objects that one informer sees. Reading never waits for the network; what is read are shared pointers.
pub struct Cache<T> {
    state: RwLock<State<T>>,
    progress: watch::Sender<Progress>,
}

/// How far a cache has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The first full state is in.
    pub(crate) synced: bool,
    /// Everything up to this revision has been seen.
    pub(crate) revision: u64,
}

struct State<T> {
    objects: Members<T>,
    indexes: [BTreeMap<CompactString, Members<T>>; INDEXES.len()],
    own_indexes: Vec<OwnIndex<T>>,
    readers: Vec<Weak<Queue<T>>>,
}

struct OwnIndex<T> {
    name: &'static str,
    values: fn(&T) -> Vec<CompactString>,
    members: BTreeMap<CompactString, Members<T>>,
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.state.read().objects.len();
        f.debug_struct("Cache").field("objects", &objects).field("progress", &*self.progress.borrow()).finish()
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        let state = State {
            objects: BTreeMap::new(),
            indexes: Default::default(),
            own_indexes: Vec::new(),
            readers: Vec::new(),
        };
        Cache { state: RwLock::new(state), progress: watch::Sender::default() }
    }
}

impl<T: Item> Cache<T> {
    /// An empty cache.
    pub fn new() -> Self {
        Cache::default()
    }

    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.get_key(&Key::new(namespace, name))
    }

    /// One object.
    pub fn get_key(&self, key: &Key) -> Option<Arc<T>> {
        self.state.read().objects.get(key).cloned()
    }

    /// All objects, in key order.
    pub fn all(&self) -> Vec<Arc<T>> {
        self.state.read().objects.values().cloned().collect()
    }

    /// All objects of a namespace, in key order.
    pub fn within(&self, namespace: &str) -> Vec<Arc<T>> {
        let state = self.state.read();
        let from = state.objects.range(Key::new(namespace, "")..);
        from.take_while(|(key, _)| key.namespace == namespace).map(|(_, object)| Arc::clone(object)).collect()
    }

    /// The objects under one value of a common index, in key order.
    pub fn by(&self, index: Index, value: &str) -> Vec<Arc<T>> {
        let Some(at) = INDEXES.iter().position(|known| *known == index) else { return self.within(value) };
        pointers(all_of(self.state.read().indexes[at].get(value)))
    }

    /// Adds an index: `values` says under which values an object stands. Adding it again does nothing.
    pub fn add_index(&self, name: &'static str, values: fn(&T) -> Vec<CompactString>) {
        let mut state = self.state.write();
        if state.own_indexes.iter().any(|known| known.name == name) {
            return;
        }
        let mut index = OwnIndex { name, values, members: BTreeMap::new() };
        for (key, object) in &state.objects {
            index.enter(key, object);
        }
        state.own_indexes.push(index);
    }

    /// The objects under one value of an index that was added as `name`.
    pub fn by_own(&self, name: &str, value: &str) -> Vec<Arc<T>> {
        let state = self.state.read();
        let index = state.own_indexes.iter().find(|index| index.name == name);
        pointers(all_of(index.and_then(|index| index.members.get(value))))
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.state.read().objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first full state is in.
    pub fn is_synced(&self) -> bool {
        self.progress.borrow().synced
    }

    /// The revision up to which everything has been seen; 0 at first.
    pub fn revision(&self) -> u64 {
        self.progress.borrow().revision
    }

    /// All news from now on, and first of all every object that is here, as having come.
    pub fn subscribe(&self) -> Subscription<T> {
        let queue = Queue::new();
        let mut state = self.state.write();
        for (key, object) in &state.objects {
            queue.put(key, Changed { old: None, new: Some(Arc::clone(object)) });
        }
        state.readers.push(Arc::downgrade(&queue));
        queue.reader()
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Puts an object in its place.
    pub fn put(&self, object: Arc<T>) {
        let (key, revision) = (object.key(), object.revision());
        self.apply(vec![(key, Some(object))], revision);
    }

    /// Takes out what stands in an object's place; `revision` is that of its end.
    pub fn take(&self, key: &Key, revision: u64) {
        self.apply(vec![(key.clone(), None)], revision);
    }

    /// Puts objects in their places, and takes others out, in this order; the last change is of `revision`.
    pub(crate) fn apply(&self, changes: Vec<(Key, Option<Arc<T>>)>, revision: u64) {
        if !changes.is_empty() {
            let mut state = self.state.write();
            for (key, new) in changes {
                state.change(&key, new);
            }
            state.wake_readers();
        }
        self.advance(revision);
    }

    /// Makes `objects` the whole content, at once.
    pub fn replace(&self, objects: Vec<Arc<T>>, resource_version: &str) {
        let mut fresh: BTreeMap<Key, Arc<T>> = objects.into_iter().map(|object| (object.key(), object)).collect();
        let mut state = self.state.write();
        let gone: Vec<Key> = state.objects.keys().filter(|key| !fresh.contains_key(*key)).cloned().collect();
        for key in gone {
            state.change(&key, None);
        }
        while let Some((key, object)) = fresh.pop_first() {
            let same = |old: &Arc<T>| {
                old.resource_version() == object.resource_version()
                    && old.identity() == object.identity()
                    && !old.resource_version().is_empty()
            };
            if !state.objects.get(&key).is_some_and(same) {
                state.change(&key, Some(object));
            }
        }
        state.wake_readers();
        drop(state);
        self.progress.send_modify(|progress| {
            progress.synced = true;
            progress.revision = progress.revision.max(revision(resource_version));
        });
    }

    /// Everything up to a revision has been seen.
    pub(crate) fn advance(&self, revision: u64) {
        self.progress.send_if_modified(|progress| {
            let further = revision > progress.revision;
            progress.revision = progress.revision.max(revision);
            further
        });
    }

    /// There will be no more news.
    pub(crate) fn close(&self) {
        for reader in self.state.read().readers.iter().filter_map(Weak::upgrade) {
            reader.close();
        }
    }
}

fn pointers<'a, T: 'a>(members: impl IntoIterator<Item = &'a Arc<T>>) -> Vec<Arc<T>> {
    members.into_iter().cloned().collect()
}

fn all_of<T>(members: Option<&Members<T>>) -> impl Iterator<Item = &Arc<T>> {
    members.into_iter().flat_map(BTreeMap::values)
}

impl<T: Item> State<T> {
    fn change(&mut self, key: &Key, new: Option<Arc<T>>) {
        let old = match &new {
            Some(object) => self.objects.insert(key.clone(), Arc::clone(object)),
            None => self.objects.remove(key),
        };
        if old.is_none() && new.is_none() {
            return;
        }
        for (index, members) in INDEXES.into_iter().zip(&mut self.indexes) {
            let before = old.as_ref().and_then(|object| object.index_value(index));
            let after = new.as_ref().and_then(|object| object.index_value(index));
            if let Some(value) = before.filter(|value| after.as_ref() != Some(value)) {
                leave(members, &value, key);
            }
            if let (Some(value), Some(object)) = (after, &new) {
                members.entry(value).or_default().insert(key.clone(), Arc::clone(object));
            }
        }
        for index in &mut self.own_indexes {
            if let Some(object) = &old {
                index.leave(key, object);
            }
            if let Some(object) = &new {
                index.enter(key, object);
            }
        }
        self.tell(key, &Changed { old, new });
    }

    fn tell(&mut self, key: &Key, changed: &Changed<T>) {
        for reader in self.readers.iter().filter_map(Weak::upgrade) {
            reader.put(key, changed.clone());
        }
    }

    /// Tells readers that there are news for them, and forgets those that are gone.
    fn wake_readers(&mut self) {
        self.readers.retain(|reader| {
            let reader = reader.upgrade();
            reader.as_ref().inspect(|reader| reader.wake()).is_some()
        });
    }
}

impl<T> OwnIndex<T> {
    fn enter(&mut self, key: &Key, object: &Arc<T>) {
        for value in (self.values)(object) {
            self.members.entry(value).or_default().insert(key.clone(), Arc::clone(object));
        }
    }

    fn leave(&mut self, key: &Key, object: &T) {
        for value in (self.values)(object) {
            leave(&mut self.members, &value, key);
        }
    }
}

fn leave<T>(members: &mut BTreeMap<CompactString, Members<T>>, value: &CompactString, key: &Key) {
    if let Some(under) = members.get_mut(value) {
        under.remove(key);
        if under.is_empty() {
            members.remove(value);
        }
    }
}

impl<K: typed::Kind + plan::Kind> Cache<K> {
    /// Knows its objects by their labels from now on, for [`View::labelled`].
    pub fn index_labels(&self) {
        self.add_index(LABELS, |object| {
            let about = plan::Kind::meta(object);
            let namespace = plan::meta::namespace(about);
            let labels = about.labels.iter().flatten();
            labels.map(|(name, value)| label_value(namespace, name, value)).collect()
        });
    }
}

impl<K: typed::Kind + plan::Kind> View<K> for Cache<K> {
    fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        Cache::get(self, namespace, name)
    }

    fn all(&self) -> Vec<Arc<K>> {
        Cache::all(self)
    }

    fn by(&self, index: Index, value: &str) -> Vec<Arc<K>> {
        Cache::by(self, index, value)
    }

    fn labelled(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Vec<Arc<K>> {
        let carries = |object: &Arc<K>| plan::carries(plan::Kind::meta(&**object), labels);
        let state = self.state.read();
        let index = state.own_indexes.iter().find(|index| index.name == LABELS);
        let Some(index) = index.filter(|_| !labels.is_empty()) else {
            drop(state);
            return self.within(namespace).into_iter().filter(carries).collect();
        };
        // The rarest of the labels leaves the fewest to look at.
        let under = |(name, value): (&String, &String)| index.members.get(&label_value(namespace, name, value));
        let fewest = labels.iter().map(under).min_by_key(|members| members.map_or(0, BTreeMap::len));
        pointers(all_of(fewest.flatten()).filter(|object| carries(object)))
    }
}
