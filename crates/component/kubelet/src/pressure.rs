//! Node pressure: what runs short now, and which pod has to go for it.

use std::sync::Arc;

use object::Quantity;
use podplan::eviction::{self, Reading, Signal, Threshold, Usage};
use podplan::termination::EndingVerdict;
use typed::api::core::v1::Pod;

use crate::heartbeat;
use crate::shared::Shared;

/// How many inodes of a pod's folder are counted, when disk runs short.
const INODES_MAX: u64 = 1_000_000;

/// The first threshold that is crossed now.
pub(crate) async fn crossed(shared: &Arc<Shared>) -> Option<(Threshold, Reading)> {
    let root = shared.config.root.clone();
    let (readings, _) = env::task::blocking(move || heartbeat::readings(&root)).await;
    let now = env::time::now();
    shared.config.eviction_hard.iter().find_map(|threshold| {
        let reading = *readings.get(&threshold.signal)?;
        eviction::is_crossed(threshold, reading, None, now).then_some((*threshold, reading))
    })
}

/// Whether memory, disk, and process ids run short now.
pub(crate) fn now(shared: &Shared) -> [bool; 3] {
    let (readings, _) = heartbeat::readings(&shared.config.root);
    let now = env::time::now();
    let crossed = |threshold: &&Threshold| {
        readings.get(&threshold.signal).is_some_and(|it| eviction::is_crossed(threshold, *it, None, now))
    };
    let thresholds: Vec<&Threshold> = shared.config.eviction_hard.iter().filter(crossed).collect();
    ["MemoryPressure", "DiskPressure", "PIDPressure"]
        .map(|condition| thresholds.iter().any(|threshold| threshold.signal.condition() == condition))
}

/// The pod that goes first, and what its status will say.
pub(crate) async fn victim(
    shared: &Arc<Shared>,
    threshold: Threshold,
    reading: Reading,
    pods: Vec<Arc<Pod>>,
) -> Option<(Arc<Pod>, EndingVerdict)> {
    let measured = shared.clone();
    let ranked = env::task::blocking(move || {
        let used: Vec<u64> = pods.iter().map(|pod| used(&measured, threshold.signal, pod)).collect();
        let usages: Vec<Usage<'_>> = pods.iter().zip(used).map(|(pod, used)| Usage { pod, used }).collect();
        let first = eviction::rank(threshold.signal, &usages).first().map(|pod| pod.metadata.uid.clone())?;
        pods.iter().find(|pod| pod.metadata.uid == first).cloned()
    });
    let pod = ranked.await?;
    let amount = |amount: u64| {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        Quantity::whole(amount, object::quantity::Format::BinarySi).text().to_string()
    };
    let bound = amount(threshold.bound.amount(reading.capacity));
    let message = eviction::message(threshold.signal, &bound, &amount(reading.available));
    Some((pod, EndingVerdict { reason: "Evicted".to_owned(), message }))
}

/// What a pod uses of what runs short. What cannot be measured counts as nothing: it is then the request that ranks.
fn used(shared: &Shared, signal: Signal, pod: &Pod) -> u64 {
    match signal {
        Signal::Memory => {
            let usage = shared.cgroups.usage(&shared.config.pod_cgroup(pod)).unwrap_or_default();
            usage.working_set_bytes.unwrap_or_default()
        }
        Signal::Pids => {
            let usage = shared.cgroups.usage(&shared.config.pod_cgroup(pod)).unwrap_or_default();
            usage.pids.unwrap_or_default()
        }
        Signal::NodeBytes | Signal::ImageBytes | Signal::NodeInodes | Signal::ImageInodes => {
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            let folders = [shared.config.pod_folder(uid), crate::logs::pod_folder(&shared.config, pod)];
            let uses = folders.iter().filter_map(|folder| mounts::filesystem::usage(folder, INODES_MAX).ok());
            let inodes = matches!(signal, Signal::NodeInodes | Signal::ImageInodes);
            uses.map(|usage| if inodes { usage.inodes } else { usage.bytes }).sum()
        }
    }
}
