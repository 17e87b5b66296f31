//! Objects of one server that somebody in this process still holds: whoever reads the same revision shares it.
//!
//! A process that is a whole cluster reads most objects several times, once for each component that watches them. Each
//! reads with its own rights; what it was shown is then the same object, and there need not be several.
//!
//! Deliberately not here: anything that keeps an object. The last holder frees it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use typed::Kind;

/// So many entries are never looked through for those that nobody holds.
const ENTRIES_UNSWEPT_MAX: usize = 1024;

/// The objects. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub struct Known(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    newest: HashMap<Identity, (u64, Weak<dyn Any + Send + Sync>)>,
    /// With so many entries it is time to forget those that nobody holds.
    sweep_at: usize,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    kind: TypeId,
    uid: u128,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("entries", &self.0.lock().newest.len()).finish()
    }
}

impl Known {
    /// The object with this uid in this revision, if somebody holds it.
    pub fn find<K: Kind>(&self, uid: &str, revision: &str) -> Option<Arc<K>> {
        let (identity, revision) = identify::<K>(uid, revision)?;
        let held = {
            let table = self.0.lock();
            table.newest.get(&identity).filter(|(known, _)| *known == revision)?.1.upgrade()?
        };
        held.downcast().ok()
    }

    /// Shares an object that was just read; if somebody was faster, it is theirs that is returned.
    pub fn share<K: Kind>(&self, object: K) -> Arc<K> {
        let version = object.meta().resource_version.as_deref().unwrap_or_default();
        let Some((identity, revision)) = identify::<K>(object.uid(), version) else { return Arc::new(object) };
        let object = Arc::new(object);
        self.0.lock().share(identity, revision, object)
    }
}

impl Table {
    fn share<K: Kind>(&mut self, identity: Identity, revision: u64, object: Arc<K>) -> Arc<K> {
        if let Some((known, held)) = self.newest.get(&identity) {
            let held = if *known == revision { held.upgrade() } else { None };
            if let Some(held) = held.and_then(|held| held.downcast().ok()) {
                return held;
            }
            // Who is behind reads what nobody will read again.
            if *known > revision {
                return object;
            }
        }
        let ours: Weak<K> = Arc::downgrade(&object);
        self.newest.insert(identity, (revision, ours));
        self.sweep();
        object
    }

    /// What nobody holds still takes the room of its struct, so it is not to become more than what is held.
    fn sweep(&mut self) {
        if self.newest.len() >= self.sweep_at.max(ENTRIES_UNSWEPT_MAX) {
            self.newest.retain(|_, (_, held)| held.strong_count() > 0);
            self.sweep_at = self.newest.len() * 3 / 2;
            self.newest.shrink_to(self.sweep_at);
        }
    }
}

/// Uids that are none of a server's, and revisions that are no numbers, are never shared.
fn identify<K: Kind>(uid: &str, revision: &str) -> Option<(Identity, u64)> {
    let digits = || uid.bytes().filter(|byte| *byte != b'-');
    if digits().count() != 32 {
        return None;
    }
    let mut number = 0;
    for digit in digits() {
        number = number << 4 | u128::from(char::from(digit).to_digit(16)?);
    }
    let uid = number;
    Some((Identity { kind: TypeId::of::<K>(), uid }, revision.parse().ok()?))
}

#[cfg(test)]
mod tests;
