//! PodDisruptionBudgets: how many pods may be disturbed right now.
//!
//! Rules: `kubernetes.io/docs/tasks/run-application/configure-pdb`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use plan::{Action, Key, Plan, Rounding, Say, Selector, View, controller_key, controller_of, meta, percent_or_count};
use typed::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use typed::api::core::v1::{Pod, ReplicationController};
use typed::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use typed::intstr::IntOrString;
use typed::meta::{Condition, Time};

/// How long an allowed eviction may take until it is forgotten.
const EVICTION_SECONDS_MAX: i64 = 120;

/// How many pods the controllers of pods want.
pub trait Scales: Debug {
    /// For a pod: the uid and wished size of the topmost scalable controller, an error if it has a controller without a scale,
    /// nothing if nobody controls it.
    ///
    /// # Errors
    /// The words for the event, if the controller has no scale.
    fn expected(&self, pod: &Pod) -> Result<Option<(String, i32)>, String>;
}

/// The sizes of the built-in controllers: ReplicaSets stand for their Deployment if they have one.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn<'a> {
    /// Deployments.
    pub deployments: &'a dyn View<Deployment>,
    /// ReplicaSets.
    pub replica_sets: &'a dyn View<ReplicaSet>,
    /// ReplicationControllers.
    pub controllers: &'a dyn View<ReplicationController>,
    /// StatefulSets.
    pub stateful_sets: &'a dyn View<StatefulSet>,
}

impl Scales for BuiltIn<'_> {
    fn expected(&self, pod: &Pod) -> Result<Option<(String, i32)>, String> {
        let Some(owner) = controller_of(&pod.metadata) else { return Ok(None) };
        let place = (meta::namespace(&pod.metadata), owner.name.as_str());
        let size = |uid: Option<&String>, replicas: Option<i32>| {
            uid.filter(|uid| **uid == owner.uid).map(|uid| (uid.clone(), replicas.unwrap_or(1)))
        };
        match (owner.api_version.as_str(), owner.kind.as_str()) {
            ("apps/v1", "ReplicaSet") => Ok(self.replica_set(place, &owner.uid)),
            ("apps/v1", "StatefulSet") => {
                let set = self.stateful_sets.get(place.0, place.1);
                Ok(set
                    .and_then(|set| size(set.metadata.uid.as_ref(), set.spec.as_ref().and_then(|spec| spec.replicas))))
            }
            ("v1", "ReplicationController") => {
                let set = self.controllers.get(place.0, place.1);
                Ok(set
                    .and_then(|set| size(set.metadata.uid.as_ref(), set.spec.as_ref().and_then(|spec| spec.replicas))))
            }
            (version, kind) => Err(format!("{kind}.{version} does not implement the scale subresource")),
        }
    }
}

impl BuiltIn<'_> {
    fn replica_set(&self, (namespace, name): (&str, &str), uid: &str) -> Option<(String, i32)> {
        let set = self.replica_sets.get(namespace, name).filter(|set| meta::uid(&set.metadata) == uid)?;
        let Some(key) = controller_key::<Deployment>(&set.metadata) else {
            return Some((uid.to_owned(), set.spec.as_ref()?.replicas.unwrap_or(1)));
        };
        let deployment = self.deployments.get(&key.namespace, &key.name)?;
        plan::is_controlled_by(&set.metadata, meta::uid(&deployment.metadata)).then_some(())?;
        Some((meta::uid(&deployment.metadata).to_owned(), deployment.spec.as_ref()?.replicas.unwrap_or(1)))
    }
}

/// The budgets to plan because a pod came, changed or went.
#[must_use]
pub fn budgets_to_wake(old: Option<&Pod>, new: Option<&Pod>, budgets: &dyn View<PodDisruptionBudget>) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for pod in [old, new].into_iter().flatten() {
        let selects = |budget: &Arc<PodDisruptionBudget>| {
            let selector = Selector::optional(budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()));
            selector.matches(pod.metadata.labels.as_ref())
        };
        let selecting = budgets.within(meta::namespace(&pod.metadata)).into_iter().filter(selects);
        keys.extend(selecting.map(|budget| Key::of(budget.as_ref())));
    }
    keys
}

