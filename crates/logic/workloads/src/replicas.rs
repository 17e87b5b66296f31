//! ReplicaSet and ReplicationController: keep a number of pods of one template alive.
//!
//! One algorithm for two kinds: [`Replicator`] is what they have in common.
//! Rules: `kubernetes.io/docs/concepts/workloads/controllers/replicaset`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use plan::{Action, Claim, Key, Kind, Plan, Refusal, Say, Selector, Stage, Step, View, claim, meta, slow_start};
use typed::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use typed::api::core::v1::{
    Pod, PodTemplateSpec, ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};

use crate::nonzero;
use crate::pods::{self, Availability};

/// The most pods created or deleted by one plan.
pub const PODS_PER_PLAN_MAX: usize = 500;

/// What a replica controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a, T: Kind> {
    /// The sets.
    pub sets: &'a dyn View<T>,
    /// All pods.
    pub pods: &'a dyn View<Pod>,
    /// How the last plan for this key was refused, if it was.
    pub refusal: Option<&'a Refusal>,
}

/// What the two kinds have in common.
pub trait Replicator: Kind {
    /// The wished number of pods.
    fn wanted(&self) -> i32;
    /// Seconds of readiness before a pod is available.
    fn min_ready_seconds(&self) -> i32;
    /// Which pods belong to it.
    fn selector(&self) -> Selector;
    /// What pods look like.
    fn template(&self) -> Option<&PodTemplateSpec>;
    /// The recorded counts.
    fn counts(&self) -> Counts;
    /// Records new counts.
    fn set_counts(&mut self, counts: Counts);
    /// Whether `terminatingReplicas` is part of the kind.
    const COUNTS_TERMINATING: bool;
}

/// The status in neutral words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Active pods.
    pub replicas: i32,
    /// Active pods with all labels of the template.
    pub fully_labeled: i32,
    /// Ready pods.
    pub ready: i32,
    /// Available pods.
    pub available: i32,
    /// Pods on their way out.
    pub terminating: Option<i32>,
    /// The generation that was looked at.
    pub observed_generation: Option<i64>,
    /// `ReplicaFailure`: reason, message, since when.
    pub failure: Option<(String, String, Option<typed::meta::Time>)>,
}

/// Plans one ReplicaSet.
#[must_use]
pub fn plan_replica_set(key: &Key, world: &World<'_, ReplicaSet>, now: Timestamp) -> Plan {
    plan(key, world, now, |set| family_nodes(set, world))
}

/// Plans one ReplicationController.
#[must_use]
pub fn plan_replication_controller(key: &Key, world: &World<'_, ReplicationController>, now: Timestamp) -> Plan {
    plan(key, world, now, |set| nodes_of(&world.pods.controlled_by(meta::uid(&set.metadata))))
}

fn plan<T: Replicator>(
    key: &Key,
    world: &World<'_, T>,
    now: Timestamp,
    siblings: impl Fn(&T) -> BTreeMap<String, usize>,
) -> Plan {
    let Some(set) = world.sets.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let selector = set.selector();
    let claimed = claim(&Claim { owner: set.as_ref(), selector: &selector, finalizer: None }, world.pods);
    let mut plan = Plan::default();
    if !claimed.steps.is_empty() {
        plan.then(claimed.steps);
        return plan;
    }
    let (active, rest): (Vec<_>, Vec<_>) = claimed.mine.into_iter().partition(|pod| pods::is_active(pod));
    let surplus = i32::try_from(active.len()).unwrap_or(i32::MAX) - set.wanted();
    if !meta::is_deleting(set.meta()) {
        plan.stages = match surplus {
            0 => Vec::new(),
            ..0 => grow(set.as_ref(), surplus.unsigned_abs() as usize),
            1.. => shrink(set.as_ref(), &active, surplus.unsigned_abs() as usize, &siblings(&set), now),
        };
    }
    let mut counts = count(set.as_ref(), &active, &rest, now, &mut plan);
    counts.failure = failure(set.as_ref(), surplus, world.refusal, now);
    if counts != set.counts() {
        let mut changed = set.as_ref().clone();
        changed.set_counts(counts);
        plan.finally(Action::update_status(changed));
    }
    plan
}

