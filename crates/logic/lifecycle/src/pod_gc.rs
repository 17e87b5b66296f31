//! Pods that nobody will look after again: too many ended ones, pods of nodes that are gone, pods that were deleted before
//! they were placed, pods on nodes that are out of service.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use plan::{Action, Guard, Kind, Plan, Propagation, Stage, Step, Target, View, meta};
use typed::api::core::v1::{Node, Pod, PodCondition};

/// Ended pods beyond this number are deleted, oldest first (flag `--terminated-pod-gc-threshold`).
pub const ENDED_PODS_MAX: usize = 12_500;

const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Plans all pods at once; wanted whenever a node goes, and every 20 s at most.
#[must_use]
pub fn plan(pods: &dyn View<Pod>, nodes: &dyn View<Node>, ended_max: usize, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let all = pods.all();
    let mut gone: BTreeSet<String> = BTreeSet::new();
    let (mut marks, mut deletions) = (Vec::new(), Vec::new());
    for pod in &all {
        let Some((why, guard)) = abandoned(pod, nodes) else { continue };
        gone.insert(meta::uid(&pod.metadata).to_owned());
        let marked = why.and_then(|why| mark(pod, why, now));
        // The mark changes the revision, not the identity: the delete names the uid alone.
        marks.extend(marked.map(|marked| with(Step::of(Action::update_status(marked)), guard.clone())));
        deletions.push(with(Step::of(force(pod)), guard));
    }
    let mut ended: Vec<&Arc<Pod>> =
        all.iter().filter(|pod| has_ended(pod) && !gone.contains(meta::uid(&pod.metadata))).collect();
    let surplus = if ended_max == 0 { 0 } else { ended.len().saturating_sub(ended_max) };
    let reason = |pod: &Pod| pod.status.as_ref().and_then(|status| status.reason.clone());
    ended.sort_by_key(|pod| {
        (reason(pod).as_deref() != Some("Evicted"), meta::created(&pod.metadata), meta::name(&pod.metadata).to_owned())
    });
    deletions.extend(ended.into_iter().take(surplus).map(|pod| Step::of(force(pod))));
    plan.then(marks);
    if !deletions.is_empty() {
        plan.stages.push(Stage { steps: deletions, always: true });
    }
    plan
}

fn with(mut step: Step, guard: Option<Guard>) -> Step {
    step.guards.extend(guard);
    step
}

fn force(pod: &Pod) -> Action {
    Action::Delete { target: Target::identity(pod), propagation: Propagation::Background, grace_seconds: Some(0) }
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending");
    !matches!(phase, "Pending" | "Running" | "Unknown")
}

type Why = Option<&'static str>;

/// Why a pod is beyond help: the words for its condition, and what must be true of its node.
fn abandoned(pod: &Pod, nodes: &dyn View<Node>) -> Option<(Why, Option<Guard>)> {
    let node_name = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).filter(|name| !name.is_empty());
    let deleting = meta::is_deleting(&pod.metadata);
    let Some(name) = node_name else { return deleting.then_some((None, None)) };
    match nodes.get("", name) {
        None => {
            let guard = Guard::Gone(Target::named(Node::RESOURCE, "", name));
            Some((Some("PodGC: node no longer exists"), Some(guard)))
        }
        Some(node) if deleting && is_out_of_service(&node) => Some((Some("PodGC: node is out of service"), None)),
        Some(_) => None,
    }
}

fn is_out_of_service(node: &Node) -> bool {
    let tainted =
        node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).any(|taint| taint.key == OUT_OF_SERVICE);
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    tainted && !ready
}

/// The pod as failed by disruption, if it has not ended.
fn mark(pod: &Pod, why: &str, now: Timestamp) -> Option<Pod> {
    if has_ended(pod) {
        return None;
    }
    let mut marked = pod.clone();
    let status = marked.status.get_or_insert_default();
    status.phase = Some("Failed".to_owned());
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "DisruptionTarget");
    conditions.push(PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("DeletionByPodGC".to_owned()),
        message: Some(why.to_owned()),
        last_transition_time: Some(meta::time(now)),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    });
    Some(marked)
}

#[cfg(test)]
mod tests;
