//! What a node does now and then: rotates logs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use typed::api::core::v1::Pod;

use crate::logs;
use crate::shared::Shared;

pub(crate) async fn run(shared: &Arc<Shared>) {
    let pods: BTreeMap<String, Pod> =
        shared.statuses.pods().into_iter().map(|pod| (pod.metadata.uid.clone().unwrap_or_default(), pod)).collect();
    rotate(shared, &pods).await;
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
