//! `ferrokube down`: ends pods in order, then finds and removes whatever is still ours, then looks again.
//!
//! Invariants
//! - One failure keeps nothing else from being cleaned up; all are told at the end.
//! - Nothing that is not ours is touched: what is ours is known by our folders, our cgroup, our socket, our names.

mod traces;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use cri::Runtime;
use cri::v1::{ContainerFilter, PodSandboxFilter};
use env::time::Instant;
use futures::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::DownOptions;
use crate::place::Place;
use crate::progress::{print_line, step};
use crate::record::{Instance, Record};
use traces::Traces;

/// The running instance may take this long to finish requests and flush.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Containers may take this long to end when asked.
const GRACE: Duration = Duration::from_secs(10);
/// Pods that are ended at once.
const PODS_AT_ONCE: usize = 32;
/// The kernel may take this long to let go of what was killed.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Logs of pods and containers on a usual node.
const POD_LOGS: [&str; 2] = ["/var/log/pods", "/var/log/containers"];

/// Takes everything back.
pub(crate) async fn run(options: DownOptions) -> anyhow::Result<ExitCode> {
    let place = Place::of(&options.place);
    let record = Record::load(&place).unwrap_or_else(|error| {
        print_line(&format!("Going by what is found: {error:#}"));
        None
    });
    let mut failures = Failures::default();
    failures.keep(step("instance", stop_instance(&place)).await);
    let is_root = nix::unistd::geteuid().is_root();
    let is_node = record.as_ref().map_or(is_root && place.is_usual, |record| record.is_node);
    if is_node {
        take_node_back(&place, record.as_ref(), &mut failures).await;
    }
    failures.keep(step("folders", remove_run_dir(&place)).await);
    if options.purge {
        failures.keep(step("purge", purge(&place, record.as_ref())).await);
    }
    if !failures.0.is_empty() {
        bail!("not everything could be taken back: {}", failures.0.join("; "));
    }
    let rest = if options.purge { "The cluster is forgotten." } else { "`ferrokube up` resumes the cluster." };
    print_line(&format!("Down; nothing of it is left running. {rest}"));
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Default)]
struct Failures(Vec<String>);

impl Failures {
    fn keep(&mut self, result: anyhow::Result<()>) {
        self.0.extend(result.err().map(|error| format!("{error:#}")));
    }
}

async fn stop_instance(place: &Place) -> anyhow::Result<((), String)> {
    let Some(pid) = Instance::running(place)? else { return Ok(((), "none runs".to_owned())) };
    kill(Pid::from_raw(pid), Signal::SIGTERM).with_context(|| format!("cannot end process {pid}"))?;
    if env::time::timeout(INSTANCE_TIMEOUT, mounts::process::ended(pid)).await.is_err() {
        crate::containerd::end_process(pid).await?;
    }
    Ok(((), format!("process {pid} ended")))
}

/// Ends what a test started.
#[cfg(test)]
pub(crate) async fn take_node_back_quietly(place: &Place) -> anyhow::Result<()> {
    let mut failures = Failures::default();
    failures.keep(end_pods(&place.containerd_socket(), None).await.map(drop));
    failures.keep(crate::containerd::stop(&place.containerd_socket()).await);
    failures.keep(remove_traces(place, false).await.map(drop));
    if failures.0.is_empty() { Ok(()) } else { bail!("{}", failures.0.join("; ")) }
}

async fn take_node_back(place: &Place, record: Option<&Record>, failures: &mut Failures) {
    let foreign = record.and_then(|record| record.foreign_runtime.clone());
    let own = place.containerd_socket();
    failures.keep(
        step("pods", async {
            let owner = foreign.as_ref().map(|_| place.cgroup_root());
            Ok(((), end_pods(foreign.as_deref().unwrap_or(&own), owner.as_deref()).await?))
        })
        .await,
    );
    failures.keep(
        step("container runtime", async {
            crate::containerd::stop(&own).await?;
            Ok(((), if foreign.is_some() { "not ours, goes on" } else { "" }.to_owned()))
        })
        .await,
    );
    failures.keep(step("network", remove_network(foreign.is_some())).await);
    let knows_kubelet = record.is_some();
    failures.keep(step("traces", async { Ok(((), remove_traces(place, knows_kubelet).await?)) }).await);
}

