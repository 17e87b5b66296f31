//! Mounting and unmounting.

use std::io;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};

/// How mounts spread between a container and the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    Private,
    /// Both ways.
    Shared,
    /// From the node into the container.
    Slave,
}

/// Makes `source` appear at `target`, which exists.
pub fn bind(source: &Path, target: &Path, read_only: bool) -> io::Result<()> {
    let none: Option<&str> = None;
    nix::mount::mount(Some(source), target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?;
    if read_only {
        // The kernel takes the flag of a bind mount only with a remount.
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        nix::mount::mount(Some(source), target, none, flags, none)?;
    }
    Ok(())
}

/// Mounts memory at `target`; `bytes_max` of `None` leaves the kernel's default (half of the machine's memory).
pub fn tmpfs(target: &Path, bytes_max: Option<u64>) -> io::Result<()> {
    let options = bytes_max.map_or_else(|| "mode=0777".to_owned(), |bytes| format!("mode=0777,size={bytes}"));
    nix::mount::mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_NODEV, Some(options.as_str()))?;
    Ok(())
}

/// Mounts huge pages of `page_bytes` at `target`.
pub fn huge_pages(target: &Path, page_bytes: u64) -> io::Result<()> {
    let options = format!("pagesize={page_bytes}");
    nix::mount::mount(Some("nodev"), target, Some("hugetlbfs"), MsFlags::empty(), Some(options.as_str()))?;
    Ok(())
}

/// Sets how mounts below `target` spread.
pub fn propagate(target: &Path, propagation: Propagation) -> io::Result<()> {
    let flag = match propagation {
        Propagation::Private => MsFlags::MS_PRIVATE,
        Propagation::Shared => MsFlags::MS_SHARED,
        Propagation::Slave => MsFlags::MS_SLAVE,
    };
    let none: Option<&str> = None;
    nix::mount::mount(none, target, none, flag | MsFlags::MS_REC, none)?;
    Ok(())
}

/// Unmounts `target`; that nothing is mounted there is fine.
pub fn unmount(target: &Path) -> io::Result<()> {
    match nix::mount::umount2(target, MntFlags::UMOUNT_NOFOLLOW) {
        Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        // Somebody still has a file open: it goes when they are done.
        Err(nix::Error::EBUSY) => Ok(nix::mount::umount2(target, MntFlags::MNT_DETACH)?),
        other => Ok(other?),
    }
}

/// Unmounts everything at and below `folder`, the innermost first.
pub fn unmount_below(folder: &Path) -> io::Result<()> {
    let below: Vec<PathBuf> =
        table()?.into_iter().map(|entry| entry.target).filter(|it| it.starts_with(folder)).collect();
    below.iter().rev().try_for_each(|target| unmount(target))
}

/// A line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is mounted.
    pub target: PathBuf,
    /// The path within the file system that is mounted.
    pub root: PathBuf,
    /// The kind of file system.
    pub kind: String,
    /// What is mounted: a device, `tmpfs`, ...
    pub source: String,
    /// Options of the mount and of the file system.
    pub options: Vec<String>,
    /// Whether mounts below it spread to its peers.
    pub shared: bool,
}

/// The mount table of this process, in the order of mounting.
pub fn table() -> io::Result<Vec<Entry>> {
    let text = env::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(text.lines().filter_map(parse).collect())
}

/// Reads a line of `mountinfo` (proc(5)).
pub(crate) fn parse(line: &str) -> Option<Entry> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, target, options) = (left.next()?, left.next()?, left.next()?);
    let shared = left.any(|field| field.starts_with("shared:"));
    let mut right = right.split(' ');
    let (kind, source, more) = (right.next()?, right.next()?, right.next().unwrap_or_default());
    let options = options.split(',').chain(more.split(',')).filter(|option| !option.is_empty());
    Some(Entry {
        target: unescaped(target).into(),
        root: unescaped(root).into(),
        kind: kind.to_owned(),
        source: unescaped(source),
        options: options.map(str::to_owned).collect(),
        shared,
    })
}

/// Blanks and the like stand as three octal digits after a backslash.
fn unescaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                result.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                result.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    result.push_str(rest);
    result
}
