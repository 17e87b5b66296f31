//! The recent past, commit by commit, and who follows it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::limits::WATCHERS_MAX;
use crate::{Error, Event, Key, Revision, Watch};

use super::Commit;
use super::watch::Cursor;

/// A ring of commits with consecutive revisions, the last being the current one.
#[derive(Debug)]
pub(super) struct History {
    commits: VecDeque<Arc<Commit>>,
    bytes: usize,
    bytes_max: usize,
    revision: Revision,
    /// The first revision that a watch may start from. Commits before it may linger for a pinned scan's sake.
    replay_from: Revision,
    followers: Followers,
}

impl History {
    pub(super) fn new(revision: Revision, bytes_max: usize) -> History {
        let replay_from = revision.next();
        let (commits, followers) = Default::default();
        History { commits, bytes: 0, bytes_max, revision, replay_from, followers }
    }

    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn replay_from(&self) -> Revision {
        self.replay_from
    }

    /// Adds the next commits; returns the cursors that now have something to deliver and must be woken.
    pub(super) fn append(&mut self, commits: &[Arc<Commit>]) -> Vec<Arc<Cursor>> {
        let mut woken = Vec::new();
        for commit in commits {
            assert_eq!(commit.revision, self.revision.next(), "history has no gaps");
            self.revision = commit.revision;
            self.bytes += size_bytes(commit);
            for event in &commit.events {
                self.followers.mark(event, commit.revision, &mut woken);
            }
            self.commits.push_back(commit.clone());
        }
        woken
    }

    pub(super) fn is_over_bound(&self) -> bool {
        self.bytes > self.bytes_max
    }

    /// Where to compact to for the history to have room again.
    pub(super) fn bound_revision(&self) -> Option<Revision> {
        let room = self.bytes_max / 4 * 3;
        let mut excess = self.bytes.checked_sub(room)?;
        for commit in &self.commits {
            excess = excess.saturating_sub(size_bytes(commit));
            if excess == 0 {
                return Some(commit.revision.next().min(self.revision));
            }
        }
        None
    }

    pub(super) fn set_replay_from(&mut self, revision: Revision) {
        self.replay_from = self.replay_from.max(revision);
    }

    /// Removes and returns the oldest commits, at most `commits_max` and all before `floor`.
    pub(super) fn take_below(&mut self, floor: Revision, commits_max: usize) -> Vec<Arc<Commit>> {
        let below = self.commits.iter().take(commits_max).take_while(|commit| commit.revision < floor).count();
        let taken: Vec<_> = self.commits.drain(..below).collect();
        self.bytes -= taken.iter().map(|commit| size_bytes(commit)).sum::<usize>();
        taken
    }

    /// The commit of a revision, if it is kept.
    pub(super) fn at(&self, revision: Revision) -> Option<Arc<Commit>> {
        self.since(revision).next().filter(|commit| commit.revision == revision).cloned()
    }

    /// The kept commits from a revision on.
    pub(super) fn since(&self, revision: Revision) -> impl Iterator<Item = &Arc<Commit>> {
        let oldest = self.commits.front().map_or_else(|| self.revision.next(), |commit| commit.revision);
        let skipped = usize::try_from(revision.0.saturating_sub(oldest.0)).unwrap_or(usize::MAX);
        self.commits.range(skipped.min(self.commits.len())..)
    }

    /// Adds a follower.
    pub(super) fn register(&mut self, watch: Watch) -> Result<Arc<Cursor>, Error> {
        // Revision 0 had no transaction; in a cursor it means "nothing".
        let from = watch.from.map_or_else(|| self.revision.next(), |from| from.max(Revision(1)));
        let id = self.followers.next_id;
        let cursor = Arc::new(Cursor::new(id, watch.span, from));
        if from <= self.revision {
            cursor.mark(from);
        }
        self.followers.add(cursor.clone())?;
        Ok(cursor)
    }

    pub(super) fn unregister(&mut self, cursor: &Cursor) {
        self.followers.remove(cursor);
    }
}

/// The watchers, found by what they watch: a change is not shown to those whom it does not concern.
#[derive(Debug, Default)]
struct Followers {
    next_id: u64,
    count: usize,
    /// Those of a prefix that ends with `/`, by prefix. Nearly all.
    by_prefix: HashMap<Bytes, BTreeMap<u64, Arc<Cursor>>>,
    /// Those of other spans, who are asked one by one.
    others: BTreeMap<u64, Arc<Cursor>>,
}

impl Followers {
    fn add(&mut self, cursor: Arc<Cursor>) -> Result<(), Error> {
        if self.count >= WATCHERS_MAX {
            return Err(Error::TooMany { what: "watchers", max: WATCHERS_MAX });
        }
        self.count += 1;
        self.next_id += 1;
        let group = match folder(&cursor) {
            Some(prefix) => self.by_prefix.entry(prefix.clone()).or_default(),
            None => &mut self.others,
        };
        group.insert(cursor.id, cursor.clone());
        Ok(())
    }

    fn remove(&mut self, cursor: &Cursor) {
        let removed = match folder(cursor) {
            None => self.others.remove(&cursor.id),
            Some(prefix) => {
                let group = self.by_prefix.get_mut(prefix);
                let removed = group.and_then(|group| group.remove(&cursor.id));
                if self.by_prefix.get(prefix).is_some_and(BTreeMap::is_empty) {
                    self.by_prefix.remove(prefix);
                }
                removed
            }
        };
        self.count -= usize::from(removed.is_some());
    }

    fn mark(&self, event: &Event, revision: Revision, woken: &mut Vec<Arc<Cursor>>) {
        let mut mark = |cursor: &Arc<Cursor>| {
            if cursor.mark(revision) {
                woken.push(cursor.clone());
            }
        };
        let key = event.key();
        for prefix in folders(key) {
            self.by_prefix.get(prefix).into_iter().flat_map(BTreeMap::values).for_each(&mut mark);
        }
        self.others.values().filter(|cursor| cursor.span().contains(key)).for_each(mark);
    }
}

/// The prefixes of a key that end with `/`.
fn folders(key: &Key) -> impl Iterator<Item = &[u8]> {
    let key = key.as_bytes();
    key.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(move |(at, _)| &key[..=at])
}

fn folder(cursor: &Cursor) -> Option<&Bytes> {
    cursor.span().as_prefix().filter(|prefix| prefix.ends_with(b"/"))
}

fn size_bytes(commit: &Commit) -> usize {
    size_of::<Commit>() + commit.events.iter().map(Event::size_bytes).sum::<usize>()
}
