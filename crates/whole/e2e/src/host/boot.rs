//! How a host starts: its folders are laid out, then shells go from one namespace into the next.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use env::process::Child;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::cgroups;
use crate::program;

const BOOT: &str = include_str!("boot.sh");
const SCRIPT: &str = "boot.sh";
/// What the process that holds a host repeats as soon as it does.
const ROLL_CALL: &str = "ready";
const BOOT_LIMIT: Duration = Duration::from_secs(20);
/// Folders that begin empty on a host and lie on its own disk, not on the overlay: another overlay can be put together
/// there, nobody outside can take the ground from under their mounts, and how full the machine's disk is does not keep
/// pods away.
const OWN_FOLDERS: [&str; 13] = [
    "etc/cni",
    "etc/kubernetes",
    "opt/cni",
    "root",
    "tmp",
    "var/lib/cni",
    "var/lib/containerd",
    "var/lib/etcd",
    "var/lib/ferrokube",
    "var/lib/kubelet",
    "var/log/containers",
    "var/log/pods",
    "var/tmp",
];

/// Which machine it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan<'a> {
    /// Its folder on this machine, which may be that of an earlier run.
    pub(super) folder: &'a Path,
    /// Its cgroup.
    pub(super) cgroup: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// Its address.
    pub(super) address: &'a str,
    /// Whom it asks for everything else.
    pub(super) gateway: &'a str,
}

/// Starts a host; the answer is the process that holds it and its first process.
pub(super) async fn start(plan: &Plan<'_>) -> anyhow::Result<(Child, i32)> {
    lay_out(plan).await?;
    let Plan { folder, cgroup, name, .. } = *plan;
    let hierarchies = cgroups::hierarchies()?;
    cgroups::create(&hierarchies, cgroup)?;
    let table: Vec<String> = hierarchies.iter().map(cgroups::Hierarchy::row).collect();
    let log = folder.join("boot.log");
    let mut command = env::process::command("sh");
    command
        .arg(folder.join(SCRIPT))
        .args(["join", name])
        .env("FOLDER", folder)
        .env("CGROUP", cgroup)
        .env("HIERARCHIES", table.join(" "))
        .env("OWN_FOLDERS", OWN_FOLDERS.join(" "))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log)?);
    let mut holder = command.spawn().context("cannot run sh")?;
    let mut out = BufReader::new(holder.stdout.take().context("its output was asked for")?);
    let input = holder.stdin.as_mut().context("its input was asked for")?;
    input.write_all(format!("{ROLL_CALL}\n").as_bytes()).await?;
    let mut line = String::new();
    let read = env::time::timeout(BOOT_LIMIT, out.read_line(&mut line)).await;
    if line.trim() != ROLL_CALL {
        let said = env::fs::read_to_string(&log).unwrap_or_default();
        bail!("its first process says {:?} ({read:?}): {}", line.trim(), said.trim());
    }
    let parent = holder.id().context("it has ended")?;
    let pid = child_of(parent).context("it has no first process")?;
    env::fs::write_atomic(&folder.join("pid"), pid.to_string().as_bytes(), env::fs::PUBLIC)?;
    Ok((holder, pid))
}

/// Makes the folders and the files that say which machine it is; those of an earlier run stay.
async fn lay_out(plan: &Plan<'_>) -> anyhow::Result<()> {
    let Plan { folder, name, address, gateway, .. } = *plan;
    let upper = folder.join("upper");
    for made in ["disk", "upper", "work", "root"] {
        env::fs::create_dir_all(folder.join(made))?;
    }
    env::fs::write_atomic(&folder.join(SCRIPT), BOOT.as_bytes(), env::fs::PUBLIC)?;
    for own in OWN_FOLDERS {
        env::fs::create_dir_all(upper.join(own))?;
    }
    let files = [
        ("etc/hostname", format!("{name}\n")),
        ("etc/hosts", format!("127.0.0.1 localhost\n::1 localhost\n{address} {name}\n")),
        ("etc/resolv.conf", format!("nameserver {gateway}\n")),
        ("etc/machine-id", format!("{}\n", env::rand::uuid().replace('-', ""))),
    ];
    for (path, text) in files.into_iter().filter(|(path, _)| !upper.join(path).exists()) {
        env::fs::write_atomic(&upper.join(path), text.as_bytes(), env::fs::PUBLIC)?;
    }
    let programs = upper.join("usr/local/bin");
    env::fs::create_dir_all(&programs)?;
    let programs_here = [("ferrokube", Some(program::ferrokube().await?)), ("kubectl", program::kubectl()?)];
    for (name, path) in programs_here {
        let Some(path) = path else { continue };
        let target = programs.join(name);
        env::fs::copy(&path, &target).with_context(|| format!("cannot copy {}", path.display()))?;
        env::fs::set_mode(&target, 0o755)?;
    }
    Ok(())
}

/// The process whose parent is `parent`.
fn child_of(parent: u32) -> Option<i32> {
    let entries = env::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.into_iter().find(|pid| {
        let status = env::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        line.is_some_and(|text| text.trim() == parent.to_string())
    })
}
