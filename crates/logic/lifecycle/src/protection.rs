//! What volumes and their users need is not deleted: finalizers `kubernetes.io/pvc-protection`, `kubernetes.io/pv-protection`
//! and `kubernetes.io/vac-protection` (KEP-3751).

use plan::{Action, Key, Kind, Plan, View, meta};
use typed::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use typed::api::storage::v1::VolumeAttributesClass;

const CLAIM: &str = "kubernetes.io/pvc-protection";
const VOLUME: &str = "kubernetes.io/pv-protection";
const ATTRIBUTES: &str = "kubernetes.io/vac-protection";

/// Plans one claim: protected from its first day, released when it is being deleted and no pod uses it.
#[must_use]
pub fn plan_claim(key: &Key, claims: &dyn View<PersistentVolumeClaim>, pods: &dyn View<Pod>) -> Plan {
    let mut plan = Plan::default();
    let Some(claim) = claims.get(&key.namespace, &key.name) else { return plan };
    let protected = meta::has_finalizer(&claim.metadata, CLAIM);
    if !meta::is_deleting(&claim.metadata) {
        if !protected {
            plan.then_do(protect(claim.as_ref(), CLAIM));
        }
        return plan;
    }
    let in_use = pods.within(&key.namespace).iter().any(|pod| uses(pod, &claim));
    if protected && !in_use {
        plan.then_do(release(claim.as_ref(), CLAIM));
    }
    plan
}

/// Plans one volume: protected from its first day, released when it is being deleted and no longer bound.
#[must_use]
pub fn plan_volume(key: &Key, volumes: &dyn View<PersistentVolume>) -> Plan {
    let mut plan = Plan::default();
    let Some(volume) = volumes.get("", &key.name) else { return plan };
    let protected = meta::has_finalizer(&volume.metadata, VOLUME);
    let bound = volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
    match (meta::is_deleting(&volume.metadata), protected) {
        (false, false) => plan.then_do(protect(volume.as_ref(), VOLUME)),
        (true, true) if !bound => plan.then_do(release(volume.as_ref(), VOLUME)),
        _ => {}
    }
    plan
}

/// Plans one class of attributes: protected from its first day, released when it is being deleted and no volume has it and
/// no claim asks for it or has it.
#[must_use]
pub fn plan_attributes(
    key: &Key,
    classes: &dyn View<VolumeAttributesClass>,
    volumes: &dyn View<PersistentVolume>,
    claims: &dyn View<PersistentVolumeClaim>,
) -> Plan {
    let mut plan = Plan::default();
    let Some(class) = classes.get("", &key.name) else { return plan };
    let protected = meta::has_finalizer(&class.metadata, ATTRIBUTES);
    if !meta::is_deleting(&class.metadata) {
        if !protected {
            plan.then_do(protect(class.as_ref(), ATTRIBUTES));
        }
        return plan;
    }
    let is_it = |name: &String| *name == key.name;
    let in_use = || {
        volumes.all().iter().any(|volume| attributes_of_volume(volume).as_ref().is_some_and(is_it))
            || claims.all().iter().any(|claim| attributes_of_claim(claim).iter().any(is_it))
    };
    if protected && !in_use() {
        plan.then_do(release(class.as_ref(), ATTRIBUTES));
    }
    plan
}

/// The class of attributes that a volume has.
#[must_use]
pub fn attributes_of_volume(volume: &PersistentVolume) -> Option<String> {
    volume.spec.as_ref()?.volume_attributes_class_name.clone()
}

/// The classes of attributes that a claim asks for, has, and is on its way to.
#[must_use]
pub fn attributes_of_claim(claim: &PersistentVolumeClaim) -> Vec<String> {
    let asked = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.clone());
    let status = claim.status.as_ref();
    let has = status.and_then(|status| status.current_volume_attributes_class_name.clone());
    let towards = status.and_then(|status| status.modify_volume_status.as_ref());
    let target = towards.and_then(|change| change.target_volume_attributes_class_name.clone());
    [asked, has, target].into_iter().flatten().filter(|name| !name.is_empty()).collect()
}

/// Adds a finalizer. An update and no patch: that is what the roles of these controllers allow.
fn protect<K: Kind>(object: &K, finalizer: &str) -> Action {
    let mut changed = object.clone();
    changed.meta_mut().finalizers.get_or_insert_default().push(finalizer.to_owned());
    Action::update(changed)
}

/// Removes a finalizer.
fn release<K: Kind>(object: &K, finalizer: &str) -> Action {
    let mut changed = object.clone();
    let left = meta::finalizers_without(object.meta(), finalizer);
    changed.meta_mut().finalizers = Some(left).filter(|left| !left.is_empty());
    Action::update(changed)
}

/// A pod uses a claim as soon as it is placed, and until it is gone or has ended; a pod not placed yet cannot start with it.
fn uses(pod: &Pod, claim: &PersistentVolumeClaim) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let ended = matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"));
    if ended || spec.node_name.as_deref().unwrap_or_default().is_empty() {
        return false;
    }
    let name = meta::name(&claim.metadata);
    spec.volumes.iter().flatten().any(|volume| {
        let named = volume.persistent_volume_claim.as_ref().is_some_and(|source| source.claim_name == name);
        let ephemeral = volume.ephemeral.is_some()
            && format!("{}-{}", meta::name(&pod.metadata), volume.name) == name
            && plan::is_controlled_by(&claim.metadata, meta::uid(&pod.metadata));
        named || ephemeral
    })
}

#[cfg(test)]
mod tests;
