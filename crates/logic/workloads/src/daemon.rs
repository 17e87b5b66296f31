//! DaemonSet: one pod on every node that qualifies.
//!
//! `daemon.rs` decides which pods come and go; `placement.rs` knows which nodes qualify and how a pod is pinned to one.
//! Rules: `kubernetes.io/docs/concepts/workloads/controllers/daemonset`.

mod placement;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use plan::{Action, Claim, Key, Plan, Rounding, Say, Selector, Step, View, claim, meta, percent_or_count, slow_start};
use typed::api::apps::v1::{ControllerRevision, DaemonSet, DaemonSetSpec, DaemonSetStatus};
use typed::api::core::v1::{Node, Pod};

use crate::history::{self, Next, REVISION_LABEL, Source};
use crate::nonzero;
use crate::pods::{self, Availability};
use placement::Verdict;

/// The most pods created and the most pods deleted by one plan.
pub const PODS_PER_PLAN_MAX: usize = 250;

/// How long a failed pod stands before it is replaced, counted from its creation: a pod that fails at once would otherwise
/// be made anew without pause.
pub const FAILED_POD_REST_SECONDS: i64 = 10;

const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// What the DaemonSet controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// DaemonSets.
    pub sets: &'a dyn View<DaemonSet>,
    /// Their revisions.
    pub revisions: &'a dyn View<ControllerRevision>,
    /// Pods.
    pub pods: &'a dyn View<Pod>,
    /// Nodes.
    pub nodes: &'a dyn View<Node>,
}

/// One DaemonSet being planned.
struct Round<'a> {
    set: &'a DaemonSet,
    spec: &'a DaemonSetSpec,
    now: Timestamp,
    hash: String,
    /// Each node with the set's verdict about it.
    nodes: Vec<(Arc<Node>, Verdict)>,
    /// Pods by the node they are on or meant for.
    pods: BTreeMap<String, Vec<Arc<Pod>>>,
    plan: Plan,
}

/// Plans one DaemonSet.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>, now: Timestamp) -> Plan {
    let Some(set) = world.sets.get(&key.namespace, &key.name) else { return Plan::nothing() };
    let Some(spec) = &set.spec else { return Plan::nothing() };
    let selector = Selector::new(&spec.selector);
    let mut plan = Plan::default();
    if selector.is_everything() {
        let words = "This daemon set is selecting all pods. A non-empty selector is required.";
        plan.say(set.as_ref(), Say::warning("SelectingAll", words));
        return plan;
    }
    let claimed = claim(&Claim { owner: set.as_ref(), selector: &selector, finalizer: None }, world.pods);
    if !claimed.steps.is_empty() {
        plan.then(claimed.steps);
        return plan;
    }
    let collisions = set.status.as_ref().and_then(|status| status.collision_count);
    let source = Source {
        owner: set.as_ref(),
        selector: &selector,
        template: &spec.template,
        collisions,
        label: REVISION_LABEL,
    };
    let history = history::look_up(&source, world.revisions);
    let newest = match history.next {
        Next::Ready(newest) => newest,
        Next::First(plan) => return plan,
        Next::Collision => return count_collision(&set),
    };
    let hash = meta::label(&newest.metadata, REVISION_LABEL).unwrap_or_default().to_owned();
    let template = placement::pinned_template(&spec.template);
    let judge = |node: Arc<Node>| {
        let verdict = placement::judge(&template, &node);
        (node, verdict)
    };
    let nodes = world.nodes.all().into_iter().map(judge).collect();
    let mut round = Round { set: &set, spec, now, hash, nodes, pods: by_node(claimed.mine), plan };
    if !meta::is_deleting(&set.metadata) && !round.manage() && round.is_rolling() {
        round.roll();
    }
    round.report();
    round.forget(&history.all);
    round.plan
}

fn by_node(mine: Vec<Arc<Pod>>) -> BTreeMap<String, Vec<Arc<Pod>>> {
    let mut pods: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
    for pod in mine {
        if let Some(node) = placement::target_node(&pod) {
            pods.entry(node.to_owned()).or_default().push(pod);
        }
    }
    for on_node in pods.values_mut() {
        on_node.sort_by_key(|pod| {
            (pods::node(pod).is_none(), meta::created(&pod.metadata), meta::name(&pod.metadata).to_owned())
        });
    }
    pods
}

fn count_collision(set: &DaemonSet) -> Plan {
    let mut changed = set.clone();
    let status = changed.status.get_or_insert_default();
    status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
    let mut plan = Plan::default();
    plan.then_do(Action::update_status(changed));
    plan
}

