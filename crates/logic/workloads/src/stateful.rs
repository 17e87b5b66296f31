//! StatefulSet: pods with names that last, made and replaced in order, each with claims of its own.
//!
//! `stateful.rs` decides who comes and goes; `identity.rs` knows what a pod of an ordinal looks like and what its volume
//! claims are. Rules: `kubernetes.io/docs/concepts/workloads/controllers/statefulset`.

mod identity;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use plan::{Action, Claim, Key, Plan, Rounding, Say, Selector, Step, View, claim, meta, percent_or_count, slow_start};
use typed::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetSpec, StatefulSetStatus};
use typed::api::core::v1::{PersistentVolumeClaim, Pod};

use crate::history::{self, HASH_LABEL, Next, REVISION_LABEL, Source};
use crate::nonzero;
use crate::pods::{self, Availability};
use identity::Claims;

/// What the StatefulSet controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// StatefulSets.
    pub sets: &'a dyn View<StatefulSet>,
    /// Their revisions.
    pub revisions: &'a dyn View<ControllerRevision>,
    /// Pods.
    pub pods: &'a dyn View<Pod>,
    /// Volume claims.
    pub claims: &'a dyn View<PersistentVolumeClaim>,
    /// Whether `maxUnavailable` counts (feature gate `MaxUnavailableStatefulSet`).
    pub max_unavailable_enabled: bool,
}

/// One StatefulSet being planned.
struct Walk<'a> {
    set: &'a StatefulSet,
    spec: &'a StatefulSetSpec,
    world: &'a World<'a>,
    now: Timestamp,
    current: Arc<ControllerRevision>,
    update: Arc<ControllerRevision>,
    /// Pods by ordinal.
    pods: BTreeMap<i32, Arc<Pod>>,
    /// Volume claims to make before the pods that need them.
    missing_claims: Vec<Step>,
    plan: Plan,
}

/// Plans one StatefulSet.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>, now: Timestamp) -> Plan {
    let Some(set) = world.sets.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let Some(spec) = &set.spec else { return Plan::nothing() };
    let selector = Selector::new(&spec.selector);
    let claimed = claim(&Claim { owner: set.as_ref(), selector: &selector, finalizer: None }, world.pods);
    // Only pods that are named after the set are adopted.
    let is_member = |step: &Step| match &step.action {
        Action::Patch { target, .. } => {
            identity::parent_and_ordinal(&target.name).is_some_and(|(parent, _)| parent == key.name)
        }
        _ => true,
    };
    let steps: Vec<Step> = claimed.steps.into_iter().filter(is_member).collect();
    let mut plan = Plan::default();
    if !steps.is_empty() {
        plan.then(steps);
        return plan;
    }
    let collisions = set.status.as_ref().and_then(|status| status.collision_count);
    let source =
        Source { owner: set.as_ref(), selector: &selector, template: &spec.template, collisions, label: HASH_LABEL };
    let history = history::look_up(&source, world.revisions);
    let update = match history.next {
        Next::Ready(update) => update,
        Next::First(plan) => return plan,
        Next::Collision => return count_collision(&set),
    };
    let recorded = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
    let is_current = |revision: &&Arc<ControllerRevision>| recorded == Some(meta::name(&revision.metadata));
    let current = history.all.iter().find(is_current).unwrap_or(&update).clone();
    let member = |pod: Arc<Pod>| {
        let (parent, ordinal) = identity::parent_and_ordinal(meta::name(&pod.metadata))?;
        (parent == key.name).then_some((ordinal, pod))
    };
    let pods = claimed.mine.into_iter().filter_map(member).collect();
    let mut walk = Walk { set: &set, spec, world, now, current, update, pods, missing_claims: Vec::new(), plan };
    let updating = walk.walk();
    walk.report(updating);
    walk.forget(&history.all);
    walk.plan
}

fn count_collision(set: &StatefulSet) -> Plan {
    let mut changed = set.clone();
    let status = changed.status.get_or_insert_default();
    status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
    let mut plan = Plan::default();
    plan.then_do(Action::update_status(changed));
    plan
}

