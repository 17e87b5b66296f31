//! Pods leave nodes whose `NoExecute` taints they do not tolerate, at once or when their patience ends.
//!
//! Rules: `kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration`. Patience counts from the taint's `timeAdded`,
//! so a restart of the controller grants no second chance.

use jiff::{SignedDuration, Timestamp};
use plan::{Action, Key, Plan, Say, Stage, Step, View, meta, tolerates};
use typed::api::core::v1::{Node, Pod, PodCondition, Taint, Toleration};

/// Plans one pod.
#[must_use]
pub fn plan(key: &Key, pods: &dyn View<Pod>, nodes: &dyn View<Node>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(pod) = pods.get(&key.namespace, &key.name).filter(|pod| !meta::is_deleting(&pod.metadata)) else {
        return plan;
    };
    let Some(spec) = &pod.spec else { return plan };
    let Some(node) = spec.node_name.as_deref().and_then(|name| nodes.get("", name)) else { return plan };
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let deadlines = taints.filter(|taint| taint.effect == "NoExecute").filter_map(|taint| deadline(taint, tolerations));
    let Some(deadline) = deadlines.min() else { return plan };
    if deadline > now {
        plan.look_again_at(deadline);
        return plan;
    }
    let name = format!("{}/{}", key.namespace, key.name);
    plan.say(pod.as_ref(), Say::normal("TaintManagerEviction", format!("Marking for deletion Pod {name}")));
    plan.then_do(Action::update_status(mark(&pod, now)));
    plan.stages.push(Stage { steps: vec![Step::of(Action::delete(pod.as_ref()))], always: false });
    plan
}

/// When this taint drives the pod away; never if it is tolerated without limit.
fn deadline(taint: &Taint, tolerations: &[Toleration]) -> Option<Timestamp> {
    let matching: Vec<&Toleration> = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).collect();
    if matching.is_empty() {
        return Some(Timestamp::MIN);
    }
    let patience = matching.iter().filter_map(|toleration| toleration.toleration_seconds).min()?;
    let since = taint.time_added.as_ref().map_or(Timestamp::UNIX_EPOCH, |at| at.0);
    since.checked_add(SignedDuration::from_secs(patience.max(0))).ok()
}

fn mark(pod: &Pod, now: Timestamp) -> Pod {
    let mut marked = pod.clone();
    let conditions = marked.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "DisruptionTarget");
    conditions.push(PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("DeletionByTaintManager".to_owned()),
        message: Some("Taint manager: deleting due to NoExecute taint".to_owned()),
        last_transition_time: Some(meta::time(now)),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    });
    marked
}

#[cfg(test)]
mod tests;
