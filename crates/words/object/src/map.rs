//! Maps of the tree: sorted vectors, compact and quick to walk.

use crate::{Text, Value};

/// Maps of up to this many members are searched from their beginning.
const SCANNED_MAX: usize = 24;

/// A map from text to values, sorted by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map {
    entries: Vec<(Text, Value)>,
}

impl Map {
    /// An empty map.
    pub fn new() -> Map {
        Map::default()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The member `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.find(key).map(|at| &self.entries[at].1)
    }

    /// The member `key`, for changing.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.find(key).map(|at| &mut self.entries[at].1)
    }

    /// Whether `key` is a member.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Sets `key`, returning what stood there.
    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Value>) -> Option<Value> {
        let key = key.into();
        match self.position(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at].1, value.into())),
            Err(at) => {
                self.entries.insert(at, (key, value.into()));
                None
            }
        }
    }

    /// The member `key`, made `null` first when it is absent.
    pub fn entry(&mut self, key: &str) -> &mut Value {
        let at = match self.position(key) {
            Ok(at) => at,
            Err(at) => {
                self.entries.insert(at, (key.into(), Value::Null));
                at
            }
        };
        &mut self.entries[at].1
    }

    /// Takes `key` away.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.find(key).map(|at| self.entries.remove(at).1)
    }

    /// Keeps the members that `keep` accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }

    /// The members in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + DoubleEndedIterator {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The members in key order, values for changing.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Value)> {
        self.entries.iter_mut().map(|(key, value)| (key.as_str(), value))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// Adds many members at once in one merge; later ones win over earlier ones and over what stood here.
    pub fn extend(&mut self, pairs: impl IntoIterator<Item = (Text, Value)>) {
        let mut builder = MapBuilder { entries: std::mem::take(&mut self.entries) };
        builder.entries.extend(pairs);
        *self = builder.finish().0;
    }

    /// Where `key` is. Structs have few members, and most of them differ in length already: comparing those is quicker
    /// than comparing text on the way down a binary search.
    fn find(&self, key: &str) -> Option<usize> {
        if self.entries.len() > SCANNED_MAX {
            return self.position(key).ok();
        }
        self.entries.iter().position(|(candidate, _)| candidate.len() == key.len() && candidate.as_str() == key)
    }

    /// Where `key` is, or where it would have to be.
    fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(candidate, _)| candidate.as_str().cmp(key))
    }
}

impl FromIterator<(Text, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Text, Value)>>(pairs: I) -> Map {
        MapBuilder { entries: pairs.into_iter().collect() }.finish().0
    }
}

impl IntoIterator for Map {
    type Item = (Text, Value);
    type IntoIter = std::vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// Collects members in any order and sorts once: linear for input that is sorted already.
#[derive(Debug, Default)]
pub struct MapBuilder {
    entries: Vec<(Text, Value)>,
}

impl MapBuilder {
    /// Room for `capacity` members.
    pub fn with_capacity(capacity: usize) -> MapBuilder {
        MapBuilder { entries: Vec::with_capacity(capacity) }
    }

    /// Adds a member.
    pub fn push(&mut self, key: impl Into<Text>, value: Value) {
        self.entries.push((key.into(), value));
    }

    /// The map, where the last of equal keys won, and the keys that came more than once (each once).
    pub fn finish(mut self) -> (Map, Vec<Text>) {
        let sorted = self.entries.is_sorted_by(|(left, _), (right, _)| left < right);
        if sorted {
            return (Map { entries: self.entries }, Vec::new());
        }
        // Stable, so that among equal keys the last one added stands last.
        self.entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut duplicates: Vec<Text> = Vec::new();
        let mut entries: Vec<(Text, Value)> = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            match entries.last_mut() {
                Some(last) if last.0 == entry.0 => {
                    if duplicates.last() != Some(&entry.0) {
                        duplicates.push(entry.0.clone());
                    }
                    *last = entry;
                }
                _ => entries.push(entry),
            }
        }
        (Map { entries }, duplicates)
    }
}
