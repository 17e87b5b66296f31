//! The queue of pods that wait for a decision, as a state machine over time.
//!
//! A pod is in exactly one place:
//! - *gated*: a plugin keeps it out (PreEnqueue);
//! - *active*: to be decided next, by priority and then by age;
//! - *backing off*: was refused a short while ago, and something happened since that may help;
//! - *resting*: was refused, and nothing happened since that may help. Events wake it through queueing hints; after
//!   [`Waits::rest_max`] it is tried again without any;
//! - *in hand*: popped; the scheduler decides or binds it.
//!
//! Decisions are atomic: no event can fall between a pod's refusal and its going to rest, so none is lost. What fails
//! later, while the pod is being bound, never rests on an event: such a pod backs off and is tried again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::profile::PluginBits;
use crate::shape::Subject;

/// How long pods wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waits {
    pub(crate) first: Duration,
    pub(crate) max: Duration,
    pub(crate) rest_max: Duration,
    pub(crate) pop_from_backoff: bool,
}

/// A pod in the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) subject: Arc<Subject>,
    /// The profile that schedules it.
    pub(crate) profile: usize,
    /// When it came to its present place; age counts from here.
    since: Timestamp,
    pub(crate) attempts: u32,
    refusals: u32,
    errors: u32,
    /// Who refused it last.
    pub(crate) plugins: PluginBits,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Gated,
    Active,
    BackingOff { until: Timestamp, error: bool },
    Resting,
    InHand,
}

/// How many pods are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// To be decided next.
    pub active: usize,
    /// Waiting out their back-off.
    pub backoff: usize,
    /// Refused, waiting for an event.
    pub unschedulable: usize,
    /// Kept out of the queue.
    pub gated: usize,
}

type Uid = Arc<str>;
type ActiveKey = (Reverse<i32>, Timestamp, u64);
/// Pods whose back-off ends in the same second go by priority.
type BackoffKey = (Timestamp, ActiveKey);

/// Pods that rest together: one hint answers for all of them.
pub(crate) type Group = (usize, u64, PluginBits);

/// The queue.
#[derive(Debug)]
pub(crate) struct Queue {
    waits: Waits,
    pods: HashMap<Uid, (Queued, u64)>,
    next: u64,
    active: BTreeMap<ActiveKey, Uid>,
    backoff: BTreeMap<BackoffKey, Uid>,
    resting: BTreeMap<Group, BTreeMap<u64, Uid>>,
    rests: BTreeSet<(Timestamp, u64, Uid)>,
    gated: usize,
    /// Pods whose victims are still being evicted, and whether something woke them meanwhile.
    held: BTreeMap<Uid, bool>,
}

impl Queue {
    pub(crate) fn new(waits: Waits) -> Self {
        Self {
            waits,
            pods: HashMap::new(),
            next: 0,
            active: BTreeMap::new(),
            backoff: BTreeMap::new(),
            resting: BTreeMap::new(),
            rests: BTreeSet::new(),
            gated: 0,
            held: BTreeMap::new(),
        }
    }

    pub(crate) fn get(&self, uid: &str) -> Option<&Queued> {
        self.pods.get(uid).map(|(queued, _)| queued)
    }

    /// Takes a new pod in, active or gated.
    pub(crate) fn add(&mut self, subject: Arc<Subject>, profile: usize, gated: bool, now: Timestamp) {
        let uid = Arc::clone(&subject.uid);
        self.next += 1;
        let place = if gated { Place::Gated } else { Place::Active };
        let (attempts, refusals, errors, plugins) = (0, 0, 0, 0);
        let queued = Queued { subject, profile, since: now, attempts, refusals, errors, plugins, place };
        self.pods.insert(Arc::clone(&uid), (queued, self.next));
        self.enter(&uid);
    }

    /// Takes a pod out, wherever it is.
    pub(crate) fn remove(&mut self, uid: &str) -> Option<Queued> {
        self.leave(uid);
        self.held.remove(uid);
        self.pods.remove(uid).map(|(queued, _)| queued)
    }

    /// Replaces a pod's object; it stays in its place.
    pub(crate) fn replace(&mut self, subject: Arc<Subject>) {
        let uid = Arc::clone(&subject.uid);
        self.leave(&uid);
        if let Some((queued, _)) = self.pods.get_mut(&uid) {
            queued.subject = subject;
            self.enter(&uid);
        }
    }

