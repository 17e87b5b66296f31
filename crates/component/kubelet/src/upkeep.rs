//! What a node does now and then: rotates logs, removes dead containers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cri::v1::{ContainerFilter, ContainerState};
use podplan::identity::label;
use typed::api::core::v1::Pod;

use crate::logs;
use crate::shared::Shared;

pub(crate) async fn run(shared: &Arc<Shared>) {
    let pods: BTreeMap<String, Pod> =
        shared.statuses.pods().into_iter().map(|pod| (pod.metadata.uid.clone().unwrap_or_default(), pod)).collect();
    rotate(shared, &pods).await;
    collect(shared, &pods).await;
}

/// Rotates the logs of running containers. The statuses on the board say which: no question to the runtime.
async fn rotate(shared: &Arc<Shared>, pods: &BTreeMap<String, Pod>) {
    let config = &shared.config;
    for pod in pods.values() {
        let Some(status) = &pod.status else { continue };
        let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
        for container in lists.into_iter().flatten().flatten() {
            let running = container.state.as_ref().is_some_and(|state| state.running.is_some());
            let id = container.container_id.as_deref().and_then(|id| id.split_once("://")).map(|(_, id)| id.to_owned());
            let (true, Some(id)) = (running, id) else { continue };
            let attempt = u32::try_from(container.restart_count).unwrap_or_default();
            let log: PathBuf = logs::file(config, pod, &container.name, attempt);
            let (bytes, files) = (config.log_bytes_max, config.log_files_max);
            let rotated = env::task::blocking(move || logs::rotate(&log, bytes, files, env::time::now())).await;
            match rotated {
                Ok(false) => {}
                Ok(true) => {
                    if let Err(failure) = shared.runtime.container_log_reopen(id).await {
                        tracing::warn!(container = container.name, %failure, "a rotated log was not opened anew");
                    }
                }
                Err(error) => tracing::warn!(container = container.name, %error, "a log was not rotated"),
            }
        }
    }
}

/// Removes dead containers that nobody asks about any more, in pods that restart often enough to have some.
async fn collect(shared: &Arc<Shared>, pods: &BTreeMap<String, Pod>) {
    let exited = cri::v1::ContainerStateValue { state: ContainerState::ContainerExited.into() };
    let filter = ContainerFilter { state: Some(exited), ..Default::default() };
    let restarting = pods.values().any(|pod| {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        statuses.into_iter().any(|status| status.restart_count > 1)
    });
    if !restarting {
        return;
    }
    let Ok(dead) = shared.runtime.container_list(filter).await else { return };
    let mut by_name: BTreeMap<(String, String), Vec<_>> = BTreeMap::new();
    for container in dead {
        let Some(uid) = container.labels.get(label::POD_UID).filter(|uid| pods.contains_key(*uid)) else { continue };
        let name = container.metadata.clone().unwrap_or_default().name;
        by_name.entry((uid.clone(), name)).or_default().push(container);
    }
    for ((uid, name), mut dead) in by_name {
        dead.sort_by_key(|container| std::cmp::Reverse(container.created_at));
        for container in dead.iter().skip(podplan::garbage::DEAD_PER_CONTAINER) {
            if let Err(failure) = shared.runtime.container_remove(container.id.clone()).await {
                tracing::warn!(id = container.id, %failure, "a dead container was not removed");
                continue;
            }
            let attempt = container.metadata.as_ref().map(|metadata| metadata.attempt).unwrap_or_default();
            let removed = logs::remove_link(&shared.config, &pods[&uid], &name, &container.id).and_then(|()| {
                env::fs::remove_file_if_exists(&logs::file(&shared.config, &pods[&uid], &name, attempt))
            });
            if let Err(error) = removed {
                tracing::warn!(id = container.id, %error, "a dead container's log stays behind");
            }
        }
    }
}
