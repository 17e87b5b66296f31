//! Cgroups: the tree of pods, its limits and its readings, in both versions.
//!
//! A cgroup is named by its path from the root as names (`["kubepods", "burstable", "pod1"]`); how that becomes a
//! folder is the driver's matter ([`Driver::path`]).

mod names;
pub(crate) mod reading;

use std::io;
use std::path::{Path, PathBuf};

pub use names::{Driver, weight};
pub use reading::{Pressure, PressureKind, Usage};

/// Which interface the kernel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A tree for each controller.
    V1,
    /// One tree.
    V2,
}

/// Values of a cgroup; `None` leaves one alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// CPU weight in version 1 terms (1024 per core).
    pub cpu_shares: Option<u64>,
    /// CPU time per period in microseconds; `-1` for no limit.
    pub cpu_quota_micros: Option<i64>,
    /// The period in microseconds.
    pub cpu_period_micros: u64,
    /// Bytes of memory; `-1` for no limit.
    pub memory_bytes: Option<i64>,
    /// Processes and threads; `-1` for no limit.
    pub pids: Option<i64>,
    /// Bytes of huge pages by page size (`2MB`).
    pub huge_pages: Vec<(String, i64)>,
}

/// The cgroups of this machine.
#[derive(Debug, Clone)]
pub struct Cgroups {
    version: Version,
    driver: Driver,
    mount: PathBuf,
}

/// The controllers that a pod's cgroup is made in (version 1) or that are passed down to it (version 2).
const CONTROLLERS: [&str; 10] =
    ["cpu", "cpuacct", "cpuset", "memory", "pids", "hugetlb", "blkio", "devices", "freezer", "systemd"];

impl Cgroups {
    /// The cgroups mounted at `mount` (`/sys/fs/cgroup`), named by `driver`.
    pub fn at(mount: &Path, driver: Driver) -> Cgroups {
        // Only the root of a version 2 tree has this file.
        let version = if mount.join("cgroup.controllers").exists() { Version::V2 } else { Version::V1 };
        Cgroups { version, driver, mount: mount.to_path_buf() }
    }

    /// Which interface the kernel shows.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What the runtime is told as a sandbox's cgroup parent.
    pub fn parent_text(&self, path: &[String]) -> String {
        self.driver.parent_text(path)
    }

    /// Makes the cgroup, and those above it, in every controller there is.
    pub fn create(&self, path: &[String]) -> io::Result<()> {
        match self.version {
            Version::V1 => self.hierarchies().iter().try_for_each(|root| self.create_v1(root, path)),
            Version::V2 => self.create_v2(path),
        }
    }

