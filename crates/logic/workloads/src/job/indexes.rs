//! Sets of completion indexes, as the API writes them: `1,3-5,7`.

use std::fmt;

/// A set of indexes, kept as disjoint, ascending, non-adjacent ranges.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Indexes(Vec<(u32, u32)>);

impl Indexes {
    /// Reads the API's text; indexes at or beyond `completions` and unreadable parts are left out.
    #[must_use]
    pub fn parse(text: &str, completions: u32) -> Self {
        let mut set = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>())
                && first <= last
                && first < completions
            {
                set.add(first, last.min(completions.saturating_sub(1)));
            }
        }
        set
    }

    /// Adds one index; true if it is new.
    pub fn insert(&mut self, index: u32) -> bool {
        let fresh = !self.contains(index);
        if fresh {
            self.add(index, index);
        }
        fresh
    }

    fn add(&mut self, mut first: u32, mut last: u32) {
        let start = self.0.partition_point(|range| range.1.saturating_add(1) < first);
        let end = self.0.partition_point(|range| range.0 <= last.saturating_add(1));
        for range in &self.0[start..end] {
            first = first.min(range.0);
            last = last.max(range.1);
        }
        self.0.splice(start..end, [(first, last)]);
    }

    /// Whether the index is in the set.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        let place = self.0.partition_point(|range| range.1 < index);
        self.0.get(place).is_some_and(|range| range.0 <= index)
    }

    /// How many indexes there are.
    #[must_use]
    pub fn total(&self) -> i32 {
        let count: u64 = self.0.iter().map(|range| u64::from(range.1 - range.0) + 1).sum();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    /// How many of these indexes are also in `other`.
    #[must_use]
    pub fn common(&self, other: &Self) -> i32 {
        let overlap = |a: &(u32, u32)| -> u64 {
            let meets = other.0.iter().filter(|b| a.0 <= b.1 && b.0 <= a.1);
            meets.map(|b| u64::from(a.1.min(b.1) - a.0.max(b.0)) + 1).sum()
        };
        i32::try_from(self.0.iter().map(overlap).sum::<u64>()).unwrap_or(i32::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.0.iter().enumerate() {
            if place > 0 {
                out.write_str(",")?;
            }
            match last - first {
                0 => write!(out, "{first}")?,
                1 => write!(out, "{first},{last}")?,
                _ => write!(out, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}
