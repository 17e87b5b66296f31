//! A read of a span in pieces, so that a long one keeps neither writers nor its thread for long.

use std::ops::Bound;

use crate::{Entry, Key, Page, Range, Revision, Want};

use super::Mvcc;

/// How many keys are looked at under one lock: some tens of microseconds.
const KEYS_PER_LOCK: usize = 1_024;

/// A read at a pinned revision. Versions that it may come by are kept until it is dropped.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    mvcc: &'a Mvcc,
    range: Range,
    at: Revision,
    current: Revision,
    resume_after: Option<Key>,
    entries: Vec<Entry>,
    count: u64,
}

impl<'a> Scan<'a> {
    pub(super) fn new(mvcc: &'a Mvcc, range: Range, at: Revision, current: Revision) -> Scan<'a> {
        Scan { mvcc, range, at, current, resume_after: None, entries: Vec::new(), count: 0 }
    }

    /// Reads the next piece; true when that was the last.
    pub(crate) fn step(&mut self) -> bool {
        let from = match &self.resume_after {
            Some(key) => Bound::Excluded(key.as_bytes()),
            None => Bound::Included(&self.range.span.start()[..]),
        };
        let room = match (self.range.want, self.range.limit) {
            (Want::Count, _) => 0,
            (_, 0) => usize::MAX,
            (_, limit) => limit,
        };
        let (entries, count) = (&mut self.entries, &mut self.count);
        let with_value = self.range.want == Want::Entries;
        let index = self.mvcc.index.read();
        let resume_after = index.visit(
            &self.range.span,
            from,
            self.at,
            (KEYS_PER_LOCK, |found| {
                *count += 1;
                if entries.len() < room {
                    entries.push(found.entry(with_value));
                }
            }),
        );
        drop(index);
        self.resume_after = resume_after;
        self.resume_after.is_none()
    }

    /// What was read.
    pub(crate) fn finish(mut self) -> Page {
        let entries = std::mem::take(&mut self.entries);
        let more = self.range.want != Want::Count && (entries.len() as u64) < self.count;
        let revision = if self.range.at.is_some() { self.current } else { self.at };
        Page { entries, revision, more, count: self.count }
    }

    /// Reads everything, letting other tasks of the thread run between the pieces.
    pub(crate) async fn run(mut self) -> Page {
        while !self.step() {
            tokio::task::yield_now().await;
        }
        self.finish()
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.mvcc.unpin(self.at);
    }
}