fn grow<T: Replicator>(set: &T, missing: usize) -> Vec<Stage> {
    let Some(template) = set.template() else { return Vec::new() };
    // Until the server names them they are all the same, so there is one of them in memory.
    let step = Step::of(Action::create(pods::from_template(template, set)))
        .done(set, Say::named("SuccessfulCreate", "Created pod: "))
        .refused(set, Say::refused("FailedCreate", "Error creating: "));
    slow_start(vec![step; missing.min(PODS_PER_PLAN_MAX)])
}

fn shrink<T: Replicator>(
    set: &T,
    active: &[Arc<Pod>],
    surplus: usize,
    siblings: &BTreeMap<String, usize>,
    now: Timestamp,
) -> Vec<Stage> {
    let mut ranked = active.to_vec();
    if surplus < ranked.len() {
        pods::rank_for_deletion(&mut ranked, siblings, now);
    }
    let step = |pod: &Arc<Pod>| {
        Step::of(Action::delete(pod.as_ref()))
            .done(set, Say::named("SuccessfulDelete", "Deleted pod: "))
            .refused(set, Say::refused("FailedDelete", "Error deleting: "))
    };
    let steps = ranked.iter().take(surplus.min(PODS_PER_PLAN_MAX)).map(step).collect();
    vec![Stage { steps, always: false }]
}

fn count<T: Replicator>(set: &T, active: &[Arc<Pod>], rest: &[Arc<Pod>], now: Timestamp, plan: &mut Plan) -> Counts {
    let labels = set.template().and_then(|template| template.metadata.as_ref()).and_then(|about| about.labels.as_ref());
    let whole = Selector::from_map(labels);
    let mut counts = Counts {
        replicas: i32::try_from(active.len()).unwrap_or(i32::MAX),
        observed_generation: set.meta().generation,
        ..Counts::default()
    };
    for pod in active {
        counts.fully_labeled += i32::from(whole.matches(pod.metadata.labels.as_ref()));
        counts.ready += i32::from(pods::is_ready(pod));
        match pods::availability(pod, set.min_ready_seconds(), now) {
            Availability::Available => counts.available += 1,
            Availability::From(at) => plan.look_again_at(at),
            Availability::Unready => {}
        }
    }
    let leaving = rest.iter().filter(|pod| pods::is_terminating(pod)).count();
    counts.terminating = T::COUNTS_TERMINATING.then(|| i32::try_from(leaving).unwrap_or(i32::MAX));
    counts
}

type Failure = (String, String, Option<typed::meta::Time>);

/// The condition `ReplicaFailure` stands from the first refusal until a plan went through; its first words are kept.
fn failure<T: Replicator>(set: &T, surplus: i32, refusal: Option<&Refusal>, now: Timestamp) -> Option<Failure> {
    let refusal = refusal?;
    if let Some(known) = set.counts().failure {
        return Some(known);
    }
    let reason = match surplus {
        ..0 => "FailedCreate",
        0 => return None,
        1.. => "FailedDelete",
    };
    Some((reason.to_owned(), refusal.message.clone(), Some(meta::time(now))))
}

fn nodes_of(all: &[Arc<Pod>]) -> BTreeMap<String, usize> {
    let mut nodes = BTreeMap::new();
    for pod in all.iter().filter(|pod| pods::is_active(pod)) {
        if let Some(node) = pods::node(pod) {
            *nodes.entry(node.to_owned()).or_default() += 1;
        }
    }
    nodes
}

/// Active pods per node, over all ReplicaSets with the same controller.
fn family_nodes(set: &ReplicaSet, world: &World<'_, ReplicaSet>) -> BTreeMap<String, usize> {
    let family = match plan::controller_of(&set.metadata) {
        Some(owner) => world.sets.controlled_by(&owner.uid),
        None => Vec::new(),
    };
    let mut uids: Vec<&str> = family.iter().map(|sibling| meta::uid(&sibling.metadata)).collect();
    if uids.is_empty() {
        uids.push(meta::uid(&set.metadata));
    }
    let all: Vec<Arc<Pod>> = uids.into_iter().flat_map(|uid| world.pods.controlled_by(uid)).collect();
    nodes_of(&all)
}

