//! Node pressure: what runs short now, and which pod has to go for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mounts::filesystem;
use object::Quantity;
use podplan::eviction::{self, Reading, Signal, Threshold, Usage};
use podplan::termination::EndingVerdict;
use typed::api::core::v1::Pod;

use crate::heartbeat;
use crate::shared::Shared;
use crate::storage::{self, Layers, container_ids};

/// How many inodes of a pod's folder are counted, when disk runs short.
const INODES_MAX: u64 = 1_000_000;

/// The first threshold that is crossed now.
pub(crate) async fn crossed(shared: &Arc<Shared>) -> Option<(Threshold, Reading)> {
    let measured = shared.clone();
    let (readings, _) = env::task::blocking(move || heartbeat::readings(&measured)).await;
    let now = env::time::now();
    shared.config.eviction_hard.iter().find_map(|threshold| {
        let reading = *readings.get(&threshold.signal)?;
        eviction::is_crossed(threshold, reading, None, now).then_some((*threshold, reading))
    })
}

/// Whether memory, disk, and process ids run short now.
pub(crate) fn now(shared: &Shared) -> [bool; 3] {
    let (readings, _) = heartbeat::readings(shared);
    let now = env::time::now();
    let crossed = |threshold: &&Threshold| {
        readings.get(&threshold.signal).is_some_and(|it| eviction::is_crossed(threshold, *it, None, now))
    };
    let thresholds: Vec<&Threshold> = shared.config.eviction_hard.iter().filter(crossed).collect();
    ["MemoryPressure", "DiskPressure", "PIDPressure"]
        .map(|condition| thresholds.iter().any(|threshold| threshold.signal.condition() == condition))
}

/// Whether images have a disk of their own.
pub(crate) fn are_images_apart(shared: &Shared) -> bool {
    let Some(images) = shared.garbage.known_image_folder() else { return false };
    filesystem::is_same(images, &shared.config.root).is_ok_and(|same| !same)
}

/// The pod that goes first, and what its status will say.
pub(crate) async fn victim(
    shared: &Arc<Shared>,
    threshold: Threshold,
    reading: Reading,
    pods: Vec<Arc<Pod>>,
) -> Option<(Arc<Pod>, EndingVerdict)> {
    let layers = if threshold.signal.is_of_disk() { storage::layers(shared).await } else { Layers::new() };
    let measured = shared.clone();
    let ranked = env::task::blocking(move || {
        let used: Vec<u64> = pods.iter().map(|pod| used(&measured, threshold.signal, pod, &layers)).collect();
        let usages: Vec<Usage<'_>> = pods.iter().zip(used).map(|(pod, used)| Usage { pod, used }).collect();
        let first = eviction::rank(threshold.signal, &usages).first().map(|pod| pod.metadata.uid.clone())?;
        let pod = pods.iter().find(|pod| pod.metadata.uid == first).cloned()?;
        let containers = by_container(&measured, threshold.signal, &pod, &layers);
        Some((pod, containers))
    });
    let (pod, containers) = ranked.await?;
    let amount = |amount: u64| {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        Quantity::whole(amount, object::quantity::Format::BinarySi).text().to_string()
    };
    let bound = amount(threshold.bound.amount(reading.capacity));
    let mut message = eviction::message(threshold.signal, &bound, &amount(reading.available));
    message += &eviction::greedy(threshold.signal, &pod, &containers);
    Some((pod, EndingVerdict { reason: "Evicted".to_owned(), message }))
}

/// What a pod uses of what runs short. What cannot be measured counts as nothing: it is then the request that ranks.
fn used(shared: &Shared, signal: Signal, pod: &Pod, layers: &Layers) -> u64 {
    match signal {
        Signal::Memory => {
            let usage = shared.cgroups.usage(&shared.config.pod_cgroup(pod)).unwrap_or_default();
            usage.working_set_bytes.unwrap_or_default()
        }
        Signal::Pids => {
            let usage = shared.cgroups.usage(&shared.config.pod_cgroup(pod)).unwrap_or_default();
            usage.pids.unwrap_or_default()
        }
        Signal::NodeBytes | Signal::ImageBytes => {
            let apart = are_images_apart(shared);
            storage::measure(shared, &with_status(shared, pod), layers).bytes(pod, apart)
        }
        Signal::NodeInodes | Signal::ImageInodes => {
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            let folders = [shared.config.pod_folder(uid), crate::logs::pod_folder(&shared.config, pod)];
            folders.iter().filter_map(|folder| filesystem::usage(folder, INODES_MAX).ok()).map(|it| it.inodes).sum()
        }
    }
}

/// What each container of the pod uses of what runs short, where that is measured by container.
fn by_container(shared: &Shared, signal: Signal, pod: &Pod, layers: &Layers) -> BTreeMap<String, u64> {
    let pod = with_status(shared, pod);
    match signal {
        Signal::Memory => {
            let ids = container_ids(&pod);
            let used = |id: String| {
                let mut path = shared.config.pod_cgroup(&pod);
                path.push(id);
                shared.cgroups.usage(&path).ok()?.working_set_bytes
            };
            ids.into_iter().filter_map(|(name, id)| Some((name, used(id)?))).collect()
        }
        Signal::NodeBytes | Signal::ImageBytes => {
            let measured = storage::measure(shared, &pod, layers).containers;
            measured.into_iter().map(|(name, used)| (name, used.bytes(false))).collect()
        }
        Signal::NodeInodes | Signal::ImageInodes | Signal::Pids => BTreeMap::new(),
    }
}

/// The pod with what the board says of it.
fn with_status(shared: &Shared, pod: &Pod) -> Pod {
    let same = |other: &Pod| other.metadata.uid == pod.metadata.uid;
    shared.statuses.pods_that(same).pop().unwrap_or_else(|| pod.clone())
}
