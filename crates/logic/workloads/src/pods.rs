//! Facts about pods that every workload controller asks for.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use plan::{Kind, controller_reference, meta};
use typed::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use typed::meta::ObjectMeta;

/// The annotation by which users say which pods they would rather lose, lowest first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// When a pod counts as available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Not ready.
    Unready,
    /// Ready, and available at this moment if it stays so.
    From(Timestamp),
    /// Ready for long enough.
    Available,
}

/// The phase, `Pending` when nobody has said anything yet.
#[must_use]
pub fn phase(pod: &Pod) -> &str {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .filter(|phase| !phase.is_empty())
        .unwrap_or("Pending")
}

/// Whether it ended, well or badly.
#[must_use]
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether it has neither ended nor been asked to.
#[must_use]
pub fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !meta::is_deleting(&pod.metadata)
}

/// Whether it is on its way out but has not ended.
#[must_use]
pub fn is_terminating(pod: &Pod) -> bool {
    !is_terminal(pod) && meta::is_deleting(&pod.metadata)
}

/// A status condition by type.
#[must_use]
pub fn condition<'a>(pod: &'a Pod, wanted: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == wanted)
}

/// Whether the condition `Ready` is true.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Whether it is ready, and for at least `min_ready_seconds`.
#[must_use]
pub fn availability(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Availability {
    let Some(ready) = condition(pod, "Ready").filter(|ready| ready.status == "True") else {
        return Availability::Unready;
    };
    if min_ready_seconds <= 0 {
        return Availability::Available;
    }
    let Some(since) = &ready.last_transition_time else { return Availability::Unready };
    match since.0.checked_add(i64::from(min_ready_seconds).seconds()) {
        Ok(from) if from <= now => Availability::Available,
        Ok(from) => Availability::From(from),
        Err(_beyond_the_calendar) => Availability::Unready,
    }
}

/// The node it is bound to, if any.
#[must_use]
pub fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

/// A pod made from a template for an owner: labels, annotations, finalizers and spec of the template, a generated name, and
/// a controlling reference.
#[must_use]
pub fn from_template<K: Kind>(template: &PodTemplateSpec, owner: &K) -> Pod {
    let wanted = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            namespace: owner.meta().namespace.clone(),
            generate_name: Some(format!("{}-", meta::name(owner.meta()))),
            labels: wanted.labels,
            annotations: wanted.annotations,
            finalizers: wanted.finalizers,
            owner_references: Some(vec![controller_reference(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// Sorts so that the pods to lose first come first.
///
/// `siblings` counts, per node, the pods of the same family (all ReplicaSets of one Deployment): among equals the pod on the
/// most crowded node goes first. Ages are compared in powers of two, ties by uid, so that losses spread over failure domains
/// instead of always hitting the youngest.
pub fn rank_for_deletion(pods: &mut [Arc<Pod>], siblings: &BTreeMap<String, usize>, now: Timestamp) {
    let crowd = |pod: &Pod| node(pod).and_then(|node| siblings.get(node)).copied().unwrap_or_default();
    pods.sort_by(|a, b| {
        let by_state = (node(a).is_some(), phase_rank(a), is_ready(a), deletion_cost(a));
        by_state
            .cmp(&(node(b).is_some(), phase_rank(b), is_ready(b), deletion_cost(b)))
            .then_with(|| crowd(b).cmp(&crowd(a)))
            .then_with(|| by_age(a, ready_since(a), b, ready_since(b), now))
            .then_with(|| restarts(b).cmp(&restarts(a)))
            .then_with(|| by_age(a, meta::created(&a.metadata), b, meta::created(&b.metadata), now))
    });
}

fn phase_rank(pod: &Pod) -> u8 {
    match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    meta::annotation(&pod.metadata, DELETION_COST).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn ready_since(pod: &Pod) -> Timestamp {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True");
    ready.and_then(|ready| ready.last_transition_time.as_ref()).map_or(Timestamp::UNIX_EPOCH, |since| since.0)
}

fn by_age(a: &Pod, since_a: Timestamp, b: &Pod, since_b: Timestamp, now: Timestamp) -> Ordering {
    if since_a == since_b {
        return Ordering::Equal;
    }
    let bucket = |since: Timestamp| {
        u128::try_from(now.as_nanosecond() - since.as_nanosecond()).ok().and_then(u128::checked_ilog2)
    };
    bucket(since_a).cmp(&bucket(since_b)).then_with(|| meta::uid(&a.metadata).cmp(meta::uid(&b.metadata)))
}

fn restarts(pod: &Pod) -> i32 {
    let Some(status) = &pod.status else { return 0 };
    let containers = status.container_statuses.iter().flatten().map(|c| c.restart_count).max().unwrap_or_default();
    let sidecars = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let is_sidecar =
        |name: &str| sidecars.clone().any(|c| c.name == name && c.restart_policy.as_deref() == Some("Always"));
    let init = status.init_container_statuses.iter().flatten().filter(|c| is_sidecar(&c.name)).map(|c| c.restart_count);
    containers.max(init.max().unwrap_or_default())
}
