//! A few hosts on one switch, and the folder on a disk that holds what is theirs.
//!
//! Invariant: whoever holds the lock of a fixture's folder lives; what is found unlocked was left by the dead and goes.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statfs;

use crate::host::{Host, cgroups};
use crate::program;
use crate::switch::Switch;

const PREFIX_OF_ADDRESSES: &str = "10.77.0";
const FOLDER: &str = "/var/tmp/ferrokube-hosts";
/// Where the former is itself on an overlay, whose upper folder cannot be on another one.
const FOLDER_IN_MEMORY: &str = "/dev/shm/ferrokube-hosts";
const LOCK: &str = "lock";
/// Of the names of folders that are fixtures'; others are nobody's to remove.
const PREFIX: &str = "fixture-";

/// Hosts on a switch. Hosts keep it alive.
#[derive(Debug, Clone)]
pub struct Fixture {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) switch: Switch,
    pub(crate) folder: PathBuf,
    _lock: Flock<File>,
}

impl Fixture {
    /// A switch for the addresses 10.77.0.0/24, without hosts; `None`, with a printed line, for users who may not make
    /// namespaces. Root always may.
    pub async fn open() -> anyhow::Result<Option<Fixture>> {
        Fixture::on(PREFIX_OF_ADDRESSES).await
    }

    /// The same for the addresses `prefix`.0/24.
    pub async fn on(prefix: &str) -> anyhow::Result<Option<Fixture>> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: hosts are made of namespaces, mounts and cgroups, and that needs root");
            return Ok(None);
        }
        let base = base()?;
        let (folder, lock) = env::task::blocking(move || claim(&base)).await?;
        let switch = Switch::start(prefix).await?;
        Ok(Some(Fixture { inner: Arc::new(Inner { switch, folder, _lock: lock }) }))
    }

    /// Starts a host with the address of that number. One that was dropped has its disk again, as a machine that is
    /// switched off and on.
    pub async fn host(&self, name: &str, number: u8) -> anyhow::Result<Host> {
        Host::start(self.inner.clone(), name, number).await.with_context(|| format!("host {name} does not start"))
    }
}

impl Inner {
    /// The name of a host's cgroup.
    pub(crate) fn cgroup(&self, host: &str) -> String {
        cgroup_of(&self.folder, host)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.folder) {
            eprintln!("{} stays behind: {error:#}", self.folder.display());
        }
    }
}

/// The first process of the host called `name`, of any living fixture of this machine.
pub fn find(name: &str) -> anyhow::Result<i32> {
    for entry in env::fs::read_dir(base()?)?.flatten() {
        let Ok(text) = env::fs::read_to_string(entry.path().join(name).join("pid")) else { continue };
        let pid = text.trim();
        if Path::new("/proc").join(pid).exists() {
            return pid.parse().with_context(|| format!("{pid} is no process id"));
        }
    }
    anyhow::bail!("no host called {name} runs here")
}

fn base() -> anyhow::Result<PathBuf> {
    if let Some(folder) = program::variable("FERROKUBE_HOSTS_DIR") {
        return Ok(PathBuf::from(folder));
    }
    let above = Path::new(FOLDER).parent().context("it has a folder above it")?;
    let is_overlay = statfs::statfs(above)?.filesystem_type() == statfs::OVERLAYFS_SUPER_MAGIC;
    Ok(PathBuf::from(if is_overlay { FOLDER_IN_MEMORY } else { FOLDER }))
}

/// Makes a folder that is ours while we live, and removes those whose owners do not.
fn claim(base: &Path) -> anyhow::Result<(PathBuf, Flock<File>)> {
    env::fs::create_dir_all(base).with_context(|| format!("cannot make {}", base.display()))?;
    let all = Flock::lock(open(&base.join(LOCK))?, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    for entry in env::fs::read_dir(base)?.flatten() {
        let lock = entry.path().join(LOCK);
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if !lock.exists() || Flock::lock(open(&lock)?, FlockArg::LockExclusiveNonblock).is_ok() {
            remove(&entry.path())?;
        }
    }
    let folder = base.join(format!("{PREFIX}{}", env::rand::suffix(5)));
    env::fs::create_dir_all(&folder)?;
    let own = Flock::lock(open(&folder.join(LOCK))?, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error)?;
    drop(all);
    Ok((folder, own))
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    file.with_context(|| format!("cannot open {}", path.display()))
}

fn cgroup_of(folder: &Path, host: &str) -> String {
    let fixture = folder.file_name().unwrap_or_default().to_string_lossy();
    format!("{fixture}-{host}")
}

/// Removes a fixture's folder and its hosts' cgroups; their processes ended with their owner.
fn remove(folder: &Path) -> anyhow::Result<()> {
    for entry in env::fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_dir()) {
        cgroups::remove(&cgroup_of(folder, &entry.file_name().to_string_lossy()))?;
    }
    env::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}
