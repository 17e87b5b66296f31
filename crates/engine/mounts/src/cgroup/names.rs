//! How the two drivers name cgroups, and how the two versions weigh CPUs.

use std::path::PathBuf;

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Plain folders.
    Cgroupfs,
    /// Slices of systemd: each name repeats those above it.
    Systemd,
}

impl Driver {
    /// The folder of a cgroup below the root.
    pub fn path(self, names: &[String]) -> PathBuf {
        match self {
            Driver::Cgroupfs => names.iter().collect(),
            Driver::Systemd => (1..=names.len()).map(|depth| slice(&names[..depth])).collect(),
        }
    }

    /// What a runtime is told as a parent: a path, or the name of the slice.
    pub fn parent_text(self, names: &[String]) -> String {
        match self {
            Driver::Cgroupfs => format!("/{}", names.join("/")),
            Driver::Systemd => slice(names),
        }
    }

    /// The name of the cgroup below `names` whose folder is called `folder`; `None` of what this driver did not make.
    pub(super) fn child(self, names: &[String], folder: &str) -> Option<String> {
        if self == Driver::Cgroupfs {
            return Some(folder.to_owned());
        }
        let above = slice(names);
        let prefix = above.strip_suffix(".slice")?;
        let name = folder.strip_prefix(prefix)?.strip_prefix('-')?.strip_suffix(".slice")?;
        Some(name.replace('_', "-"))
    }
}

/// `["kubepods", "pod1-2"]` is `kubepods-pod1_2.slice`: a dash means a level, so those within names become underscores.
fn slice(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| name.replace('-', "_")).collect();
    format!("{}.slice", names.join("-"))
}

/// Version 1 shares (2 to 262144) as a version 2 weight (1 to 10000), by the line that kubelets draw (KEP-2254).
pub fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}