impl Replicator for ReplicaSet {
    const COUNTS_TERMINATING: bool = true;

    fn wanted(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or_default()
    }

    fn selector(&self) -> Selector {
        Selector::optional(self.spec.as_ref().map(|spec| &spec.selector))
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn counts(&self) -> Counts {
        let Some(status) = &self.status else { return Counts::default() };
        let failure = status.conditions.iter().flatten().find(|c| c.type_ == "ReplicaFailure");
        Counts {
            replicas: status.replicas,
            fully_labeled: status.fully_labeled_replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            available: status.available_replicas.unwrap_or_default(),
            terminating: status.terminating_replicas,
            observed_generation: status.observed_generation,
            failure: failure.map(|c| {
                (
                    c.reason.clone().unwrap_or_default(),
                    c.message.clone().unwrap_or_default(),
                    c.last_transition_time.clone(),
                )
            }),
        }
    }

    fn set_counts(&mut self, counts: Counts) {
        let old = self.status.take().unwrap_or_default();
        let mut conditions: Vec<_> =
            old.conditions.into_iter().flatten().filter(|c| c.type_ != "ReplicaFailure").collect();
        if let Some((reason, message, last_transition_time)) = counts.failure {
            let (type_, status) = ("ReplicaFailure".to_owned(), "True".to_owned());
            conditions.push(ReplicaSetCondition {
                type_,
                status,
                reason: Some(reason),
                message: Some(message),
                last_transition_time,
            });
        }
        self.status = Some(ReplicaSetStatus {
            replicas: counts.replicas,
            fully_labeled_replicas: nonzero(counts.fully_labeled),
            ready_replicas: nonzero(counts.ready),
            available_replicas: nonzero(counts.available),
            terminating_replicas: counts.terminating,
            observed_generation: counts.observed_generation,
            conditions: (!conditions.is_empty()).then_some(conditions),
        });
    }
}

impl Replicator for ReplicationController {
    const COUNTS_TERMINATING: bool = false;

    fn wanted(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or_default()
    }

    fn selector(&self) -> Selector {
        match self.spec.as_ref().and_then(|spec| spec.selector.as_ref()) {
            Some(labels) if !labels.is_empty() => Selector::from_map(Some(labels)),
            _ => Selector::NOTHING,
        }
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn counts(&self) -> Counts {
        let Some(status) = &self.status else { return Counts::default() };
        let failure = status.conditions.iter().flatten().find(|c| c.type_ == "ReplicaFailure");
        Counts {
            replicas: status.replicas,
            fully_labeled: status.fully_labeled_replicas.unwrap_or_default(),
            ready: status.ready_replicas.unwrap_or_default(),
            available: status.available_replicas.unwrap_or_default(),
            terminating: None,
            observed_generation: status.observed_generation,
            failure: failure.map(|c| {
                (
                    c.reason.clone().unwrap_or_default(),
                    c.message.clone().unwrap_or_default(),
                    c.last_transition_time.clone(),
                )
            }),
        }
    }

    fn set_counts(&mut self, counts: Counts) {
        let old = self.status.take().unwrap_or_default();
        let mut conditions: Vec<_> =
            old.conditions.into_iter().flatten().filter(|c| c.type_ != "ReplicaFailure").collect();
        if let Some((reason, message, last_transition_time)) = counts.failure {
            conditions.push(ReplicationControllerCondition {
                type_: "ReplicaFailure".to_owned(),
                status: "True".to_owned(),
                reason: Some(reason),
                message: Some(message),
                last_transition_time,
            });
        }
        self.status = Some(ReplicationControllerStatus {
            replicas: counts.replicas,
            fully_labeled_replicas: nonzero(counts.fully_labeled),
            ready_replicas: nonzero(counts.ready),
            available_replicas: nonzero(counts.available),
            observed_generation: counts.observed_generation,
            conditions: (!conditions.is_empty()).then_some(conditions),
        });
    }
}

#[cfg(test)]
mod tests;
