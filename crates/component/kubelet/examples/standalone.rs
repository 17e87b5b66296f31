//! A kubelet as a process of its own, without an API server: `standalone SOCKET FOLDER CGROUP`.
//!
//! Manifests are in `FOLDER/manifests`; state and logs go below `FOLDER`, cgroups below `CGROUP`.

use std::path::PathBuf;
use std::sync::Arc;

use cri::{Remote, TimeLimits};
use kubelet::{Config, Kubelet, Standalone};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), kubelet::StartError> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let (socket, folder, cgroup) = (PathBuf::from(next()), PathBuf::from(next()), next());
    let config = Config {
        node_ips: vec!["127.0.0.1".to_owned()],
        root: folder.join("kubelet"),
        pod_logs: folder.join("pods"),
        container_logs: folder.join("containers"),
        manifests: Some(folder.join("manifests")),
        cgroup_root: vec![cgroup],
        ..Config::new("node1")
    };
    let runtime = Arc::new(Remote::new(&socket, TimeLimits::default()));
    let kubelet = Kubelet::new(config, runtime, Arc::new(Standalone)).await?;
    kubelet.run(env::task::Shutdown::new()).await;
    Ok(())
}
