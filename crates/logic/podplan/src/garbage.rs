//! What can be thrown away: dead containers and sandboxes, images that nothing uses.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::observed::{Observed, Stage};

/// How many dead containers of one name stay, for their logs (`maximum-dead-containers-per-container`).
pub const DEAD_PER_CONTAINER: usize = 1;

/// Dead containers of a living pod that can go: all but the newest `keep` of each name. A running one needs no
/// predecessor beyond the last.
pub fn dead_containers(observed: &Observed, keep: usize) -> Vec<String> {
    let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
    let mut gone = Vec::new();
    for seen in observed.containers.iter().filter(|seen| seen.stage == Stage::Exited) {
        let count = kept.entry(&seen.name).or_default();
        *count += 1;
        if *count > keep {
            gone.push(seen.id.clone());
        }
    }
    gone
}

/// Sandboxes that can go: not ready, not the newest, and without containers; of a pod that is gone, all that are not
/// ready.
pub fn dead_sandboxes(observed: &Observed, pod_is_gone: bool) -> Vec<String> {
    let used: BTreeSet<&str> = observed.containers.iter().map(|seen| seen.sandbox.as_str()).collect();
    observed
        .sandboxes
        .iter()
        .enumerate()
        .filter(|(index, sandbox)| !sandbox.ready && (pod_is_gone || *index > 0))
        .filter(|(_, sandbox)| pod_is_gone || !used.contains(sandbox.id.as_str()))
        .map(|(_, sandbox)| sandbox.id.clone())
        .collect()
}

/// An image on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// When a container last used it.
    pub last_used: Option<Timestamp>,
    /// Never to be removed.
    pub pinned: bool,
    /// In use now.
    pub in_use: bool,
}

/// Rules of image collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageRules {
    /// Above this share of the disk it begins (`imageGCHighThresholdPercent`, 85).
    pub high_percent: u64,
    /// Down to this share it goes (`imageGCLowThresholdPercent`, 80).
    pub low_percent: u64,
    /// Younger images stay (`imageMinimumGCAge`, 2 min).
    pub age_min: SignedDuration,
}

impl Default for ImageRules {
    fn default() -> ImageRules {
        ImageRules { high_percent: 85, low_percent: 80, age_min: SignedDuration::from_mins(2) }
    }
}

/// Which images to remove, the longest unused first, and whether that frees enough.
pub fn images(all: &[Image], capacity: u64, available: u64, rules: ImageRules, now: Timestamp) -> (Vec<String>, bool) {
    let used = capacity.saturating_sub(available);
    let percent = |share: u64| u64::try_from(u128::from(capacity) * u128::from(share) / 100).unwrap_or(u64::MAX);
    if capacity == 0 || used < percent(rules.high_percent) {
        return (Vec::new(), true);
    }
    let mut to_free = used.saturating_sub(percent(rules.low_percent));
    let mut candidates: Vec<&Image> = all
        .iter()
        .filter(|image| !image.pinned && !image.in_use && now.duration_since(image.first_seen) >= rules.age_min)
        .collect();
    candidates.sort_by_key(|image| (image.last_used, image.first_seen));
    let mut gone = Vec::new();
    for image in candidates {
        if to_free == 0 {
            break;
        }
        to_free = to_free.saturating_sub(image.bytes);
        gone.push(image.id.clone());
    }
    (gone, to_free == 0)
}
