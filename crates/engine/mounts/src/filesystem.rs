//! Space: what a file system has left, what a folder uses.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a file system has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub capacity_bytes: u64,
    /// Bytes that an ordinary user can still write.
    pub available_bytes: u64,
    /// Inodes in all.
    pub inodes: u64,
    /// Inodes left.
    pub inodes_free: u64,
}

/// The space of the file system that holds `path`.
pub fn space(path: &Path) -> io::Result<Space> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    let block = stat.fragment_size();
    Ok(Space {
        capacity_bytes: stat.blocks().saturating_mul(block),
        available_bytes: stat.blocks_available().saturating_mul(block),
        inodes: stat.files(),
        inodes_free: stat.files_free(),
    })
}

/// Whether two paths are on one file system.
pub fn is_same(left: &Path, right: &Path) -> io::Result<bool> {
    Ok(env::fs::metadata(left)?.dev() == env::fs::metadata(right)?.dev())
}

/// What a folder uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// Bytes on disk.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
    /// The walk ended at its bound; there is more.
    pub cut_off: bool,
}

/// Adds up what is in `folder`, on its file system alone, each inode once, looking at no more than `inodes_max`.
pub fn usage(folder: &Path, inodes_max: u64) -> io::Result<Use> {
    let root = env::fs::symlink_metadata(folder)?;
    let mut result = Use { bytes: root.blocks() * 512, inodes: 1, cut_off: false };
    let mut linked = HashSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match env::fs::read_dir(&folder) {
            // What went away during the walk uses nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries.flatten() {
            if result.inodes >= inodes_max {
                result.cut_off = true;
                return Ok(result);
            }
            let Ok(metadata) = env::fs::symlink_metadata(entry.path()) else { continue };
            if metadata.dev() != root.dev()
                || (metadata.nlink() > 1 && !metadata.is_dir() && !linked.insert(metadata.ino()))
            {
                continue;
            }
            result.bytes += metadata.blocks() * 512;
            result.inodes += 1;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(result)
}
