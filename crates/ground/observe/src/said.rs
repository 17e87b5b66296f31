//! What was said last of each thing, so that what does not change is said once, however often it is found.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// How many things are remembered. Beyond, all are forgotten: rather is something said twice.
const THINGS_MAX: usize = 1_000;

/// A memory of the last words about things that are looked at again and again.
#[derive(Debug, Default)]
pub struct Said(Mutex<BTreeMap<String, String>>);

impl Said {
    /// Whether `words` about `thing` are news; `None` says that there is nothing to say of it any more.
    pub fn is_news(&self, thing: &str, words: Option<&str>) -> bool {
        let mut said = self.0.lock();
        let Some(words) = words else { return said.remove(thing).is_some() };
        if said.get(thing).is_some_and(|last| last == words) {
            return false;
        }
        if said.len() >= THINGS_MAX && !said.contains_key(thing) {
            said.clear();
        }
        said.insert(thing.to_owned(), words.to_owned());
        true
    }
}
