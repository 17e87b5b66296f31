//! Deployment: replaces one ReplicaSet by another, at the pace its strategy allows.
//!
//! | file | noun |
//! |---|---|
//! | `deployment.rs` | the order of questions: claim, pause, scale, roll |
//! | `family.rs` | the ReplicaSets of a Deployment: new and old, revisions, annotations, templates |
//! | `pace.rs` | how many pods may come and go: surge, unavailability, proportions |
//! | `progress.rs` | status and conditions |
//!
//! Rules: `kubernetes.io/docs/concepts/workloads/controllers/deployment`; annotations `deployment.kubernetes.io/*`.

mod family;
mod pace;
mod progress;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use plan::{Action, Claim, Key, Plan, Refusal, Say, Selector, Step, View, claim, meta};
use typed::api::apps::v1::{Deployment, ReplicaSet};
use typed::api::core::v1::Pod;

use crate::pods;
use family::Family;

/// What the deployment controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Deployments.
    pub deployments: &'a dyn View<Deployment>,
    /// ReplicaSets.
    pub replica_sets: &'a dyn View<ReplicaSet>,
    /// Pods.
    pub pods: &'a dyn View<Pod>,
    /// How the last plan for this key was refused, if it was.
    pub refusal: Option<&'a Refusal>,
}

/// One Deployment being planned.
struct Rollout<'a> {
    deployment: &'a Deployment,
    family: Family,
    world: &'a World<'a>,
    now: Timestamp,
    /// New sizes of ReplicaSets, by name.
    sizes: BTreeMap<String, i32>,
    plan: Plan,
}

/// Plans one Deployment.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>, now: Timestamp) -> Plan {
    let Some(deployment) = world.deployments.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let Some(spec) = &deployment.spec else { return Plan::nothing() };
    let selector = Selector::new(&spec.selector);
    if selector.is_everything() {
        return refuse_to_select_all(&deployment);
    }
    let claimed =
        claim(&Claim { owner: deployment.as_ref(), selector: &selector, finalizer: None }, world.replica_sets);
    let mut plan = Plan::default();
    if !claimed.steps.is_empty() {
        plan.then(claimed.steps);
        return plan;
    }
    let family = Family::new(&spec.template, claimed.mine);
    let mut rollout = Rollout { deployment: &deployment, family, world, now, sizes: BTreeMap::new(), plan };
    rollout.advance();
    rollout.plan
}

fn refuse_to_select_all(deployment: &Deployment) -> Plan {
    let mut plan = Plan::default();
    plan.say(
        deployment,
        Say::warning("SelectingAll", "This deployment is selecting all pods. A non-empty selector is required."),
    );
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    if observed < deployment.metadata.generation {
        let mut changed = deployment.clone();
        changed.status.get_or_insert_default().observed_generation = deployment.metadata.generation;
        plan.then_do(Action::update_status(changed));
    }
    plan
}