/// Ends all pods of the runtime behind `socket`, or those below the cgroup `owner`; says how many.
async fn end_pods(socket: &Path, owner: Option<&str>) -> anyhow::Result<String> {
    if env::net::connect_unix(socket).await.is_err() {
        return Ok("no runtime runs".to_owned());
    }
    let runtime = cri::Remote::new(socket, cri::TimeLimits::default());
    let sandboxes = runtime.sandbox_list(PodSandboxFilter::default()).await?;
    let ours = sandboxes.into_iter().map(|sandbox| end_if_ours(&runtime, sandbox.id, owner));
    let results: Vec<_> = futures::stream::iter(ours).buffer_unordered(PODS_AT_ONCE).collect().await;
    let (mut ended, mut problems) = (0, Vec::new());
    for result in results {
        match result {
            Ok(was_ours) => ended += usize::from(was_ours),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if problems.is_empty() { Ok(format!("{ended} ended")) } else { bail!("{}", problems.join("; ")) }
}

async fn end_if_ours(runtime: &cri::Remote, id: String, owner: Option<&str>) -> anyhow::Result<bool> {
    if let Some(owner) = owner {
        let status = runtime.sandbox_status(id.clone(), true).await?;
        let info: serde_json::Value =
            status.info.get("info").map_or(Ok(serde_json::Value::Null), |text| serde_json::from_str(text))?;
        let parent = info["config"]["linux"]["cgroup_parent"].as_str().unwrap_or_default();
        if parent.trim_start_matches('/').split('/').next() != Some(owner) {
            return Ok(false);
        }
    }
    // What the instance asked for last may still be under way after its own end: a container that is just being started
    // can be neither stopped nor removed.
    let deadline = Instant::now() + REMOVAL_TIMEOUT;
    loop {
        match end_pod(runtime, &id).await {
            Err(cri::Failure::Refused { .. }) if Instant::now() < deadline => env::time::sleep(LOOK_INTERVAL).await,
            ended => return Ok(ended.map(|()| true)?),
        }
    }
}

async fn end_pod(runtime: &cri::Remote, id: &str) -> Result<(), cri::Failure> {
    let filter = ContainerFilter { pod_sandbox_id: id.to_owned(), ..ContainerFilter::default() };
    let containers = runtime.container_list(filter).await?;
    let stops = containers.into_iter().map(|container| runtime.container_stop(container.id, GRACE));
    for stopped in futures::future::join_all(stops).await {
        stopped?;
    }
    runtime.sandbox_stop(id.to_owned()).await?;
    runtime.sandbox_remove(id.to_owned()).await
}

async fn remove_network(runtime_is_foreign: bool) -> anyhow::Result<((), String)> {
    env::task::blocking(move || {
        proxy::Rules::remove_all().context("cannot remove the rules of Services")?;
        podnet::node::cleanup()?;
        if runtime_is_foreign {
            podnet::node::conflist_remove(Path::new("/etc/cni/net.d"))?;
            podnet::node::plugins_remove(Path::new("/opt/cni/bin"))?;
        }
        Ok(((), "links and rules removed".to_owned()))
    })
    .await
}

/// Removes what is found, and looks again until nothing is.
async fn remove_traces(place: &Place, knows_kubelet: bool) -> anyhow::Result<String> {
    let first = Traces::find(place, knows_kubelet)?;
    let deadline = Instant::now() + REMOVAL_TIMEOUT;
    let mut left = first.clone();
    while !left.is_empty() {
        let removed = left.remove(place);
        left = Traces::find(place, knows_kubelet)?;
        if Instant::now() > deadline {
            removed?;
            if !left.is_empty() {
                bail!("left behind: {left}");
            }
        }
        env::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(if first.is_empty() { "none left".to_owned() } else { format!("removed: {first}; none left") })
}

async fn remove_run_dir(place: &Place) -> anyhow::Result<((), String)> {
    let folder = place.run_dir.clone();
    remove_folder(&folder)?;
    Ok(((), format!("{} removed", folder.display())))
}

/// Removes a folder, but never what is mounted in it. One that is a disk of its own, as an administrator may have given
/// it, is emptied.
fn remove_folder(folder: &Path) -> anyhow::Result<()> {
    let table = mounts::mount::table()?;
    let (own, below): (Vec<_>, Vec<_>) =
        table.iter().filter(|entry| entry.target.starts_with(folder)).partition(|entry| entry.target == folder);
    if let Some(entry) = below.first() {
        bail!("{} stays: something is mounted at {}", folder.display(), entry.target.display());
    }
    let remove = if own.is_empty() { env::fs::remove_dir_all_if_exists } else { env::fs::empty_dir };
    remove(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

async fn purge(place: &Place, record: Option<&Record>) -> anyhow::Result<((), String)> {
    let mut folders: Vec<PathBuf> = vec![place.data_dir.clone()];
    if let Some(record) = record {
        let kubeconfig = record.kubeconfig.clone();
        crate::credentials::remove(&Place { kubeconfig, ..place.clone() })?;
        if record.is_node && place.is_usual {
            folders.push(place.kubelet_root());
            folders.push(Path::new(podnet::DATA_DIR).join("ferrokube"));
            folders.extend(POD_LOGS.map(PathBuf::from));
        }
    }
    for folder in &folders {
        remove_folder(folder)?;
    }
    Ok(((), "data, credentials and logs removed".to_owned()))
}
