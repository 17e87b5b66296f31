//! The node's own object and its lease.
//!
//! Every 10 s the lease is renewed and the node looked at; the object is written when something changed, and every 5 min
//! regardless (`nodeStatusReportFrequency`). While the node is not ready it is looked at more often, at growing intervals:
//! what it waits for, such as its network, usually comes within a second of the start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mounts::filesystem::Space;
use podplan::eviction::{Reading, Signal};
use podplan::node::{self, Facts};
use typed::api::core::v1::{ContainerImage, NodeStatus, NodeSystemInfo};

use crate::api::ApiError;
use crate::events::Notice;
use crate::shared::Shared;

const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// The first interval of a node that is not ready; each is twice the one before.
const UNREADY_INTERVAL: Duration = Duration::from_millis(100);
const REPORT_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Reports for as long as the kubelet lives; without an API server there is nobody to report to.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut known: Option<(NodeStatus, env::time::Instant)> = None;
    let mut renewed: Option<env::time::Instant> = None;
    let mut interval = UNREADY_INTERVAL;
    shared.recorder.tell_node(Notice::normal("Starting", "Starting kubelet."));
    loop {
        if renewed.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL) {
            if let Err(ApiError::Standalone) = shared.api.lease(env::time::now()).await {
                return;
            }
            renewed = Some(env::time::Instant::now());
        }
        let facts = facts(&shared).await;
        let is_ready = facts.problems.is_empty();
        let before = known.as_ref().map(|(status, _)| status);
        let node = node::node(&facts, &shared.config.eviction_hard, before, env::time::now());
        let status = node.status.clone().unwrap_or_default();
        let due =
            known.as_ref().is_none_or(|(before, at)| at.elapsed() >= REPORT_INTERVAL || node::changed(before, &status));
        if due {
            match shared.api.node(node).await {
                Ok(()) => {
                    for reason in node::transitions(before, &status) {
                        let message = format!("Node {} status is now: {reason}", shared.config.node_name);
                        shared.recorder.tell_node(Notice::normal(reason, &message));
                    }
                    known = Some((status, env::time::Instant::now()));
                }
                Err(error) => tracing::warn!(%error, "the node's status was not written"),
            }
        }
        env::time::sleep(if is_ready { LOOK_INTERVAL } else { interval }).await;
        interval = if is_ready { UNREADY_INTERVAL } else { (interval * 2).min(LOOK_INTERVAL) };
    }
}

async fn facts(shared: &Arc<Shared>) -> Facts {
    let config = &shared.config;
    if let Err(problem) = shared.garbage.image_folder(shared).await {
        tracing::debug!(problem, "where images are is not known");
    }
    let measured = shared.clone();
    let (readings, storage_bytes) = env::task::blocking(move || readings(&measured)).await;
    let (problems, version) = problems(shared).await;
    Facts {
        name: config.node_name.clone(),
        host_name: config.node_name.clone(),
        ips: config.node_ips.clone(),
        labels: config.node_labels.clone(),
        taints: config.node_taints.clone(),
        cpus: shared.machine.cpus,
        memory_bytes: shared.machine.memory_bytes,
        storage_bytes,
        pods_max: config.pods_max,
        reserved: config.reserved.clone(),
        port: i32::from(config.port),
        system: system(shared, version),
        images: images(shared).await,
        problems,
        readings,
    }
}

/// What is left of what can run short, and the capacity of the file system that holds pods.
pub(crate) fn readings(shared: &Shared) -> (BTreeMap<Signal, Reading>, u64) {
    let mut readings = BTreeMap::new();
    if let Ok(memory) = mounts::machine::memory() {
        readings.insert(Signal::Memory, Reading { available: memory.available_bytes, capacity: memory.total_bytes });
    }
    if let Ok((running, most)) = mounts::machine::processes() {
        readings.insert(Signal::Pids, Reading { available: most.saturating_sub(running), capacity: most });
    }
    let space = mounts::filesystem::space(&shared.config.root).unwrap_or_default();
    read_space(&mut readings, space, [Signal::NodeBytes, Signal::NodeInodes]);
    if let Some(folder) = shared.garbage.known_image_folder() {
        let space = mounts::filesystem::space(folder).unwrap_or_default();
        read_space(&mut readings, space, [Signal::ImageBytes, Signal::ImageInodes]);
    }
    (readings, space.capacity_bytes)
}

fn read_space(readings: &mut BTreeMap<Signal, Reading>, space: Space, [bytes, inodes]: [Signal; 2]) {
    if space.capacity_bytes > 0 {
        readings.insert(bytes, Reading { available: space.available_bytes, capacity: space.capacity_bytes });
    }
    if space.inodes > 0 {
        readings.insert(inodes, Reading { available: space.inodes_free, capacity: space.inodes });
    }
}

/// Why the node is not ready, and the runtime's version.
async fn problems(shared: &Shared) -> (Vec<String>, String) {
    let status = match shared.runtime.status(false).await {
        Ok(status) => status.status.unwrap_or_default(),
        Err(failure) => return (vec![format!("container runtime is down: {failure}")], String::new()),
    };
    let failing = status.conditions.iter().filter(|condition| !condition.status).map(|condition| {
        let what = if condition.r#type == "NetworkReady" { "container runtime network" } else { "container runtime" };
        let (type_, reason, message) = (&condition.r#type, &condition.reason, &condition.message);
        format!("{what} not ready: {type_}=false reason:{reason} message:{message}")
    });
    let version = shared.runtime.version().await.map(|version| version.runtime_version).unwrap_or_default();
    (failing.collect(), version)
}

fn system(shared: &Shared, runtime_version: String) -> NodeSystemInfo {
    let machine = &shared.machine;
    NodeSystemInfo {
        architecture: machine.architecture.to_owned(),
        boot_id: machine.boot_id.clone(),
        container_runtime_version: format!("{}://{runtime_version}", shared.runtime_name),
        kernel_version: machine.kernel.clone(),
        kubelet_version: shared.config.version.clone(),
        machine_id: machine.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: machine.os_image.clone(),
        system_uuid: machine.system_uuid.clone(),
        ..Default::default()
    }
}

async fn images(shared: &Shared) -> Vec<ContainerImage> {
    let mut all = match shared.runtime.image_list().await {
        Ok(images) => images,
        Err(failure) => {
            tracing::warn!(%failure, "the runtime's images are not known");
            return Vec::new();
        }
    };
    all.sort_by(|left, right| right.size.cmp(&left.size).then_with(|| left.id.cmp(&right.id)));
    let image = |image: cri::v1::Image| ContainerImage {
        names: Some(image.repo_digests.into_iter().chain(image.repo_tags).collect()),
        size_bytes: i64::try_from(image.size).ok(),
    };
    all.into_iter().take(node::IMAGES_MAX).map(image).collect()
}
