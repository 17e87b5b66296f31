//! What was done to containers that run: written down, because the runtime does not say all of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Size;

/// The sizes that containers and sandboxes got after they were made, and the containers that were stopped only to be
/// started again with another size; all by the runtime's ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    sizes: BTreeMap<String, Size>,
    restarting: BTreeSet<String>,
}

const RESTART: &str = "restart";

impl Record {
    /// Reads what [`Record::text`] wrote; lines that say nothing are passed over.
    pub fn parse(text: &str) -> Record {
        let mut record = Record::default();
        for (id, what) in text.lines().filter_map(|line| line.split_once(' ')) {
            if what == RESTART {
                record.restarting.insert(id.to_owned());
            } else if let Some(size) = Size::parse(what) {
                record.sizes.insert(id.to_owned(), size);
            }
        }
        record
    }

    /// One line each: `id size`, `id restart`.
    pub fn text(&self) -> String {
        let sizes = self.sizes.iter().map(|(id, size)| format!("{id} {}\n", size.text()));
        sizes.chain(self.restarting.iter().map(|id| format!("{id} {RESTART}\n"))).collect()
    }

    /// The size that `id` got after it was made.
    pub fn size(&self, id: &str) -> Option<Size> {
        self.sizes.get(id).copied()
    }

    /// Notes that `id` has another size from now on.
    pub fn resized(&mut self, id: &str, size: Size) {
        self.sizes.insert(id.to_owned(), size);
    }

    /// Notes that `id` is stopped for another to take its place.
    pub fn restarting(&mut self, id: &str) {
        self.restarting.insert(id.to_owned());
    }

    /// Whether `id` was stopped for another to take its place.
    pub fn is_restarting(&self, id: &str) -> bool {
        self.restarting.contains(id)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty() && self.restarting.is_empty()
    }

    /// Keeps only what is about one of `ids`.
    pub fn retain(&mut self, ids: &BTreeSet<&str>) {
        self.sizes.retain(|id, _| ids.contains(id.as_str()));
        self.restarting.retain(|id| ids.contains(id.as_str()));
    }
}
