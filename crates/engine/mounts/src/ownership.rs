//! `fsGroup`: a volume belongs to a group that may read and, unless the volume is read only, write it.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// When to walk through a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Each time (`fsGroupChangePolicy: Always`).
    Always,
    /// Only when the root folder is not as it should be (`OnRootMismatch`).
    OnRootMismatch,
}

const SETGID: u32 = 0o2000;
const READ_WRITE: u32 = 0o660;
const READ_ONLY: u32 = 0o440;
const ENTER: u32 = 0o110;

/// Gives everything in `folder` to the group `gid`. Links are not followed.
pub fn set_group(folder: &Path, gid: u32, read_only: bool, change: Change) -> io::Result<()> {
    if change == Change::OnRootMismatch && matches(folder, gid, read_only)? {
        return Ok(());
    }
    walk(folder, gid, read_only)
}

fn matches(folder: &Path, gid: u32, read_only: bool) -> io::Result<bool> {
    let metadata = env::fs::symlink_metadata(folder)?;
    let wanted = if read_only { READ_ONLY } else { READ_WRITE } | ENTER | SETGID;
    Ok(metadata.gid() == gid && metadata.permissions().mode() & wanted == wanted)
}

fn walk(path: &Path, gid: u32, read_only: bool) -> io::Result<()> {
    let metadata = env::fs::symlink_metadata(path)?;
    let is_folder = metadata.is_dir();
    if is_folder {
        for entry in env::fs::read_dir(path)? {
            walk(&entry?.path(), gid, read_only)?;
        }
    }
    // The folder itself comes last: that it is as it should be says that everything below is.
    std::os::unix::fs::lchown(path, None, Some(gid))?;
    if metadata.file_type().is_symlink() {
        return Ok(());
    }
    let mut mode = metadata.permissions().mode() & 0o7777;
    mode |= if read_only { READ_ONLY } else { READ_WRITE };
    if is_folder {
        mode |= ENTER | SETGID;
    }
    env::fs::set_mode(path, mode)
}