impl Rollout<'_> {
    fn advance(&mut self) {
        let paused = self.spec().paused == Some(true);
        if meta::is_deleting(&self.deployment.metadata) {
            return self.report(progress::Kind::Sync);
        }
        if progress::pause_condition(self.deployment, self.now).is_some() {
            return self.report(progress::Kind::Sync);
        }
        if paused || self.is_scaling() {
            if paused && self.adopt_new() {
                return;
            }
            self.scale();
            self.clean_up_when(paused);
            self.commit_sizes();
            return self.report(progress::Kind::Sync);
        }
        match self.spec().strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) {
            Some("Recreate") => self.recreate(),
            _ => self.roll(),
        }
    }

    fn spec(&self) -> &typed::api::apps::v1::DeploymentSpec {
        self.deployment.spec.as_ref().expect("a deployment without a spec was turned away")
    }

    fn wanted(&self) -> i32 {
        self.spec().replicas.unwrap_or(1)
    }

    // === strategies ===

    fn roll(&mut self) {
        if self.adopt_new() || self.create_new() {
            return;
        }
        if !self.grow_new() {
            self.shrink_old();
        }
        self.finish();
    }

    fn recreate(&mut self) {
        if self.adopt_new() {
            return;
        }
        let active_old: Vec<_> = self.family.old.iter().filter(|set| family::size(set) > 0).cloned().collect();
        if !active_old.is_empty() {
            active_old.iter().for_each(|set| self.resize(set, 0));
            return self.finish();
        }
        if self.old_pods_remain() {
            return self.report(progress::Kind::Rollout);
        }
        if self.create_new() {
            return;
        }
        self.grow_new();
        self.finish();
    }

    fn finish(&mut self) {
        self.clean_up_when(self.sizes.is_empty() && progress::is_complete(self.deployment, &self.status()));
        self.commit_sizes();
        self.report(progress::Kind::Rollout);
    }

    fn old_pods_remain(&self) -> bool {
        let alive = |set: &Arc<ReplicaSet>| {
            let all = self.world.pods.controlled_by(meta::uid(&set.metadata));
            all.iter().any(|pod| !pods::is_terminal(pod))
        };
        self.family.old.iter().any(alive)
    }

    // === the new ReplicaSet ===

    /// Brings an existing new ReplicaSet up to date in revision, annotations and minReadySeconds; true if that was needed.
    fn adopt_new(&mut self) -> bool {
        let Some(new) = self.family.new.clone() else { return false };
        let Some(changed) = self.family.refreshed(&new, self.deployment) else { return false };
        self.plan.then_do(Action::update(changed));
        true
    }

    /// Creates the new ReplicaSet if there is none; true if there was none.
    fn create_new(&mut self) -> bool {
        if self.family.new.is_some() {
            return false;
        }
        let size = match pace::is_rolling(self.spec()) {
            true => pace::room_for_new(self.spec(), &self.family, 0),
            false => self.wanted(),
        };
        let fresh = self.family.fresh(self.deployment, size);
        let name = meta::name(&fresh.metadata).to_owned();
        if self.world.replica_sets.get(meta::namespace(&fresh.metadata), &name).is_some() {
            self.count_collision();
            return true;
        }
        let revision = meta::annotation(&fresh.metadata, family::REVISION).unwrap_or_default().to_owned();
        let mut step = Step::of(Action::create(fresh)).refused(
            self.deployment,
            Say::refused("FailedCreate", format!("Failed to create new replica set \"{name}\": ")),
        );
        if size > 0 {
            let words = format!("Scaled up replica set {name} from 0 to {size}");
            step = step.done(self.deployment, Say::normal("ScalingReplicaSet", words));
        }
        self.plan.then(vec![step]);
        match self.world.refusal.filter(|refusal| refusal.creating) {
            Some(refusal) => self.report(progress::Kind::Refused(refusal.message.clone())),
            None => self.report(progress::Kind::Created { name, revision }),
        }
        true
    }

    /// The name is taken by a ReplicaSet with another template or owner: hash with the next collision count.
    fn count_collision(&mut self) {
        let mut changed = self.deployment.clone();
        let status = changed.status.get_or_insert_default();
        status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
        self.plan.then_do(Action::update_status(changed));
    }

    // === sizes ===

    fn grow_new(&mut self) -> bool {
        let Some(new) = self.family.new.clone() else { return false };
        let (size, wanted) = (family::size(&new), self.wanted());
        let target = match size.cmp(&wanted) {
            std::cmp::Ordering::Equal => size,
            std::cmp::Ordering::Greater => wanted,
            std::cmp::Ordering::Less if pace::is_rolling(self.spec()) => {
                size + pace::room_for_new(self.spec(), &self.family, size)
            }
            std::cmp::Ordering::Less => wanted,
        };
        if target != size {
            self.resize(&new, target);
        }
        target != size
    }

    fn shrink_old(&mut self) {
        for (set, size) in pace::shrink_old(self.spec(), &self.family) {
            self.resize(&set, size);
        }
    }

    /// Whether some ReplicaSet was sized for another `spec.replicas` than today's.
    fn is_scaling(&self) -> bool {
        let wanted = self.wanted();
        let mut active = self.family.all().filter(|set| family::size(set) > 0);
        active.any(|set| family::number(set, family::DESIRED).is_some_and(|desired| desired != wanted))
    }

    fn scale(&mut self) {
        for (set, size) in pace::rescale(self.deployment, &self.family) {
            self.resize(&set, size);
        }
    }

    fn resize(&mut self, set: &Arc<ReplicaSet>, size: i32) {
        self.sizes.insert(meta::name(&set.metadata).to_owned(), size);
    }

    /// Turns the decided sizes into writes. Sizes that stand already are written only if the annotations that record them
    /// are out of date.
    fn commit_sizes(&mut self) {
        let sizes = std::mem::take(&mut self.sizes);
        let max = self.wanted() + pace::max_surge(self.spec());
        let mut steps = Vec::new();
        for set in self.family.all() {
            let name = meta::name(&set.metadata);
            let Some(&size) = sizes.get(name) else { continue };
            let before = family::size(set);
            let mut changed = set.as_ref().clone();
            if let Some(spec) = &mut changed.spec {
                spec.replicas = Some(size);
            }
            let noted = family::note_size(&mut changed.metadata, self.wanted(), max);
            if before == size && !noted {
                continue;
            }
            let mut step = Step::of(Action::update(changed));
            if before != size {
                let way = if before < size { "up" } else { "down" };
                let words = format!("Scaled {way} replica set {name} from {before} to {size}");
                step = step.done(self.deployment, Say::normal("ScalingReplicaSet", words));
            }
            steps.push(step);
        }
        self.plan.then(steps);
    }

    fn clean_up_when(&mut self, time_has_come: bool) {
        if !time_has_come {
            return;
        }
        let limit = self.spec().revision_history_limit.unwrap_or(10);
        let steps = self.family.forgettable(limit).map(|set| Step::of(Action::delete(set.as_ref()))).collect();
        self.plan.then(steps);
    }
}

#[cfg(test)]
mod tests;
