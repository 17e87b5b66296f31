//! Volumes: what is in use stays, and ephemeral claims come with their pods.

use lifecycle::{ephemeral, protection};
use plan::{Key, controller_key, meta};
use typed::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use typed::api::storage::v1::VolumeAttributesClass;
use workqueue::Controller;

use crate::controller::{Site, Wakes as _};

pub(super) fn claim_protection(site: &Site<'_>) -> Controller {
    let (claims, pods) = (site.informers.of::<PersistentVolumeClaim>(), site.informers.of::<Pod>());
    let (own, by_pod) = (claims.clone(), pods.clone());
    site.controller(move |key, _moment| protection::plan_claim(key, &*claims, &*pods)).on_own(&own).on(
        &by_pod,
        |changed| {
            // A claim may be let go when a pod that used it has ended or is gone.
            let ended = |pod: &Pod| {
                let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                matches!(phase, Some("Succeeded" | "Failed"))
            };
            let over = changed.new.as_deref().is_none_or(ended);
            changed.latest().filter(|_| over).map(|pod| claims_of(pod)).unwrap_or_default()
        },
    )
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

pub(super) fn volume_protection(site: &Site<'_>) -> Controller {
    let volumes = site.informers.of::<PersistentVolume>();
    let own = volumes.clone();
    site.controller(move |key, _moment| protection::plan_volume(key, &*volumes)).on_own(&own)
}

pub(super) fn attributes_protection(site: &Site<'_>) -> Controller {
    let classes = site.informers.of::<VolumeAttributesClass>();
    let (volumes, claims) = (site.informers.of::<PersistentVolume>(), site.informers.of::<PersistentVolumeClaim>());
    let (own, by_volume, by_claim) = (classes.clone(), volumes.clone(), claims.clone());
    site.controller(move |key, _moment| protection::plan_attributes(key, &*classes, &*volumes, &*claims))
        .on_own(&own)
        // A class may be let go when who had it has another one or is gone.
        .on(&by_volume, |changed| {
            let left = changed.old.as_deref().and_then(protection::attributes_of_volume);
            left.map(|class| Key::cluster(&class))
        })
        .on(&by_claim, |changed| {
            let left = changed.old.as_deref().map(protection::attributes_of_claim).unwrap_or_default();
            left.iter().map(|class| Key::cluster(class)).collect::<Vec<Key>>()
        })
}

pub(super) fn ephemeral_claims(site: &Site<'_>) -> Controller {
    let (claims, pods) = (site.informers.of::<PersistentVolumeClaim>(), site.informers.of::<Pod>());
    let (own, by_claim) = (pods.clone(), claims.clone());
    site.controller(move |key, _moment| ephemeral::plan(key, &*pods, &*claims))
        .workers(5)
        .on(&own, |changed| {
            let pod = changed.new.as_ref().filter(|_| changed.old.is_none());
            let wants = |pod: &Pod| {
                pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).any(|v| v.ephemeral.is_some())
            };
            pod.filter(|pod| wants(pod)).map(|pod| Key::of(pod.as_ref()))
        })
        .on(&by_claim, |changed| {
            let gone = changed.old.as_ref().filter(|_| changed.new.is_none());
            gone.and_then(|claim| controller_key::<Pod>(&claim.metadata))
        })
}
