//! Generic ephemeral volumes: a claim for each, owned by its pod.
//!
//! Rules: `kubernetes.io/docs/concepts/storage/ephemeral-volumes`.

use plan::{Action, Key, Plan, Say, Step, View, controller_reference, is_controlled_by, meta};
use typed::api::core::v1::{PersistentVolumeClaim, Pod};
use typed::meta::ObjectMeta;

/// Plans one pod. A claim of that name that belongs to somebody else is never taken: the pod waits and says why.
#[must_use]
pub fn plan(key: &Key, pods: &dyn View<Pod>, claims: &dyn View<PersistentVolumeClaim>) -> Plan {
    let mut plan = Plan::default();
    let Some(pod) = pods.get(&key.namespace, &key.name).filter(|pod| !meta::is_deleting(&pod.metadata)) else {
        return plan;
    };
    let mut steps = Vec::new();
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let template = volume.ephemeral.as_ref().and_then(|source| source.volume_claim_template.as_ref());
        let Some(template) = template else { continue };
        let name = format!("{}-{}", key.name, volume.name);
        if let Some(claim) = claims.get(&key.namespace, &name) {
            if !is_controlled_by(&claim.metadata, meta::uid(&pod.metadata)) {
                let words = format!("PVC {}/{name} was not created for pod {key} (pod is not owner)", key.namespace);
                plan.say(pod.as_ref(), Say::warning("EphemeralVolumeConflict", words));
            }
            continue;
        }
        let wanted = template.metadata.clone().unwrap_or_default();
        let metadata = ObjectMeta {
            name: Some(name),
            namespace: pod.metadata.namespace.clone(),
            labels: wanted.labels,
            annotations: wanted.annotations,
            owner_references: Some(vec![controller_reference(pod.as_ref())]),
            ..ObjectMeta::default()
        };
        steps.push(Step::of(Action::create(PersistentVolumeClaim {
            metadata,
            spec: Some(template.spec.clone()),
            status: None,
        })));
    }
    plan.then(steps);
    plan
}

#[cfg(test)]
mod tests;
