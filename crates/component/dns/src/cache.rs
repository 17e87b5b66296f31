//! Answers of other resolvers, remembered for a while.
//!
//! Two generations: when the younger is full, the older is dropped and they change places. So the cache is bounded,
//! and what is asked for often stays.

use std::collections::HashMap;
use std::time::Duration;

use env::time::Instant;

use crate::config::{CacheRules, is_in};
use crate::wire::{HEADER, Query, Record, SOA, skip_name};

/// What a question is about, as far as answers differ.
type Key = (Box<[u8]>, u16, bool);

#[derive(Debug, Clone)]
struct Remembered {
    message: Vec<u8>,
    /// Where TTLs stand in the message.
    ttls_at: Vec<usize>,
    kind: Kind,
    since: Instant,
    until: Instant,
}

#[derive(Debug)]
pub(crate) struct Cache {
    younger: HashMap<Key, Remembered>,
    older: HashMap<Key, Remembered>,
    rules: CacheRules,
}

/// What kind of answer was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Success,
    Denial,
}

impl Cache {
    pub(crate) fn new(rules: CacheRules) -> Self {
        Self { younger: HashMap::new(), older: HashMap::new(), rules }
    }

    fn entries_max(&self) -> usize {
        self.rules.success.entries_max.saturating_add(self.rules.denial.entries_max)
    }

    /// The answer to `query`, with its identifier and the time that has passed taken into account.
    pub(crate) fn get(&mut self, query: &Query<'_>, now: Instant) -> Option<(Vec<u8>, Kind)> {
        let key = key(query);
        if let Some(aged) = self.older.remove(&key) {
            self.insert(key.clone(), aged);
        }
        let remembered = self.younger.get(&key)?;
        if now >= remembered.until {
            self.younger.remove(&key);
            return None;
        }
        let passed = u32::try_from((now - remembered.since).as_secs()).unwrap_or(u32::MAX);
        let mut message = remembered.message.clone();
        message[..2].copy_from_slice(&query.id.to_be_bytes());
        // The client's own spelling of the name.
        message.get_mut(HEADER..HEADER + query.question.len())?.copy_from_slice(query.question);
        for at in &remembered.ttls_at {
            let ttl: [u8; 4] = *message.get(*at..)?.first_chunk()?;
            let left = u32::from_be_bytes(ttl).saturating_sub(passed);
            message[*at..*at + 4].copy_from_slice(&left.to_be_bytes());
        }
        Some((message, remembered.kind))
    }

    /// Remembers `message`, if it may be.
    pub(crate) fn put(&mut self, query: &Query<'_>, message: &[u8], now: Instant) {
        let Some((seconds, ttls_at, kind)) = lifetime(message) else { return };
        let (kept, off) = match kind {
            Kind::Success => (self.rules.success, &self.rules.success_off),
            Kind::Denial => (self.rules.denial, &self.rules.denial_off),
        };
        if !is_in(query.name(), &self.rules.zones) || is_in(query.name(), off) {
            return;
        }
        let seconds = seconds.max(kept.seconds_min).min(kept.seconds_max);
        if seconds > 0 && kept.entries_max > 0 {
            let until = now + Duration::from_secs(u64::from(seconds));
            let remembered = Remembered { message: message.to_vec(), ttls_at, kind, since: now, until };
            self.insert(key(query), remembered);
        }
    }

    fn insert(&mut self, key: Key, remembered: Remembered) {
        if self.younger.len() >= (self.entries_max() / 2).max(1) {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(key, remembered);
    }
}

fn key(query: &Query<'_>) -> Key {
    (query.name().into(), query.kind, query.edns.is_some())
}

/// How long a message may be remembered, and where its TTLs stand; `None` for errors and truncated messages.
fn lifetime(message: &[u8]) -> Option<(u32, Vec<usize>, Kind)> {
    let (truncated, code) = (message.get(2)? & 0x02 != 0, message.get(3)? & 0x0f);
    let name_error = 3;
    if truncated || (code != 0 && code != name_error) {
        return None;
    }
    let count = |at: usize| message.get(at..).and_then(|bytes| bytes.first_chunk()).map(|c| u16::from_be_bytes(*c));
    let mut at = skip_name(message, HEADER)? + 4;
    let records = u32::from(count(6)?) + u32::from(count(8)?) + u32::from(count(10)?);
    let positive = count(6)? > 0;
    let (mut seconds, mut ttls_at) = (None::<u32>, Vec::new());
    for _ in 0..records {
        let record = Record::read(message, at)?;
        if !record.is_edns() {
            let mut ttl = record.ttl;
            if record.kind == SOA && !positive {
                // The zone's own limit for "there is none" is the last number of its SOA (RFC 2308).
                let minimum = message.get(record.end.checked_sub(4)?..)?.first_chunk()?;
                ttl = ttl.min(u32::from_be_bytes(*minimum));
            }
            seconds = Some(seconds.map_or(ttl, |known| known.min(ttl)));
            ttls_at.push(record.ttl_at);
        }
        at = record.end;
    }
    let kind = if positive && code == 0 { Kind::Success } else { Kind::Denial };
    seconds.map(|seconds| (seconds, ttls_at, kind))
}
