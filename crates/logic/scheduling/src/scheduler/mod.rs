//! The scheduler's state machine: `step(input, now)` takes one change in and gives out what is to be done.
//!
//! [`Scheduler::observe`] takes changes in, [`Scheduler::decide_next`] decides one pod. A driver feeds changes as they
//! come, decides while [`Scheduler::decide_next`] finds pods, carries the outputs out concurrently, feeds their results
//! back, and sleeps until [`Scheduler::next_deadline`] or the next change. Nothing polls.
//!
//! Invariants: a pod with an [`Output::Bind`] under way is counted on its node (*assumed*) until it is seen there, or the
//! binding failed; a pod is bound at most once at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use typed::api::policy::v1::PodDisruptionBudget;

use crate::config::{Config, Problem};
use crate::decision::Scratch;
use crate::event::Event;
use crate::framework::Waking;
use crate::groups::Groups;
use crate::ids::PodIx;
use crate::message::{Input, Output, PodRef};
use crate::nomination::Nominations;
use crate::profile::Framework;
use crate::queue::{Group, Pending, Queue, Queued, Waits};
use crate::random::Random;
use crate::shape::{Shapes, SpreadConstraint};
use crate::snapshot::Snapshot;
use crate::storage::{Storage, VolumeStep};
use crate::table::Tables;

mod attempt;
mod ingest;
mod pods;

/// The longest note of an event, in bytes.
pub(crate) const NOTE_BYTES_MAX: usize = 1024;

/// A pod that is counted on a node although nobody has seen it there yet.
#[derive(Debug)]
struct Assumed {
    steps: Vec<VolumeStep>,
}

/// An eviction under way.
#[derive(Debug)]
struct Eviction {
    victim: PodRef,
    /// Who counts on it; the first one ordered it.
    preemptors: Vec<PodRef>,
    node: String,
}

/// Default spread constraints of one shape.
#[derive(Debug)]
struct DefaultSpread {
    epoch: u64,
    constraints: Arc<[SpreadConstraint]>,
}

/// The scheduler.
#[derive(Debug)]
pub struct Scheduler {
    frameworks: Vec<Framework>,
    tables: Vec<Tables>,
    snapshot: Snapshot,
    shapes: Shapes,
    storage: Storage,
    groups: Groups,
    budgets: BTreeMap<String, Arc<PodDisruptionBudget>>,
    nominations: Nominations,
    queue: Queue,
    placed: HashMap<Arc<str>, PodIx>,
    assumed: HashMap<Arc<str>, Assumed>,
    evictions: HashMap<String, Eviction>,
    default_spreads: HashMap<(usize, u64), DefaultSpread>,
    scratch: Scratch,
    random: Random,
}

impl Scheduler {
    /// A scheduler that knows nothing yet. `seed` decides between equally good nodes.
    ///
    /// # Errors
    /// All that is wrong with `config`.
    pub fn new(config: &Config, seed: u64) -> Result<Self, Vec<Problem>> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut snapshot = Snapshot::default();
        let percentage = config.percentage_of_nodes_to_score;
        let frameworks: Vec<Framework> =
            config.profiles.iter().map(|profile| Framework::new(profile, percentage, &mut snapshot)).collect();
        let waits = Waits {
            first: config.pod_initial_backoff,
            max: config.pod_backoff_max,
            rest_max: config.pod_unschedulable_max,
            pop_from_backoff: config.pop_from_backoff,
        };
        Ok(Self {
            tables: frameworks.iter().map(|_| Tables::default()).collect(),
            frameworks,
            snapshot,
            shapes: Shapes::default(),
            storage: Storage::default(),
            groups: Groups::default(),
            budgets: BTreeMap::new(),
            nominations: Nominations::default(),
            queue: Queue::new(waits),
            placed: HashMap::new(),
            assumed: HashMap::new(),
            evictions: HashMap::new(),
            default_spreads: HashMap::new(),
            scratch: Scratch::default(),
            random: Random::new(seed),
        })
    }

    /// Takes `input` in and decides all pods that can be decided now.
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let mut outputs = self.observe(input, now);
        while self.decide_next(now, &mut outputs) {}
        outputs
    }

    /// Takes `input` in without deciding anything.
    pub fn observe(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.ingest(input, now, &mut outputs);
        outputs
    }

    /// Decides one pod and appends what follows to `outputs`; false when no pod is to be decided now.
    pub fn decide_next(&mut self, now: Timestamp, outputs: &mut Vec<Output>) -> bool {
        let Some(queued) = self.queue.pop(now) else { return false };
        self.attempt(&queued, now, outputs);
        true
    }

    /// When [`Scheduler::decide_next`] finds something to do without further input.
    pub fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        self.queue.next_deadline(now)
    }

    /// How many pods wait where, for `scheduler_pending_pods`.
    pub fn pending(&self) -> Pending {
        self.queue.pending()
    }

    /// The node a pod stands on or is being bound to.
    pub fn node_of(&self, uid: &str) -> Option<&str> {
        let pod = self.placed.get(uid)?;
        Some(self.snapshot.nodes.name(self.snapshot.pod(*pod).node))
    }

    /// Wakes resting pods that `event` may help.
    fn announce(&mut self, event: &Event, now: Timestamp) {
        let woken: Vec<Group> =
            self.queue.resting().filter_map(|(group, queued)| self.helps(event, queued).then_some(*group)).collect();
        woken.iter().for_each(|group| self.queue.wake_group(group, now));
    }

    /// Whether a plugin that refused the pod thinks that `event` may help it.
    fn helps(&self, event: &Event, queued: &Queued) -> bool {
        let waking = Waking { snapshot: &self.snapshot, shape: &queued.subject.shape };
        let seats = self.frameworks[queued.profile].seats.iter().enumerate();
        let mut refusing = seats.filter(|(place, _)| queued.plugins >> place & 1 == 1);
        refusing.any(|(_, seat)| seat.plugin.wakes(&waking, event))
    }
}
