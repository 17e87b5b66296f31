//! A cgroup per host, in every hierarchy this machine has: version 1, version 2 and both.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use env::time::Instant;

const MOUNT: &str = "/sys/fs/cgroup";
/// Version 2's place for processes that are beside the cgroups of others, as systemd's `init.scope` is.
const LEAF: &str = "init";
/// What version 1 wants to have set before a process can join.
const CPUSET: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
/// The kernel may take this long to let go of a cgroup whose last process has ended.
const REMOVAL_MS_MAX: u128 = 5_000;

/// A mounted hierarchy of cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    is_v2: bool,
    /// Below the mount; empty when it is the mount.
    folder: String,
    /// What it is mounted with: its controllers, or `none,name=systemd`.
    options: String,
}

impl Hierarchy {
    /// `type:folder:options`, as the start of a host reads it.
    pub(super) fn row(&self) -> String {
        let kind = if self.is_v2 { "cgroup2" } else { "cgroup" };
        format!("{kind}:{}:{}", self.folder, self.options)
    }

    fn path(&self) -> PathBuf {
        Path::new(MOUNT).join(&self.folder)
    }
}

/// Those of this machine.
pub(super) fn hierarchies() -> anyhow::Result<Vec<Hierarchy>> {
    let text = env::fs::read_to_string("/proc/self/mountinfo")?;
    let found = parse(&text);
    anyhow::ensure!(!found.is_empty(), "nothing is mounted below {MOUNT}");
    Ok(found)
}

/// Reads a `mountinfo` (proc(5)): its fields, a lone dash, type, source and the file system's options.
fn parse(text: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(target) = left.split(' ').nth(4) else { continue };
        let mut right = right.split(' ');
        let (kind, options) = (right.next().unwrap_or_default(), right.nth(1).unwrap_or_default());
        let Some(folder) = target.strip_prefix(MOUNT).map(|rest| rest.trim_start_matches('/')) else { continue };
        let options: Vec<&str> = options.split(',').filter(|word| is_controller(word)).collect();
        let row = match kind {
            "cgroup" => {
                let named = options.iter().any(|word| word.starts_with("name="));
                let options = if named { [&["none"], &options[..]].concat() } else { options };
                Hierarchy { is_v2: false, folder: folder.to_owned(), options: options.join(",") }
            }
            "cgroup2" => Hierarchy { is_v2: true, folder: folder.to_owned(), options: String::new() },
            _ => continue,
        };
        if !found.contains(&row) {
            found.push(row);
        }
    }
    found
}

fn is_controller(word: &str) -> bool {
    !["rw", "ro", "xattr", "clone_children", "nsdelegate", "memory_recursiveprot"].contains(&word)
        && !word.starts_with("release_agent=")
}

/// Makes the cgroup `name` in every hierarchy, ready to be joined.
pub(super) fn create(hierarchies: &[Hierarchy], name: &str) -> anyhow::Result<()> {
    for hierarchy in hierarchies {
        let (above, own) = (hierarchy.path(), hierarchy.path().join(name));
        env::fs::create_dir_all(&own).with_context(|| format!("cannot make {}", own.display()))?;
        for file in CPUSET.map(|file| (above.join(file), own.join(file))) {
            if !hierarchy.is_v2 && file.0.exists() {
                let text = env::fs::read(&file.0)?;
                env::fs::write_in_place(&file.1, &text)?;
            }
        }
        if hierarchy.is_v2 {
            delegate(&above)?;
            env::fs::create_dir_all(own.join(LEAF))?;
        }
    }
    Ok(())
}

/// Gives all controllers of a cgroup of version 2 to those below it.
fn delegate(above: &Path) -> anyhow::Result<()> {
    let controllers = env::fs::read_to_string(above.join("cgroup.controllers"))?;
    let given = env::fs::read_to_string(above.join("cgroup.subtree_control"))?;
    for controller in controllers.split_whitespace().filter(|one| !given.split_whitespace().any(|has| has == *one)) {
        env::fs::write_in_place(&above.join("cgroup.subtree_control"), format!("+{controller}").as_bytes())
            .with_context(|| format!("{controller} cannot be given to the cgroups below {}", above.display()))?;
    }
    Ok(())
}

/// All cgroups below those called `name`, by hierarchy.
pub(crate) fn below(name: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for hierarchy in hierarchies()? {
        let top = hierarchy.path().join(name);
        collect(&top, &mut |folder| {
            let path = folder.strip_prefix(&top).unwrap_or(folder);
            found.push(format!("{}: {}", hierarchy.folder, path.display()));
        });
    }
    Ok(found)
}

fn collect(folder: &Path, tell: &mut impl FnMut(&Path)) {
    for entry in env::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            tell(&entry.path());
            collect(&entry.path(), tell);
        }
    }
}

/// Removes the cgroups called `name` with all below them; that there are none is fine. Their processes have ended.
pub(crate) fn remove(name: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    for hierarchy in hierarchies()? {
        let top = hierarchy.path().join(name);
        while let Err(error) = remove_tree(&top) {
            if began.elapsed().as_millis() > REMOVAL_MS_MAX {
                return Err(error).with_context(|| format!("cannot remove {}", top.display()));
            }
            std::thread::yield_now();
        }
    }
    Ok(())
}

fn remove_tree(folder: &Path) -> std::io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    collect(folder, &mut |below| folders.push(below.to_owned()));
    for one in folders.iter().rev() {
        match env::fs::remove_dir(one) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
