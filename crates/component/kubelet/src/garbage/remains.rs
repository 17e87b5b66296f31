//! What pods left on the machine that are gone: folders, logs, links of logs, cgroups.
//!
//! A pod's worker takes its own things away. What is found here belongs to pods that went while no kubelet ran, and of
//! which the runtime knows nothing any more.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use podplan::resources;

use crate::shared::Shared;

/// Removes what belongs to no pod in `known` (uids). Who calls it lets no pod begin meanwhile.
pub(crate) async fn sweep(shared: &Shared, known: &BTreeSet<String>) {
    let config = &shared.config;
    for uid in names(&config.root.join("pods")).into_iter().filter(|uid| !known.contains(uid)) {
        tracing::info!(uid, "the folder of a pod that is gone is removed");
        told(&uid, shared.volumes.release(&uid).await);
    }
    for name in names(&config.pod_logs) {
        // `namespace_name_uid`: none of the three has an underscore.
        if let Some((_, uid)) = name.rsplit_once('_').filter(|(_, uid)| !known.contains(*uid)) {
            let folder = config.pod_logs.join(&name);
            told(uid, env::task::blocking(move || env::fs::remove_dir_all_if_exists(&folder)).await);
        }
    }
    for name in names(&config.container_logs) {
        let link = config.container_logs.join(&name);
        let leads_nowhere = link.is_symlink() && !link.exists();
        if leads_nowhere {
            told(&name, env::fs::remove_file_if_exists(&link));
        }
    }
    let (cgroups, known, root) = (shared.cgroups.clone(), known.clone(), config.cgroup_root.clone());
    let swept = env::task::blocking(move || {
        for tier in resources::tiers(&root) {
            for name in cgroups.children(&tier)? {
                let Some(uid) = name.strip_prefix("pod").filter(|uid| !known.contains(*uid)) else { continue };
                tracing::info!(uid, "the cgroup of a pod that is gone is removed");
                let path: Vec<String> = tier.iter().chain([&name]).cloned().collect();
                // What was just killed may take until the next sweep to go.
                told(uid, cgroups.end(&path).and_then(|()| cgroups.remove(&path)));
            }
        }
        Ok(())
    });
    told("cgroups", swept.await);
}

/// The names in a folder; none where there is no folder.
fn names(folder: &Path) -> Vec<String> {
    match env::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "a folder cannot be read");
            Vec::new()
        }
    }
}

fn told(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(what, %error, "what a pod left behind stays");
    }
}
