//! What can be thrown away: dead containers and sandboxes, images that nothing uses.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

/// How many dead containers of one name stay, for their logs (`maximum-dead-containers-per-container`).
pub const DEAD_PER_CONTAINER: usize = 1;

/// What the node knows of a pod whose containers are on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It runs, or will.
    Alive,
    /// It is over; its object stays until somebody deletes it.
    Over,
    /// Its worker is about to take everything away itself, or nobody knows it: not the collector's business.
    Another,
}

/// A container or sandbox, as a list of the runtime shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The runtime's id.
    pub id: String,
    /// The uid of its pod.
    pub pod: String,
    /// The container's name; empty of a sandbox.
    pub name: String,
    /// The sandbox that a container is in; empty of a sandbox.
    pub sandbox: String,
    /// How many of that name there were before.
    pub attempt: u32,
    /// When it was made, in nanoseconds.
    pub created_nanos: i64,
    /// Whether it has ended.
    pub dead: bool,
}

/// What to throw away, containers before their sandboxes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waste {
    /// Containers.
    pub containers: Vec<Listed>,
    /// Sandboxes.
    pub sandboxes: Vec<String>,
}

/// Dead containers and sandboxes that can go. Of a living pod the newest [`DEAD_PER_CONTAINER`] of each name stay, and
/// the newest sandbox; when the node `is_short` of disk, nothing stays of a pod that is over.
pub fn waste(containers: &[Listed], sandboxes: &[Listed], owner: impl Fn(&str) -> Owner, is_short: bool) -> Waste {
    let all_of = |pod: &str| is_short && owner(pod) == Owner::Over;
    let mut kept: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut waste = Waste::default();
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    let ours = |listed: &&Listed| owner(&listed.pod) != Owner::Another;
    for container in newest_first(containers).into_iter().filter(|it| it.dead).filter(ours) {
        let count = kept.entry((&container.pod, &container.name)).or_default();
        *count += 1;
        if *count > DEAD_PER_CONTAINER || all_of(&container.pod) {
            gone.insert(&container.id);
            waste.containers.push(container.clone());
        }
    }
    let used: BTreeSet<&str> =
        containers.iter().filter(|it| !gone.contains(&*it.id)).map(|it| it.sandbox.as_str()).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for sandbox in newest_first(sandboxes).into_iter().filter(ours) {
        let is_newest = seen.insert(&sandbox.pod);
        let is_free = !is_newest || all_of(&sandbox.pod);
        if sandbox.dead && is_free && !used.contains(&*sandbox.id) {
            waste.sandboxes.push(sandbox.id.clone());
        }
    }
    waste
}

fn newest_first(listed: &[Listed]) -> Vec<&Listed> {
    let mut sorted: Vec<&Listed> = listed.iter().collect();
    sorted.sort_by_key(|it| std::cmp::Reverse((it.created_nanos, it.attempt)));
    sorted
}

/// An image, as the runtime shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// Never to be removed.
    pub pinned: bool,
    /// A container or a volume uses it now, be the container dead or alive.
    pub in_use: bool,
}

/// Rules of image collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageRules {
    /// Above this share of the disk it begins (`imageGCHighThresholdPercent`, 85); 100 for never.
    pub high_percent: u64,
    /// Down to this share it goes (`imageGCLowThresholdPercent`, 80).
    pub low_percent: u64,
    /// Younger images stay (`imageMinimumGCAge`, 2 min).
    pub age_min: SignedDuration,
    /// Images that were not used for longer go, however much room there is (`imageMaximumGCAge`); `None` for never.
    pub age_max: Option<SignedDuration>,
}

impl Default for ImageRules {
    fn default() -> ImageRules {
        ImageRules { high_percent: 85, low_percent: 80, age_min: SignedDuration::from_mins(2), age_max: None }
    }
}

/// What is known of an image over time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    image: Image,
    first_seen: Timestamp,
    last_used: Option<Timestamp>,
}

/// The node's images over time: since when each is there, and when it was last in use. A restart forgets it, and then
/// what is there may be as old as it likes.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    began: Option<Timestamp>,
    records: BTreeMap<String, Record>,
}

impl Ledger {
    /// Takes down which images there are at `now`.
    pub fn note(&mut self, images: Vec<Image>, now: Timestamp) {
        // What is there at the first look may have been there for long.
        let first_seen = if self.began.is_some() { now } else { Timestamp::MIN };
        self.began.get_or_insert(now);
        let mut before = std::mem::take(&mut self.records);
        for image in images {
            let known = before.remove(&image.id);
            let (first_seen, last_used) = known.map_or((first_seen, None), |it| (it.first_seen, it.last_used));
            let last_used = if image.in_use { Some(now) } else { last_used };
            self.records.insert(image.id.clone(), Record { image, first_seen, last_used });
        }
    }

    /// An image is gone.
    pub fn forget(&mut self, id: &str) {
        self.records.remove(id);
    }

    /// The images that can go at `now`, the longest unused first.
    pub fn unused(&self, rules: &ImageRules, now: Timestamp) -> Vec<Image> {
        let mut unused: Vec<&Record> = self.records.values().filter(|it| it.is_unused(rules, now)).collect();
        unused.sort_by_key(|it| (it.last_used, it.first_seen));
        unused.into_iter().map(|it| it.image.clone()).collect()
    }

    /// The images that go for their age. None before the node was watched for that long.
    pub fn expired(&self, rules: &ImageRules, now: Timestamp) -> Vec<Image> {
        let (Some(age_max), Some(began)) = (rules.age_max, self.began) else { return Vec::new() };
        if now.duration_since(began) <= age_max {
            return Vec::new();
        }
        let unused = self.records.values().filter(|it| it.is_unused(rules, now));
        let is_old = |it: &&Record| now.duration_since(it.last_used.unwrap_or(it.first_seen)) > age_max;
        unused.filter(is_old).map(|it| it.image.clone()).collect()
    }
}

impl Record {
    fn is_unused(&self, rules: &ImageRules, now: Timestamp) -> bool {
        !self.image.pinned && !self.image.in_use && now.duration_since(self.first_seen) >= rules.age_min
    }
}

/// That images have to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// How full the disk is.
    pub used_percent: u64,
    /// How many bytes to free.
    pub bytes: u64,
}

/// How much has to go from a disk, if it is fuller than it may be.
pub fn excess(capacity: u64, available: u64, rules: &ImageRules) -> Option<Excess> {
    let available = available.min(capacity);
    let share = |part: u64| u128::from(part) * 100 / u128::from(capacity.max(1));
    let used_percent = 100 - u64::try_from(share(available)).unwrap_or(100);
    if capacity == 0 || rules.high_percent >= 100 || used_percent < rules.high_percent {
        return None;
    }
    let spared = u128::from(capacity) * u128::from(100 - rules.low_percent.min(100)) / 100;
    let spared = u64::try_from(spared).unwrap_or(u64::MAX);
    Some(Excess { used_percent, bytes: spared.saturating_sub(available) })
}

/// The message of `FreeDiskSpaceFailed`.
pub fn failed_message(used_percent: u64, capacity: u64, freed: u64) -> String {
    format!(
        "Insufficient free disk space on the node's image filesystem ({used_percent}% of {} used). Failed to free \
         sufficient space by deleting unused images (freed {freed} bytes). Investigate disk usage, as it could be used by \
         active images, logs, volumes, or other data.",
        size_text(capacity)
    )
}

/// `10.0 GiB`.
fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}
