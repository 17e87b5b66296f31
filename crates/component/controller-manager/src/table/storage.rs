//! Volumes: what is in use stays, and ephemeral claims come with their pods.

use informer::Informers;
use lifecycle::{ephemeral, protection};
use plan::{Key, controller_key, meta};
use typed::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};

use crate::controller::Controller;

pub(super) fn claim_protection(informers: &Informers) -> Controller {
    let (claims, pods) = (informers.of::<PersistentVolumeClaim>(), informers.of::<Pod>());
    let (own, by_pod) = (claims.clone(), pods.clone());
    Controller::new("persistentvolumeclaim-protection-controller", move |key, _moment| {
        protection::plan_claim(key, &*claims, &*pods)
    })
    .on_own(&own)
    .on(&by_pod, |changed| {
        // A claim may be let go when a pod that used it has ended or is gone.
        let ended = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let over = changed.new.as_deref().is_none_or(ended);
        changed.latest().filter(|_| over).map(|pod| claims_of(pod)).unwrap_or_default()
    })
}

fn claims_of(pod: &Pod) -> Vec<Key> {
    let namespace = meta::namespace(&pod.metadata);
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let names = volumes.filter_map(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some(source.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", meta::name(&pod.metadata), volume.name)),
        (None, None) => None,
    });
    names.map(|name| Key::new(namespace, &name)).collect()
}

pub(super) fn volume_protection(informers: &Informers) -> Controller {
    let volumes = informers.of::<PersistentVolume>();
    let own = volumes.clone();
    Controller::new("persistentvolume-protection-controller", move |key, _moment| {
        protection::plan_volume(key, &*volumes)
    })
    .on_own(&own)
}

pub(super) fn ephemeral_claims(informers: &Informers) -> Controller {
    let (claims, pods) = (informers.of::<PersistentVolumeClaim>(), informers.of::<Pod>());
    let (own, by_claim) = (pods.clone(), claims.clone());
    Controller::new("ephemeral-volume-controller", move |key, _moment| ephemeral::plan(key, &*pods, &*claims))
        .workers(5)
        .on(&own, |changed| {
            let pod = changed.new.as_ref().filter(|_| changed.old.is_none());
            let wants = |pod: &Pod| pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).any(|v| v.ephemeral.is_some());
            pod.filter(|pod| wants(pod)).map(|pod| Key::of(pod.as_ref()))
        })
        .on(&by_claim, |changed| {
            let gone = changed.old.as_ref().filter(|_| changed.new.is_none());
            gone.and_then(|claim| controller_key::<Pod>(&claim.metadata))
        })
}