    fn create_v1(&self, root: &Path, path: &[String]) -> io::Result<()> {
        for depth in 1..=path.len() {
            let folder = root.join(self.driver.path(&path[..depth]));
            env::fs::create_dir_all(&folder)?;
            // A cpuset without CPUs takes no process.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                inherit(&folder, file)?;
            }
        }
        Ok(())
    }

    fn create_v2(&self, path: &[String]) -> io::Result<()> {
        for depth in 1..=path.len() {
            let above = self.mount.join(self.driver.path(&path[..depth - 1]));
            let have = env::fs::read_to_string(above.join("cgroup.controllers"))?;
            for controller in have.split_whitespace().filter(|name| CONTROLLERS.contains(name) || *name == "io") {
                put(&above.join("cgroup.subtree_control"), &format!("+{controller}"))?;
            }
            env::fs::create_dir_all(self.mount.join(self.driver.path(&path[..depth])))?;
        }
        Ok(())
    }

    /// Kills every process in the cgroup and below it. They go some time later: [`Cgroups::remove`] fails until then.
    pub fn end(&self, path: &[String]) -> io::Result<()> {
        let folder = self.folder("memory", path);
        let at_once = folder.join("cgroup.kill");
        if at_once.exists() { put(&at_once, "1") } else { kill_tree(&folder) }
    }

    /// Removes the cgroup with everything below it. Processes in it must have ended.
    pub fn remove(&self, path: &[String]) -> io::Result<()> {
        self.folders(path).iter().try_for_each(|folder| remove_tree(folder))
    }

    /// Whether the cgroup is there.
    pub fn exists(&self, path: &[String]) -> bool {
        self.folders(path).iter().any(|folder| folder.is_dir())
    }

    /// Sets values. A controller that is not there cannot limit and is passed over.
    pub fn set(&self, path: &[String], values: &Values) -> io::Result<()> {
        let text = |value: i64| if value < 0 { "max".to_owned() } else { value.to_string() };
        let mut writes: Vec<(&str, String, String)> = Vec::new();
        match self.version {
            Version::V1 => {
                writes.extend(values.cpu_shares.map(|it| ("cpu", "cpu.shares".to_owned(), it.to_string())));
                if let Some(quota) = values.cpu_quota_micros {
                    writes.push(("cpu", "cpu.cfs_period_us".to_owned(), values.cpu_period_micros.to_string()));
                    writes.push(("cpu", "cpu.cfs_quota_us".to_owned(), quota.to_string()));
                }
                let memory =
                    values.memory_bytes.map(|it| ("memory", "memory.limit_in_bytes".to_owned(), it.to_string()));
                writes.extend(memory);
                let huge = values.huge_pages.iter();
                writes.extend(
                    huge.map(|(size, it)| ("hugetlb", format!("hugetlb.{size}.limit_in_bytes"), it.to_string())),
                );
            }
            Version::V2 => {
                writes.extend(values.cpu_shares.map(|it| ("cpu", "cpu.weight".to_owned(), weight(it).to_string())));
                if let Some(quota) = values.cpu_quota_micros {
                    let line = format!("{} {}", text(quota), values.cpu_period_micros);
                    writes.push(("cpu", "cpu.max".to_owned(), line));
                }
                writes.extend(values.memory_bytes.map(|it| ("memory", "memory.max".to_owned(), text(it))));
                let huge = values.huge_pages.iter();
                writes.extend(huge.map(|(size, it)| ("hugetlb", format!("hugetlb.{size}.max"), text(*it))));
            }
        }
        writes.extend(values.pids.map(|it| ("pids", "pids.max".to_owned(), text(it))));
        for (controller, file, value) in writes {
            let at = self.folder(controller, path).join(file);
            if at.exists() {
                put(&at, &value)?;
            }
        }
        Ok(())
    }

    /// The processes in the cgroup itself.
    pub fn processes(&self, path: &[String]) -> io::Result<Vec<i32>> {
        let text = match env::fs::read_to_string(self.folder("memory", path).join("cgroup.procs")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// The cgroups directly below, each as the name that would be last in its path.
    pub fn children(&self, path: &[String]) -> io::Result<Vec<String>> {
        let entries = match env::fs::read_dir(self.folder("memory", path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let folders = entries.flatten().filter(|entry| entry.path().is_dir());
        let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter_map(|name| self.driver.child(path, &name)).collect())
    }

    /// What the cgroup uses.
    pub fn usage(&self, path: &[String]) -> io::Result<Usage> {
        match self.version {
            Version::V1 => reading::v1(&|controller| self.folder(controller, path)),
            Version::V2 => reading::v2(&self.folder("", path)),
        }
    }

    fn folder(&self, controller: &str, path: &[String]) -> PathBuf {
        let below = self.driver.path(path);
        match self.version {
            Version::V1 => self.mount.join(controller).join(below),
            Version::V2 => self.mount.join(below),
        }
    }

    fn folders(&self, path: &[String]) -> Vec<PathBuf> {
        let below = self.driver.path(path);
        match self.version {
            Version::V1 => self.hierarchies().iter().map(|root| root.join(&below)).collect(),
            Version::V2 => vec![self.mount.join(below)],
        }
    }

    /// The controllers' trees. Two names may be one tree (`cpu,cpuacct`): then one of them is a link.
    fn hierarchies(&self) -> Vec<PathBuf> {
        CONTROLLERS.iter().map(|name| self.mount.join(name)).filter(|path| path.is_dir()).collect()
    }
}

/// Control files take a value in one write and are never replaced.
fn put(file: &Path, value: &str) -> io::Result<()> {
    env::fs::write_in_place(file, value.as_bytes())
        .map_err(|error| io::Error::new(error.kind(), format!("{} = {value}: {error}", file.display())))
}

fn kill_tree(folder: &Path) -> io::Result<()> {
    let text = match env::fs::read_to_string(folder.join("cgroup.procs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for pid in text.lines().filter_map(|line| line.parse().ok()) {
        match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL) {
            // It went by itself.
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for entry in env::fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_dir()) {
        kill_tree(&entry.path())?;
    }
    Ok(())
}

fn inherit(folder: &Path, file: &str) -> io::Result<()> {
    let own = folder.join(file);
    let Ok(text) = env::fs::read_to_string(&own) else { return Ok(()) };
    if !text.trim().is_empty() {
        return Ok(());
    }
    let above = folder.parent().map(|parent| parent.join(file));
    let value = above.and_then(|above| env::fs::read_to_string(above).ok()).unwrap_or_default();
    if value.trim().is_empty() { Ok(()) } else { put(&own, value.trim()) }
}

fn remove_tree(folder: &Path) -> io::Result<()> {
    let entries = match env::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match env::fs::remove_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
