//! What a node leaves in the kernel, found without any record.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::place::Place;

const CGROUP_MOUNT: &str = "/sys/fs/cgroup";
const SHIM: &str = "containerd-shim";
/// containerd's folder of bundles below its state, in its versions 1 and 2.
const BUNDLES: &str = "io.containerd.runtime.v2.task/k8s.io";

/// What is there and ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    /// Shims, and processes in our cgroup.
    pub(crate) processes: Vec<i32>,
    /// Mounts in our folders.
    pub(crate) mounts: Vec<PathBuf>,
    /// Our cgroup, in every hierarchy that has it.
    pub(crate) cgroups: Vec<PathBuf>,
    /// Links of the pod network.
    pub(crate) links: Vec<String>,
    /// Sockets of shims, outside our folders.
    pub(crate) sockets: Vec<PathBuf>,
}

impl Traces {
    /// Looks for everything. `with_kubelet` looks at the kubelet's folder too, which is ours only if a record says so.
    pub(crate) fn find(place: &Place, with_kubelet: bool) -> anyhow::Result<Traces> {
        let cgroups = cgroups(&place.cgroup_root());
        let mut processes = shims(&place.containerd_socket());
        for folder in &cgroups {
            collect_processes(folder, &mut processes);
        }
        processes.sort_unstable();
        processes.dedup();
        let mut folders = vec![place.run_dir.clone(), place.data_dir.clone()];
        folders.extend(with_kubelet.then(|| place.kubelet_root()));
        let mounted = mounts::mount::table()?.into_iter().map(|entry| entry.target);
        let mounts = mounted.filter(|target| folders.iter().any(|folder| below(target, folder))).collect();
        let links = if place.is_usual { links()? } else { Vec::new() };
        let sockets = shim_sockets(&place.containerd_state().join(BUNDLES));
        Ok(Traces { processes, mounts, cgroups, links, sockets })
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Traces::default()
    }

    /// Removes all of it, as far as the kernel lets go at once; the first failure is told, the rest is done anyway.
    pub(crate) fn remove(&self, place: &Place) -> anyhow::Result<()> {
        let mut first: anyhow::Result<()> = Ok(());
        let mut keep = |result: anyhow::Result<()>| {
            if first.is_ok() {
                first = result;
            }
        };
        for pid in &self.processes {
            match kill(Pid::from_raw(*pid), Signal::SIGKILL) {
                Ok(()) | Err(nix::Error::ESRCH) => {}
                Err(error) => keep(Err(error.into())),
            }
        }
        // The innermost first.
        for target in self.mounts.iter().rev() {
            keep(mounts::mount::unmount(target).map_err(Into::into));
        }
        for socket in &self.sockets {
            keep(env::fs::remove_file_if_exists(socket).map_err(Into::into));
        }
        keep(forget_bundles(&place.containerd_state().join(BUNDLES)));
        for folder in &self.cgroups {
            keep(remove_cgroup(folder).map_err(Into::into));
        }
        if !self.links.is_empty() {
            keep(podnet::node::cleanup().map_err(Into::into));
        }
        first
    }
}

impl fmt::Display for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        let kinds = [
            (self.processes.len(), "processes"),
            (self.mounts.len(), "mounts"),
            (self.cgroups.len(), "cgroups"),
            (self.links.len(), "links"),
            (self.sockets.len(), "sockets"),
        ];
        parts.extend(kinds.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
        f.write_str(&parts.join(", "))
    }
}

/// Whether `target` is inside `folder`. A folder that is itself a mount (a disk of its own) is the machine's business.
fn below(target: &Path, folder: &Path) -> bool {
    target != folder && target.starts_with(folder)
}

/// The shims that belong to the containerd behind `socket`: they name it among their arguments.
fn shims(socket: &Path) -> Vec<i32> {
    let entries = env::fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
        let arguments = env::fs::read(entry.path().join("cmdline")).ok()?;
        is_shim_of(&arguments, socket).then_some(pid)
    });
    processes.collect()
}

/// Reads a `/proc/PID/cmdline`.
fn is_shim_of(arguments: &[u8], socket: &Path) -> bool {
    let mut arguments = arguments.split(|byte| *byte == 0);
    let program = arguments.next().unwrap_or_default();
    let is_shim = String::from_utf8_lossy(program).rsplit('/').next().is_some_and(|name| name.starts_with(SHIM));
    is_shim && arguments.any(|argument| argument == socket.as_os_str().as_encoded_bytes())
}

/// The folders of the cgroup `name`: one with version 2, one per hierarchy with version 1, both on hybrid machines.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let mount = Path::new(CGROUP_MOUNT);
    let hierarchies = env::fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path());
    // A folder of its own, not a link to another hierarchy (`cpu` to `cpu,cpuacct`).
    let hierarchies = hierarchies.filter(|path| env::fs::symlink_metadata(path).is_ok_and(|it| it.is_dir()));
    let mut found: Vec<PathBuf> =
        hierarchies.chain([mount.to_owned()]).map(|path| path.join(name)).filter(|path| path.is_dir()).collect();
    found.sort_unstable();
    found
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = env::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

fn collect_processes(cgroup: &Path, into: &mut Vec<i32>) {
    let text = env::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    into.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
    for child in subfolders(cgroup) {
        collect_processes(&child, into);
    }
}

fn remove_cgroup(folder: &Path) -> std::io::Result<()> {
    for child in subfolders(folder) {
        remove_cgroup(&child)?;
    }
    match env::fs::remove_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The sockets that bundles name; a shim that was killed leaves its own behind.
fn shim_sockets(bundles: &Path) -> Vec<PathBuf> {
    let entries = env::fs::read_dir(bundles).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| env::fs::read_to_string(entry.path().join("address")).ok());
    let sockets = named.map(|address| PathBuf::from(address.trim().trim_start_matches("unix://")));
    let mut sockets: Vec<PathBuf> = sockets.filter(|path| path.exists()).collect();
    sockets.sort_unstable();
    sockets.dedup();
    sockets
}

fn forget_bundles(bundles: &Path) -> anyhow::Result<()> {
    let still_mounted = mounts::mount::table()?.iter().any(|entry| entry.target.starts_with(bundles));
    if still_mounted { Ok(()) } else { Ok(env::fs::remove_dir_all_if_exists(bundles)?) }
}

fn links() -> anyhow::Result<Vec<String>> {
    let links = netlink::Routing::open()?.links()?;
    let bridge = links.iter().find(|link| link.name == podnet::BRIDGE).map(|link| link.index);
    let ours = links.into_iter().filter(|link| {
        link.name == podnet::BRIDGE
            || link.name == podnet::peers::OVERLAY
            || (bridge.is_some() && link.master == bridge)
    });
    Ok(ours.map(|link| link.name).collect())
}

#[cfg(test)]
mod tests;