    /// The next pod to decide.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Queued> {
        self.wake_due(now);
        let uid = match self.active.first_key_value() {
            Some((_, uid)) => Arc::clone(uid),
            None => Arc::clone(self.impatient()?),
        };
        self.move_to(&uid, Place::InHand, None);
        let (queued, _) = self.pods.get_mut(&uid)?;
        queued.attempts += 1;
        Some(queued.clone())
    }

    /// A pod that may cut its back-off short because nothing else is to do. After an error the full time is waited.
    fn impatient(&self) -> Option<&Uid> {
        let patient = |uid: &&Uid| {
            let queued = self.pods.get(*uid).map(|(queued, _)| queued.place);
            !matches!(queued, Some(Place::BackingOff { error: true, .. }))
        };
        self.backoff.values().find(patient).filter(|_| self.waits.pop_from_backoff)
    }

    /// A refused pod goes to rest until an event concerns one of `plugins`; without any it backs off.
    pub(crate) fn refuse(&mut self, uid: &str, plugins: PluginBits, now: Timestamp) {
        let Some((queued, _)) = self.pods.get_mut(uid) else { return };
        queued.refusals += 1;
        queued.errors = 0;
        queued.plugins = plugins;
        if plugins == 0 {
            self.back_off(uid, now, false);
        } else {
            self.move_to(uid, Place::Resting, Some(now));
        }
    }

    /// A pod whose placing failed for reasons outside the decision is tried again after a while.
    pub(crate) fn fail(&mut self, uid: &str, now: Timestamp) {
        if let Some((queued, _)) = self.pods.get_mut(uid) {
            queued.errors += 1;
            queued.plugins = 0;
            self.back_off(uid, now, true);
        }
    }

    fn back_off(&mut self, uid: &str, since: Timestamp, error: bool) {
        let Some((queued, _)) = self.pods.get(uid) else { return };
        let until = later_second(since, self.wait(if error { queued.errors } else { queued.refusals }));
        self.move_to(uid, Place::BackingOff { until, error }, Some(since));
    }

    /// The back-off after `times` failures: doubling from the first to the longest.
    fn wait(&self, times: u32) -> Duration {
        let doublings = times.saturating_sub(1).min(30);
        self.waits.first.saturating_mul(1 << doublings).min(self.waits.max)
    }

    /// Wakes the pods of a resting group.
    pub(crate) fn wake_group(&mut self, group: &Group, now: Timestamp) {
        let uids: Vec<Uid> = self.resting.get(group).into_iter().flat_map(BTreeMap::values).cloned().collect();
        uids.iter().for_each(|uid| self.wake(uid, now));
    }

    /// A resting or gated pod goes on: to active, or to what is left of its back-off.
    pub(crate) fn wake(&mut self, uid: &str, now: Timestamp) {
        if let Some(woken) = self.held.get_mut(uid) {
            *woken = true;
            return;
        }
        let Some((queued, _)) = self.pods.get(uid) else { return };
        match queued.place {
            Place::Resting => {
                let until = later_second(queued.since, self.wait(queued.refusals));
                let ready = until <= now;
                let place = if ready { Place::Active } else { Place::BackingOff { until, error: false } };
                self.move_to(uid, place, ready.then_some(now));
            }
            Place::Gated => self.move_to(uid, Place::Active, Some(now)),
            Place::Active | Place::BackingOff { .. } | Place::InHand => {}
        }
    }

    /// Puts a pod at the head of its turn without back-off.
    pub(crate) fn activate(&mut self, uid: &str, now: Timestamp) {
        if self.get(uid).is_some_and(|queued| matches!(queued.place, Place::Resting | Place::BackingOff { .. })) {
            self.move_to(uid, Place::Active, Some(now));
        }
    }

    /// Lets a resting pod sleep on until its victims are evicted: half the room would only cost it a vain attempt.
    pub(crate) fn hold(&mut self, uid: &Uid) {
        self.held.insert(Arc::clone(uid), false);
    }

    /// Ends [`Queue::hold`]; the pod wakes if anything would have woken it.
    pub(crate) fn unhold(&mut self, uid: &str, now: Timestamp) {
        if self.held.remove(uid) == Some(true) {
            self.wake(uid, now);
        }
    }

    /// Keeps a waiting pod out of the queue.
    pub(crate) fn gate(&mut self, uid: &str, now: Timestamp) {
        self.move_to(uid, Place::Gated, Some(now));
    }

    pub(crate) fn is_gated(&self, uid: &str) -> bool {
        self.get(uid).is_some_and(|queued| queued.place == Place::Gated)
    }

    pub(crate) fn is_resting(&self, uid: &str) -> bool {
        self.get(uid).is_some_and(|queued| queued.place == Place::Resting)
    }

    /// Resting groups, each with one of its pods.
    pub(crate) fn resting(&self) -> impl Iterator<Item = (&Group, &Queued)> {
        self.resting.iter().filter_map(|(group, pods)| Some((group, self.get(pods.values().next()?)?)))
    }

    /// Moves pods whose time has come.
    fn wake_due(&mut self, now: Timestamp) {
        while let Some((&(until, _), uid)) = self.backoff.first_key_value()
            && until <= now
        {
            let uid = Arc::clone(uid);
            self.move_to(&uid, Place::Active, None);
        }
        while let Some((since, _, uid)) = self.rests.first()
            && later(*since, self.waits.rest_max) <= now
        {
            let uid = Arc::clone(uid);
            self.held.remove(&uid);
            self.wake(&uid, now);
        }
    }

    /// When the queue has something to do next without any event; at once when a pod is active.
    pub(crate) fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.active.is_empty() || self.impatient().is_some() {
            return Some(now);
        }
        let backoff = self.backoff.first_key_value().map(|(&(until, _), _)| until);
        let rest = self.rests.first().map(|(since, _, _)| later(*since, self.waits.rest_max));
        backoff.into_iter().chain(rest).min()
    }

    pub(crate) fn pending(&self) -> Pending {
        Pending {
            active: self.active.len(),
            backoff: self.backoff.len(),
            unschedulable: self.rests.len(),
            gated: self.gated,
        }
    }

    fn move_to(&mut self, uid: &str, place: Place, since: Option<Timestamp>) {
        self.leave(uid);
        if let Some((queued, _)) = self.pods.get_mut(uid) {
            queued.place = place;
            queued.since = since.unwrap_or(queued.since);
            let uid = Arc::clone(&queued.subject.uid);
            self.enter(&uid);
        }
    }

    fn enter(&mut self, uid: &Uid) {
        let Some((queued, number)) = self.pods.get(uid) else { return };
        match queued.place {
            Place::Gated => self.gated += 1,
            Place::Active => {
                self.active.insert(active_key(queued, *number), Arc::clone(uid));
            }
            Place::BackingOff { until, .. } => {
                self.backoff.insert((until, active_key(queued, *number)), Arc::clone(uid));
            }
            Place::Resting => {
                self.resting.entry(group(queued)).or_default().insert(*number, Arc::clone(uid));
                self.rests.insert((queued.since, *number, Arc::clone(uid)));
            }
            Place::InHand => {}
        }
    }

    fn leave(&mut self, uid: &str) {
        let Some((queued, number)) = self.pods.get(uid) else { return };
        match queued.place {
            Place::Gated => self.gated -= 1,
            Place::Active => drop(self.active.remove(&active_key(queued, *number))),
            Place::BackingOff { until, .. } => drop(self.backoff.remove(&(until, active_key(queued, *number)))),
            Place::Resting => {
                let group = group(queued);
                if let Some(pods) = self.resting.get_mut(&group) {
                    pods.remove(number);
                    if pods.is_empty() {
                        self.resting.remove(&group);
                    }
                }
                self.rests.remove(&(queued.since, *number, Arc::clone(&queued.subject.uid)));
            }
            Place::InHand => {}
        }
    }
}

fn active_key(queued: &Queued, number: u64) -> ActiveKey {
    (Reverse(queued.subject.priority), queued.since, number)
}

fn group(queued: &Queued) -> Group {
    (queued.profile, queued.subject.shape.id, queued.plugins)
}

fn later(time: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// [`later`], cut to the second: back-offs that end together are popped together, the more important first.
fn later_second(time: Timestamp, wait: Duration) -> Timestamp {
    Timestamp::from_second(later(time, wait).as_second()).unwrap_or(Timestamp::MAX)
}