/// Plans one budget.
#[must_use]
pub fn plan(
    key: &Key,
    budgets: &dyn View<PodDisruptionBudget>,
    pods: &dyn View<Pod>,
    scales: &dyn Scales,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let Some(budget) = budgets.get(&key.namespace, &key.name) else { return plan };
    let Some(spec) = &budget.spec else { return plan };
    let selector = Selector::optional(spec.selector.as_ref());
    let mine: Vec<Arc<Pod>> =
        pods.within(&key.namespace).into_iter().filter(|pod| selector.matches(pod.metadata.labels.as_ref())).collect();
    if mine.is_empty() {
        plan.say(budget.as_ref(), Say::normal("NoPods", "No matching pods found"));
    }
    let status = match expectation(spec, &mine, scales) {
        Ok((expected, desired)) => assess(&budget, &mine, (expected, desired), now, &mut plan),
        Err(words) => {
            plan.say(
                budget.as_ref(),
                Say::warning(
                    "CalculateExpectedPodCountFailed",
                    format!("Failed to calculate the number of expected pods: {words}"),
                ),
            );
            let mut status = budget.status.clone().unwrap_or_default();
            status.disruptions_allowed = Some(0);
            status.observed_generation = budget.metadata.generation;
            set(&mut status, &budget, ("False", "SyncFailed", words), now);
            status
        }
    };
    if budget.status.as_ref() == Some(&status) {
        plan.events.retain(|event| event.say.reason != "NoPods");
    } else {
        let mut changed = budget.as_ref().clone();
        changed.status = Some(status);
        plan.finally(Action::update_status(changed));
    }
    plan
}

/// (expected pods, pods that must be healthy).
fn expectation(spec: &PodDisruptionBudgetSpec, mine: &[Arc<Pod>], scales: &dyn Scales) -> Result<(i32, i32), String> {
    let present = i32::try_from(mine.len()).unwrap_or(i32::MAX);
    let wished = || -> Result<i32, String> {
        let mut sizes: BTreeMap<String, i32> = BTreeMap::new();
        for pod in mine {
            if controller_of(&pod.metadata).is_none() {
                continue;
            }
            if let Some((uid, size)) = scales.expected(pod)? {
                sizes.insert(uid, size);
            }
        }
        Ok(sizes.values().sum())
    };
    let share = |value: &IntOrString, total: i32| {
        percent_or_count(value, total, Rounding::Up).ok_or_else(|| format!("invalid value for IntOrString: {value:?}"))
    };
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(max), _) => {
            let expected = wished()?;
            Ok((expected, (expected - share(max, expected)?).max(0)))
        }
        (None, Some(IntOrString::Int(min))) => Ok((present, *min)),
        (None, Some(min)) => {
            let expected = wished()?;
            Ok((expected, share(min, expected)?))
        }
        (None, None) => Ok((0, 0)),
    }
}

fn assess(
    budget: &PodDisruptionBudget,
    mine: &[Arc<Pod>],
    (expected, desired): (i32, i32),
    now: Timestamp,
    plan: &mut Plan,
) -> PodDisruptionBudgetStatus {
    let old = budget.status.clone().unwrap_or_default();
    let disrupted = still_disrupted(mine, old.disrupted_pods.unwrap_or_default(), now, plan);
    let names: BTreeSet<&str> = disrupted.keys().map(String::as_str).collect();
    let healthy = mine
        .iter()
        .filter(|pod| !meta::is_deleting(&pod.metadata) && is_ready(pod) && !names.contains(meta::name(&pod.metadata)));
    let healthy = i32::try_from(healthy.count()).unwrap_or(i32::MAX);
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let mut status = PodDisruptionBudgetStatus {
        conditions: old.conditions,
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected),
        observed_generation: budget.metadata.generation,
    };
    let words = if allowed > 0 {
        ("True", "SufficientPods", String::new())
    } else {
        ("False", "InsufficientPods", String::new())
    };
    set(&mut status, budget, words, now);
    status
}

/// Evictions that were allowed and have not come to pass: the pod stands, is not being deleted, and the time is not over.
fn still_disrupted(
    mine: &[Arc<Pod>],
    known: BTreeMap<String, Time>,
    now: Timestamp,
    plan: &mut Plan,
) -> BTreeMap<String, Time> {
    let mut left = BTreeMap::new();
    for (name, since) in known {
        let stands = mine.iter().any(|pod| meta::name(&pod.metadata) == name && !meta::is_deleting(&pod.metadata));
        let until = since.0.saturating_add(SignedDuration::from_secs(EVICTION_SECONDS_MAX)).unwrap_or(since.0);
        if stands && until > now {
            plan.look_again_at(until);
            left.insert(name, since);
        }
    }
    left
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn set(
    status: &mut PodDisruptionBudgetStatus,
    budget: &PodDisruptionBudget,
    words: (&str, &str, String),
    now: Timestamp,
) {
    let (value, reason, message) = words;
    let conditions = status.conditions.get_or_insert_default();
    let known = conditions.iter().position(|condition| condition.type_ == "DisruptionAllowed");
    let mut fresh = Condition {
        type_: "DisruptionAllowed".to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: meta::time(now),
        observed_generation: budget.metadata.generation,
    };
    match known {
        Some(place) => {
            if conditions[place].status == fresh.status {
                fresh.last_transition_time = conditions[place].last_transition_time.clone();
            }
            conditions[place] = fresh;
        }
        None => conditions.push(fresh),
    }
}

#[cfg(test)]
mod tests;
