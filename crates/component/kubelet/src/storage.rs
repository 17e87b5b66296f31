//! The node's disk, as pods use it: measured, and held against what each may use.
//!
//! Only pods with a limit are measured. A round walks their volumes and logs, which takes as long as they have files; the
//! next one comes after [`crate::Config::upkeep_interval`], and never so soon that measuring takes more than
//! 1 / [`REST_TIMES`] of one processor.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cri::v1::ContainerStatsFilter;
use mounts::filesystem;
use podplan::storage::{self, ContainerUse, Usage};
use podplan::termination::EndingVerdict;
use tokio::sync::mpsc;
use typed::api::core::v1::{Pod, Volume};

use crate::logs;
use crate::node::is_over;
use crate::pressure;
use crate::shared::Shared;
use crate::volumes;

/// How many files of a volume or a log folder are looked at.
const INODES_MAX: u64 = 1_000_000;
/// How many times longer than it measured it rests.
const REST_TIMES: u32 = 20;

/// A pod that uses more than it may: its uid, the limit, and what its status will say.
pub(crate) type Verdict = (String, &'static str, EndingVerdict);

/// Bytes of containers' writable layers, by container's id.
pub(crate) type Layers = BTreeMap<String, u64>;

/// Measures for as long as the kubelet lives, and tells who uses more than it may.
pub(crate) async fn run(shared: Arc<Shared>, verdicts: mpsc::Sender<Verdict>) {
    let mut rest = shared.config.upkeep_interval;
    loop {
        env::time::sleep(rest).await;
        let began = env::time::Instant::now();
        let mut pods = shared.statuses.pods_that(storage::is_limited);
        pods.retain(|pod| !is_over(pod));
        if !pods.is_empty() {
            for verdict in judge(&shared, pods).await {
                if verdicts.send(verdict).await.is_err() {
                    return;
                }
            }
        }
        rest = shared.config.upkeep_interval.max(began.elapsed() * REST_TIMES);
    }
}

async fn judge(shared: &Arc<Shared>, pods: Vec<Pod>) -> Vec<Verdict> {
    let layers = layers(shared).await;
    let shared = shared.clone();
    env::task::blocking(move || {
        let apart = pressure::are_images_apart(&shared);
        let verdict = |pod: Pod| {
            let (limit, verdict) = storage::exceeds(&pod, &measure(&shared, &pod, &layers), apart)?;
            Some((pod.metadata.uid?, limit, verdict))
        };
        pods.into_iter().filter_map(verdict).collect()
    })
    .await
}

/// What containers wrote over their images, as the runtime measured it. Of what it does not tell nothing is known.
pub(crate) async fn layers(shared: &Shared) -> Layers {
    let stats = match shared.runtime.container_stats(ContainerStatsFilter::default()).await {
        Ok(stats) => stats,
        Err(failure) => {
            tracing::warn!(%failure, "what containers use of the disk is not known");
            return Layers::new();
        }
    };
    let layer = |stats: cri::v1::ContainerStats| Some((stats.attributes?.id, stats.writable_layer?.used_bytes?.value));
    stats.into_iter().filter_map(layer).collect()
}

/// What a pod uses. Walks folders: not for a task that others wait for.
pub(crate) fn measure(shared: &Shared, pod: &Pod, layers: &Layers) -> Usage {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let volumes = volumes.filter_map(|volume| Some((volume.name.clone(), volume_bytes(shared, pod, volume)?)));
    let mut usage = Usage { volumes: volumes.collect(), containers: BTreeMap::new() };
    let logs = logs::pod_folder(&shared.config, pod);
    for (_, container) in podplan::containers(pod) {
        let log_bytes = walked(shared, &logs.join(&container.name)).unwrap_or_default();
        usage.containers.insert(container.name.clone(), ContainerUse { layer_bytes: 0, log_bytes });
    }
    for (name, id) in container_ids(pod) {
        if let (Some(bytes), Some(known)) = (layers.get(&id), usage.containers.get_mut(&name)) {
            known.layer_bytes = *bytes;
        }
    }
    usage
}

/// The names of the pod's containers with the runtime's ids, as its status has them.
pub(crate) fn container_ids(pod: &Pod) -> Vec<(String, String)> {
    let status = pod.status.as_ref();
    let lists =
        status.map(|it| [&it.init_container_statuses, &it.container_statuses, &it.ephemeral_container_statuses]);
    let all = lists.into_iter().flatten().flatten().flatten();
    all.filter_map(|it| Some((it.name.clone(), it.container_id.as_deref()?.split_once("://")?.1.to_owned()))).collect()
}

/// The bytes of a volume that is on the node for this pod alone.
fn volume_bytes(shared: &Shared, pod: &Pod, volume: &Volume) -> Option<u64> {
    let folder = volumes::own_folder(&shared.config, pod, volume)?;
    let in_memory = volume.empty_dir.as_ref().is_some_and(|source| source.medium.as_deref() == Some("Memory"));
    if in_memory {
        // A file system of its own: it knows.
        let space = filesystem::space(&folder).ok()?;
        return Some(space.capacity_bytes.saturating_sub(space.available_bytes));
    }
    walked(shared, &folder)
}

/// The bytes of a folder. One that is not there has none; one that cannot be measured counts as nothing, and the log says so
/// once.
fn walked(shared: &Shared, folder: &Path) -> Option<u64> {
    let (bytes, problem) = match filesystem::usage(folder, INODES_MAX) {
        Ok(usage) => (Some(usage.bytes), None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let is_news = shared.unmeasured.is_news(&folder.to_string_lossy(), problem.as_deref());
    if let Some(error) = problem.filter(|_| is_news) {
        tracing::warn!(folder = %folder.display(), error, "what cannot be measured counts as nothing towards limits");
    }
    bytes
}