impl Walk<'_> {
    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn start(&self) -> i32 {
        self.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or_default()
    }

    fn ordinals(&self) -> std::ops::Range<i32> {
        self.start()..self.start() + self.replicas()
    }

    fn is_ordered(&self) -> bool {
        self.spec.pod_management_policy.as_deref() != Some("Parallel")
    }

    fn condemned(&self) -> Vec<(i32, Arc<Pod>)> {
        let range = self.ordinals();
        let outside = self.pods.iter().rev().filter(|(ordinal, _)| !range.contains(ordinal));
        outside.map(|(ordinal, pod)| (*ordinal, pod.clone())).collect()
    }

    fn is_available(&mut self, pod: &Pod) -> bool {
        match pods::availability(pod, self.spec.min_ready_seconds.unwrap_or_default(), self.now) {
            Availability::Available => pods::phase(pod) == "Running",
            Availability::From(at) => {
                self.plan.look_again_at(at);
                false
            }
            Availability::Unready => false,
        }
    }

    fn is_unavailable(&mut self, pod: Option<&Pod>) -> bool {
        pod.is_none_or(|pod| meta::is_deleting(&pod.metadata) || !self.is_available(pod))
    }

    /// Decides about pods; the number of pods of the current revision that the plan takes away for an update.
    fn walk(&mut self) -> i32 {
        if meta::is_deleting(&self.set.metadata) {
            return 0;
        }
        if self.tend_members() || self.tend_condemned() {
            return 0;
        }
        match self.spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) {
            Some("OnDelete") => 0,
            _ => self.replace_outdated(),
        }
    }

    /// Looks after the pods that should exist, in order; true if the rest has to wait.
    fn tend_members(&mut self) -> bool {
        let (ordered, mut steps) = (self.is_ordered(), Vec::new());
        let mut blocked = false;
        for ordinal in self.ordinals() {
            blocked = self.tend(ordinal, &mut steps);
            if blocked && ordered {
                break;
            }
        }
        let claims = std::mem::take(&mut self.missing_claims);
        self.plan.then(claims);
        self.plan.stages.extend(slow_start(steps));
        blocked && ordered
    }

    /// One ordinal; true if an ordered set must wait for it.
    fn tend(&mut self, ordinal: i32, steps: &mut Vec<Step>) -> bool {
        let Some(pod) = self.pods.get(&ordinal).cloned() else {
            self.create(ordinal, steps);
            return true;
        };
        if pods::is_terminal(&pod) {
            if !meta::is_deleting(&pod.metadata) {
                steps.push(self.deletion(&pod));
            }
            return true;
        }
        if pods::phase(&pod) == "Pending" {
            self.missing_claims.extend(Claims::of(self.set, ordinal).missing(self.world.claims));
        }
        if self.is_unavailable(Some(&pod)) && self.is_ordered() {
            return true;
        }
        let claims = Claims::of(self.set, ordinal);
        steps.extend(claims.retention(self.world.claims, &pod, false));
        if let Some(repaired) = identity::repaired(self.set, &pod, ordinal) {
            steps.push(Step::of(Action::update(repaired)));
        }
        false
    }

    fn create(&mut self, ordinal: i32, steps: &mut Vec<Step>) {
        let claims = Claims::of(self.set, ordinal);
        if claims.are_stale(self.world.claims, None) {
            return;
        }
        self.missing_claims.extend(claims.missing(self.world.claims));
        let partition = self.partition();
        let rolling = self.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref()) != Some("OnDelete");
        let revision = if rolling && ordinal < self.start() + partition { &self.current } else { &self.update };
        let template = history::restore(revision).unwrap_or_else(|| self.spec.template.clone());
        let pod = identity::pod(self.set, &template, ordinal, meta::name(&revision.metadata));
        let (name, set) = (meta::name(&pod.metadata).to_owned(), meta::name(&self.set.metadata));
        let done = Say::normal("SuccessfulCreate", format!("create Pod {name} in StatefulSet {set} successful"));
        let refused = Say::refused("FailedCreate", format!("create Pod {name} in StatefulSet {set} failed error: "));
        steps.push(Step::of(Action::create(pod)).done(self.set, done).refused(self.set, refused));
    }

    fn deletion(&self, pod: &Pod) -> Step {
        let (name, set) = (meta::name(&pod.metadata), meta::name(&self.set.metadata));
        let done = Say::normal("SuccessfulDelete", format!("delete Pod {name} in StatefulSet {set} successful"));
        let refused = Say::refused("FailedDelete", format!("delete Pod {name} in StatefulSet {set} failed error: "));
        Step::of(Action::delete(pod)).done(self.set, done).refused(self.set, refused)
    }

    /// Takes away pods beyond the wished number, highest ordinal first; true if the rest has to wait.
    fn tend_condemned(&mut self) -> bool {
        let condemned = self.condemned();
        let mut steps: Vec<Step> = Vec::new();
        for (ordinal, pod) in &condemned {
            steps.extend(Claims::of(self.set, *ordinal).retention(self.world.claims, pod, true));
        }
        self.plan.then(std::mem::take(&mut steps));
        let first_unhealthy = self.first_unhealthy(&condemned);
        for (ordinal, pod) in &condemned {
            if meta::is_deleting(&pod.metadata) {
                if self.is_ordered() {
                    return true;
                }
                continue;
            }
            let healthy = !self.is_unavailable(Some(pod));
            if self.is_ordered() && !healthy && first_unhealthy != Some(*ordinal) {
                return true;
            }
            steps.push(self.deletion(pod));
            if self.is_ordered() {
                break;
            }
        }
        let busy = !steps.is_empty();
        self.plan.stages.extend(slow_start(steps));
        busy
    }

    /// The lowest ordinal that is not available, members before condemned.
    fn first_unhealthy(&mut self, condemned: &[(i32, Arc<Pod>)]) -> Option<i32> {
        for ordinal in self.ordinals() {
            let pod = self.pods.get(&ordinal).cloned();
            if self.is_unavailable(pod.as_deref()) {
                return Some(ordinal);
            }
        }
        condemned.iter().rev().find(|(_, pod)| self.is_unavailable(Some(pod))).map(|(ordinal, _)| *ordinal)
    }

    fn partition(&self) -> i32 {
        let rolling = self.spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        rolling.and_then(|rolling| rolling.partition).unwrap_or_default()
    }

    fn max_unavailable(&self) -> i32 {
        let rolling = self.spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let wish =
            rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).filter(|_| self.world.max_unavailable_enabled);
        wish.and_then(|wish| percent_or_count(wish, self.replicas(), Rounding::Down)).unwrap_or(1).max(1)
    }

    /// Deletes pods of another revision than the newest, highest ordinal first, so that at most `maxUnavailable` are missing.
    fn replace_outdated(&mut self) -> i32 {
        let lowest = self.start() + self.partition();
        let mut unavailable = 0;
        for ordinal in self.ordinals() {
            let pod = self.pods.get(&ordinal).cloned();
            unavailable += i32::from(self.is_unavailable(pod.as_deref()));
        }
        let one_by_one = self.max_unavailable() == 1;
        let (mut budget, mut steps) = (self.max_unavailable() - unavailable, Vec::new());
        for ordinal in self.ordinals().rev().take_while(|ordinal| *ordinal >= lowest) {
            let Some(pod) = self.pods.get(&ordinal).cloned() else { break };
            let outdated = revision_of(&pod) != Some(meta::name(&self.update.metadata));
            // Sequential updates may replace a broken pod of the old revision at once; it is the one that is missing.
            let may_go = budget > 0 || (one_by_one && self.is_unavailable(Some(&pod)));
            if outdated && !meta::is_deleting(&pod.metadata) && may_go {
                steps.push(self.deletion(&pod));
                budget -= 1;
            }
            if one_by_one && (!steps.is_empty() || self.is_unavailable(Some(&pod))) {
                break;
            }
        }
        let taken = i32::try_from(steps.len()).unwrap_or(i32::MAX);
        self.plan.then(steps);
        taken
    }

    fn report(&mut self, taken: i32) {
        let mut status = StatefulSetStatus {
            observed_generation: self.set.metadata.generation,
            current_revision: Some(meta::name(&self.current.metadata).to_owned()),
            update_revision: Some(meta::name(&self.update.metadata).to_owned()),
            collision_count: Some(
                self.set.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default(),
            ),
            conditions: self.set.status.as_ref().and_then(|status| status.conditions.clone()),
            ..StatefulSetStatus::default()
        };
        let (mut ready, mut available, mut current, mut updated) = (0, 0, -taken, 0);
        for pod in self.pods.clone().values() {
            status.replicas += 1;
            let running = pods::phase(pod) == "Running" && pods::is_ready(pod);
            ready += i32::from(running);
            available += i32::from(running && self.is_available(pod));
            if !meta::is_deleting(&pod.metadata) {
                current += i32::from(revision_of(pod) == status.current_revision.as_deref());
                updated += i32::from(revision_of(pod) == status.update_revision.as_deref());
            }
        }
        let complete = [status.replicas, ready, updated].iter().all(|count| *count == self.replicas());
        if complete && self.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref()) != Some("OnDelete") {
            current = updated;
            status.current_revision.clone_from(&status.update_revision);
        }
        status.ready_replicas = nonzero(ready);
        status.available_replicas = nonzero(available);
        status.current_replicas = nonzero(current.max(0));
        status.updated_replicas = nonzero(updated);
        if self.set.status.as_ref() != Some(&status) {
            let mut changed = self.set.clone();
            changed.status = Some(status);
            self.plan.finally(Action::update_status(changed));
        }
    }

    fn forget(&mut self, all: &[Arc<ControllerRevision>]) {
        let limit = self.spec.revision_history_limit.unwrap_or(10);
        let is_used = |revision: &ControllerRevision| {
            let name = meta::name(&revision.metadata);
            let named = [&self.current, &self.update].iter().any(|used| meta::name(&used.metadata) == name);
            named || self.pods.values().any(|pod| revision_of(pod) == Some(name))
        };
        let steps = history::forget(all, is_used, limit);
        self.plan.then(steps);
    }
}

fn revision_of(pod: &Pod) -> Option<&str> {
    meta::label(&pod.metadata, REVISION_LABEL)
}

#[cfg(test)]
mod tests;