impl Round<'_> {
    fn is_rolling(&self) -> bool {
        self.spec.update_strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) != Some("OnDelete")
    }

    fn on(&self, node: &str) -> &[Arc<Pod>] {
        self.pods.get(node).map_or(&[], Vec::as_slice)
    }

    fn is_new(&self, pod: &Pod) -> bool {
        meta::label(&pod.metadata, REVISION_LABEL) == Some(self.hash.as_str())
    }

    fn is_available(&mut self, pod: &Pod) -> bool {
        match pods::availability(pod, self.spec.min_ready_seconds.unwrap_or_default(), self.now) {
            Availability::Available => true,
            Availability::From(at) => {
                self.plan.look_again_at(at);
                false
            }
            Availability::Unready => false,
        }
    }

    /// Puts pods where none are and takes them from where they should not be; true if there was anything to do.
    fn manage(&mut self) -> bool {
        let (mut create, mut delete) = (Vec::new(), Vec::new());
        for (node, verdict) in self.nodes.clone() {
            let name = meta::name(&node.metadata).to_owned();
            let pods = self.on(&name).to_vec();
            match verdict {
                Verdict::Run if pods.is_empty() => create.push(name),
                Verdict::Run | Verdict::Keep => delete.extend(self.superfluous(&name, &pods)),
                Verdict::Leave => delete.extend(pods.iter().filter(|pod| !meta::is_deleting(&pod.metadata)).cloned()),
            }
        }
        // Pods waiting for a node that is gone can never run; those that ran there are the pod garbage collector's.
        for (name, pods) in &self.pods {
            if !self.nodes.is_empty() && !self.nodes.iter().any(|(node, _)| meta::name(&node.metadata) == name) {
                delete.extend(
                    pods.iter().filter(|pod| pods::node(pod).is_none() && !meta::is_deleting(&pod.metadata)).cloned(),
                );
            }
        }
        let busy = !create.is_empty() || !delete.is_empty();
        self.write(&create, &delete);
        busy
    }

    /// The pods to take from a node where one should stay.
    fn superfluous(&mut self, node: &str, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
        let (mut delete, mut running) = (Vec::new(), Vec::new());
        for pod in pods.iter().filter(|pod| !meta::is_deleting(&pod.metadata)) {
            let place = format!("{}/{} on node {node}", meta::namespace(&pod.metadata), meta::name(&pod.metadata));
            match pods::phase(pod) {
                "Failed" if self.has_rested(pod) => {
                    let words = format!("Found failed daemon pod {place}, will try to kill it");
                    self.plan.say(self.set, Say::warning("FailedDaemonPod", words));
                    delete.push(pod.clone());
                }
                "Failed" => {}
                "Succeeded" => {
                    let words = format!("Found succeeded daemon pod {place}, will try to delete it");
                    self.plan.say(self.set, Say::normal("SucceededDaemonPod", words));
                    delete.push(pod.clone());
                }
                _ => running.push(pod.clone()),
            }
        }
        if self.surge_limit() == 0 {
            delete.extend(running.into_iter().skip(1));
            return delete;
        }
        let (new, old): (Vec<_>, Vec<_>) = running.into_iter().partition(|pod| self.is_new(pod));
        delete.extend(new.iter().skip(1).chain(old.iter().skip(1)).cloned());
        if let (Some(new), Some(old)) = (new.first(), old.first())
            && (!pods::is_ready(old) || self.is_available(new))
        {
            delete.push(old.clone());
        }
        delete
    }

    fn has_rested(&mut self, pod: &Pod) -> bool {
        let created = meta::created(&pod.metadata);
        let rested = created.saturating_add(FAILED_POD_REST_SECONDS.seconds()).unwrap_or(created);
        if rested > self.now {
            self.plan.look_again_at(rested);
        }
        rested <= self.now
    }

    fn desired(&self) -> i32 {
        let count = self.nodes.iter().filter(|(_, verdict)| *verdict == Verdict::Run).count();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    fn share(
        &self,
        of: fn(&typed::api::apps::v1::RollingUpdateDaemonSet) -> Option<&typed::intstr::IntOrString>,
    ) -> Option<i32> {
        let rolling = self.spec.update_strategy.as_ref()?.rolling_update.as_ref()?;
        percent_or_count(of(rolling)?, self.desired(), Rounding::Up)
    }

    fn surge_limit(&self) -> i32 {
        if self.is_rolling() { self.share(|rolling| rolling.max_surge.as_ref()).unwrap_or_default() } else { 0 }
    }

    /// Replaces pods of older revisions.
    fn roll(&mut self) {
        let surge = self.surge_limit();
        if surge > 0 {
            return self.roll_surging(surge);
        }
        let limit = self.share(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(1).max(1);
        let (mut unavailable, mut broken, mut healthy) = (0, Vec::new(), Vec::new());
        for (name, pods) in self.pods.clone() {
            if !self
                .nodes
                .iter()
                .any(|(node, verdict)| *verdict != Verdict::Leave && meta::name(&node.metadata) == name)
            {
                continue;
            }
            let alive: Vec<_> = pods.iter().filter(|pod| !meta::is_deleting(&pod.metadata)).cloned().collect();
            let [pod] = alive.as_slice() else {
                unavailable += 1;
                continue;
            };
            let available = self.is_available(pod);
            unavailable += i32::from(!available);
            match (self.is_new(pod), available) {
                (true, _) => {}
                (false, false) => broken.push(pod.clone()),
                (false, true) => healthy.push(pod.clone()),
            }
        }
        // A pod that is not available costs nothing to replace.
        let budget = usize::try_from(limit - unavailable).unwrap_or_default();
        broken.extend(healthy.into_iter().take(budget));
        self.write(&[], &broken);
    }

    fn roll_surging(&mut self, limit: i32) {
        let (mut surging, mut urgent, mut patient) = (0, Vec::new(), Vec::new());
        for (name, pods) in self.pods.clone() {
            if !self.nodes.iter().any(|(node, verdict)| *verdict == Verdict::Run && meta::name(&node.metadata) == name)
            {
                continue;
            }
            let alive = pods.iter().filter(|pod| !pods::is_terminal(pod));
            let (new, old): (Vec<_>, Vec<_>) = alive.cloned().partition(|pod| self.is_new(pod));
            match (new.first(), old.iter().find(|pod| !meta::is_deleting(&pod.metadata))) {
                (None, Some(old)) if !self.is_available(old) => urgent.push(name),
                (None, Some(_)) => patient.push(name),
                (Some(new), Some(_)) => surging += i32::from(!self.is_available(new)),
                (_, None) => {}
            }
        }
        let budget = usize::try_from(limit - surging).unwrap_or_default();
        urgent.extend(patient.into_iter().take(budget));
        self.write(&urgent, &[]);
    }

    fn write(&mut self, create: &[String], delete: &[Arc<Pod>]) {
        let deletion = |pod: &Arc<Pod>| {
            Step::of(Action::delete(pod.as_ref()))
                .done(self.set, Say::named("SuccessfulDelete", "Deleted pod: "))
                .refused(self.set, Say::refused("FailedDelete", "Error deleting: "))
        };
        let deletions = delete.iter().take(PODS_PER_PLAN_MAX).map(deletion).collect();
        let creation = |node: &String| {
            Step::of(Action::create(self.pod_for(node)))
                .done(self.set, Say::named("SuccessfulCreate", "Created pod: "))
                .refused(self.set, Say::refused("FailedCreate", "Error creating: "))
        };
        let creations = create.iter().take(PODS_PER_PLAN_MAX).map(creation).collect();
        self.plan.stages.extend(slow_start(creations));
        self.plan.then(deletions);
    }

    fn pod_for(&self, node: &str) -> Pod {
        let mut pod = pods::from_template(&placement::pinned_template(&self.spec.template), self.set);
        placement::pin(&mut pod, node);
        meta::set_label(&mut pod.metadata, REVISION_LABEL, &self.hash);
        if let Some(generation) = meta::annotation(&self.set.metadata, TEMPLATE_GENERATION) {
            meta::set_label(&mut pod.metadata, "pod-template-generation", generation);
        }
        pod
    }

    fn report(&mut self) {
        let old = self.set.status.clone().unwrap_or_default();
        let mut status = DaemonSetStatus {
            desired_number_scheduled: self.desired(),
            observed_generation: self.set.metadata.generation,
            collision_count: old.collision_count,
            conditions: old.conditions,
            ..DaemonSetStatus::default()
        };
        let (mut updated, mut available) = (0, 0);
        for (node, verdict) in self.nodes.clone() {
            let Some(pod) = self.on(meta::name(&node.metadata)).first().cloned() else { continue };
            if verdict != Verdict::Run {
                status.number_misscheduled += 1;
                continue;
            }
            status.current_number_scheduled += 1;
            status.number_ready += i32::from(pods::is_ready(&pod));
            available += i32::from(self.is_available(&pod));
            updated += i32::from(self.is_new(&pod));
        }
        status.updated_number_scheduled = nonzero(updated);
        status.number_available = nonzero(available);
        status.number_unavailable = nonzero(status.desired_number_scheduled - available);
        if self.set.status.as_ref() != Some(&status) {
            let mut changed = self.set.clone();
            changed.status = Some(status);
            self.plan.finally(Action::update_status(changed));
        }
    }

    fn forget(&mut self, all: &[Arc<ControllerRevision>]) {
        let is_used = |revision: &ControllerRevision| {
            let hash = meta::label(&revision.metadata, REVISION_LABEL);
            let mut pods = self.pods.values().flatten();
            hash == Some(self.hash.as_str()) || pods.any(|pod| meta::label(&pod.metadata, REVISION_LABEL) == hash)
        };
        let steps = history::forget(all, is_used, self.spec.revision_history_limit.unwrap_or(10));
        self.plan.then(steps);
    }
}

#[cfg(test)]
mod tests;
