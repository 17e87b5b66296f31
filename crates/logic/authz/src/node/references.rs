//! What pods and volumes refer to.

use typed::Kind;
use typed::api::core::v1::{
    EnvFromSource, EnvVar, PersistentVolume, Pod, PodResourceClaim, PodSpec, SecretReference, Volume,
};

use super::graph::{ObjectKey, Thing};

/// Everything in a pod's namespace that its kubelet must read for it.
pub(super) fn of_pod(pod: &Pod) -> Vec<ObjectKey> {
    let mut found = Vec::new();
    let Some(spec) = pod.spec.as_ref() else { return found };
    let mut add = |thing: Thing, name: &str| {
        let key = (thing, pod.namespace().into(), name.into());
        if !name.is_empty() && !found.contains(&key) {
            found.push(key);
        }
    };
    add(Thing::ServiceAccount, spec.service_account_name.as_deref().unwrap_or_default());
    for secret in spec.image_pull_secrets.iter().flatten() {
        add(Thing::Secret, &secret.name);
    }
    environment(spec, &mut add);
    for volume in spec.volumes.iter().flatten() {
        volume_sources(volume, &mut add);
        match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(claim), _) => add(Thing::Claim, &claim.claim_name),
            (None, Some(_)) => add(Thing::Claim, &format!("{}-{}", pod.name(), volume.name)),
            (None, None) => {}
        }
    }
    for claim in spec.resource_claims.iter().flatten() {
        add(Thing::ResourceClaim, claim_name(pod, claim).unwrap_or_default());
    }
    let extended = pod.status.as_ref().and_then(|status| status.extended_resource_claim_status.as_ref());
    add(Thing::ResourceClaim, extended.map(|status| status.resource_claim_name.as_str()).unwrap_or_default());
    found
}

fn environment(spec: &PodSpec, add: &mut dyn FnMut(Thing, &str)) {
    type Environment<'a> = (&'a Option<Vec<EnvVar>>, &'a Option<Vec<EnvFromSource>>);
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers).map(|one| (&one.env, &one.env_from));
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|one| (&one.env, &one.env_from));
    let all: Vec<Environment<'_>> = containers.chain(ephemeral).collect();
    for (variables, sources) in all {
        for source in variables.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            if let Some(key) = &source.secret_key_ref {
                add(Thing::Secret, &key.name);
            }
            if let Some(key) = &source.config_map_key_ref {
                add(Thing::ConfigMap, &key.name);
            }
        }
        for source in sources.iter().flatten() {
            if let Some(secret) = &source.secret_ref {
                add(Thing::Secret, &secret.name);
            }
            if let Some(config) = &source.config_map_ref {
                add(Thing::ConfigMap, &config.name);
            }
        }
    }
}

fn volume_sources(volume: &Volume, add: &mut dyn FnMut(Thing, &str)) {
    let references = [
        volume.cephfs.as_ref().and_then(|source| source.secret_ref.as_ref()),
        volume.cinder.as_ref().and_then(|source| source.secret_ref.as_ref()),
        volume.flex_volume.as_ref().and_then(|source| source.secret_ref.as_ref()),
        volume.rbd.as_ref().and_then(|source| source.secret_ref.as_ref()),
        volume.scale_io.as_ref().map(|source| &source.secret_ref),
        volume.iscsi.as_ref().and_then(|source| source.secret_ref.as_ref()),
        volume.storageos.as_ref().and_then(|source| source.secret_ref.as_ref()),
        volume.csi.as_ref().and_then(|source| source.node_publish_secret_ref.as_ref()),
    ];
    for reference in references.into_iter().flatten() {
        add(Thing::Secret, &reference.name);
    }
    if let Some(source) = &volume.azure_file {
        add(Thing::Secret, &source.secret_name);
    }
    if let Some(source) = &volume.secret {
        add(Thing::Secret, source.secret_name.as_deref().unwrap_or_default());
    }
    if let Some(source) = &volume.config_map {
        add(Thing::ConfigMap, &source.name);
    }
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
        if let Some(secret) = &source.secret {
            add(Thing::Secret, &secret.name);
        }
        if let Some(config) = &source.config_map {
            add(Thing::ConfigMap, &config.name);
        }
    }
}

/// The name of the claim behind a pod's claim; `None` while it has not been made.
fn claim_name<'a>(pod: &'a Pod, claim: &'a PodResourceClaim) -> Option<&'a str> {
    if let Some(name) = &claim.resource_claim_name {
        return Some(name);
    }
    let statuses = pod.status.as_ref()?.resource_claim_statuses.as_deref()?;
    statuses.iter().find(|status| status.name == claim.name)?.resource_claim_name.as_deref()
}

/// The secrets that a kubelet needs to mount a bound volume; those without a namespace are in the claim's.
pub(super) fn of_volume(volume: &PersistentVolume) -> Vec<ObjectKey> {
    let Some(spec) = volume.spec.as_ref() else { return Vec::new() };
    let claimed = spec.claim_ref.as_ref().and_then(|claim| claim.namespace.as_deref()).unwrap_or_default();
    let mut found: Vec<ObjectKey> = Vec::new();
    let mut add = |namespace: Option<&str>, name: &str| {
        let namespace = namespace.filter(|text| !text.is_empty()).unwrap_or(claimed);
        if !name.is_empty() {
            found.push((Thing::Secret, namespace.into(), name.into()));
        }
    };
    let csi = spec.csi.as_ref();
    let references: [Option<&SecretReference>; 9] = [
        spec.cephfs.as_ref().and_then(|source| source.secret_ref.as_ref()),
        spec.cinder.as_ref().and_then(|source| source.secret_ref.as_ref()),
        spec.flex_volume.as_ref().and_then(|source| source.secret_ref.as_ref()),
        spec.rbd.as_ref().and_then(|source| source.secret_ref.as_ref()),
        spec.scale_io.as_ref().map(|source| &source.secret_ref),
        spec.iscsi.as_ref().and_then(|source| source.secret_ref.as_ref()),
        csi.and_then(|source| source.node_publish_secret_ref.as_ref()),
        csi.and_then(|source| source.node_stage_secret_ref.as_ref()),
        csi.and_then(|source| source.node_expand_secret_ref.as_ref()),
    ];
    for reference in references.into_iter().flatten() {
        add(reference.namespace.as_deref(), reference.name.as_deref().unwrap_or_default());
    }
    if let Some(source) = &spec.azure_file {
        add(source.secret_namespace.as_deref(), &source.secret_name);
    }
    if let Some(reference) = spec.storageos.as_ref().and_then(|source| source.secret_ref.as_ref()) {
        add(reference.namespace.as_deref(), reference.name.as_deref().unwrap_or_default());
    }
    found
}
