//! Waiting longer after each failure: crash loops and image pulls.
//!
//! The delay starts at the base, doubles up to the maximum, and is forgotten when a failure comes later than twice the
//! maximum after the last one (10 min for the usual maximum of 300 s).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long to wait, at least and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first delay.
    pub base: SignedDuration,
    /// The longest delay.
    pub max: SignedDuration,
}

impl Bounds {
    /// 10 s to 300 s, as for crash loops and image pulls.
    pub const USUAL: Bounds = Bounds { base: SignedDuration::from_secs(10), max: SignedDuration::from_secs(300) };
}

/// One running back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The present delay.
    pub delay: SignedDuration,
    /// When it was last lengthened.
    pub updated_at: Timestamp,
}

/// Back-offs by key (a container's name and hash, an image).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackOffs {
    entries: BTreeMap<String, Entry>,
}

impl BackOffs {
    /// Until when to wait after a failure at `failed_at`; `None` when there is nothing to wait for.
    pub fn until(&self, key: &str, failed_at: Timestamp, bounds: Bounds) -> Option<(Timestamp, SignedDuration)> {
        let entry = self.entries.get(key).filter(|entry| !expired(entry, failed_at, bounds))?;
        Some((failed_at.saturating_add(entry.delay).unwrap_or(Timestamp::MAX), entry.delay))
    }

    /// Notes one more attempt after a failure at `failed_at`.
    pub fn lengthen(&mut self, key: &str, failed_at: Timestamp, now: Timestamp, bounds: Bounds) {
        let next = match self.entries.get(key) {
            Some(entry) if !expired(entry, failed_at, bounds) => entry.delay.saturating_mul(2).min(bounds.max),
            _ => bounds.base,
        };
        self.entries.insert(key.to_owned(), Entry { delay: next, updated_at: now });
    }

    /// Forgets a key.
    pub fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// The present delay of a key.
    pub fn delay(&self, key: &str) -> Option<SignedDuration> {
        self.entries.get(key).map(|entry| entry.delay)
    }
}

/// How long a container rests that could not be made: the period, and by `chance` (0 to 1) up to half as long again, so
/// that the containers of a node do not all try at once. Such failures leave no container behind whose end could be counted,
/// so the wait does not grow.
pub fn after_failed_start(period: Duration, chance: f64) -> Duration {
    period.saturating_add(period.mul_f64(chance.clamp(0.0, 1.0) / 2.0))
}

fn expired(entry: &Entry, failed_at: Timestamp, bounds: Bounds) -> bool {
    failed_at.duration_since(entry.updated_at) > bounds.max.saturating_mul(2)
}

/// A duration as Go prints it in whole seconds: `10s`, `2m40s`, `5m0s`.
pub fn go_text(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}
