//! Files. The functions block; asynchronous callers wrap them in [`crate::task::blocking`].

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use std::fs::{
    DirEntry, File, Metadata, canonicalize, copy, create_dir_all, hard_link, metadata, read, read_dir, read_link,
    read_to_string, remove_dir, remove_dir_all, remove_file, rename, symlink_metadata,
};
pub use std::os::unix::fs::symlink;

/// Permission bits of a file only its owner may read and write: private keys, kubeconfigs, tokens.
pub const PRIVATE: u32 = 0o600;
/// Permission bits of a file everybody may read.
pub const PUBLIC: u32 = 0o644;
/// Where the file system of a disk keeps what it found again.
const LOST_AND_FOUND: &str = "lost+found";

/// Replaces `path` by `bytes` with the permission bits `mode`: after a crash either the old or the new file stands.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    let staging = staging_name(path);
    let written = write_synced(&staging, bytes, mode).and_then(|()| std::fs::rename(&staging, path));
    if let Err(error) = written {
        if let Err(cleanup) = std::fs::remove_file(&staging)
            && cleanup.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %staging.display(), %cleanup, "a staging file stays behind");
        }
        return Err(error);
    }
    File::open(parent)?.sync_all()
}

/// Opens `path` for reading and writing. A file that is missing is made with the permission bits `mode`, and its name is
/// durable when this returns.
pub fn open_or_create(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let file = options.create_new(true).mode(mode).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    Ok(file)
}

/// Writes `bytes` over what `path` holds, in one write: for the kernel's control files, and for a file that is mounted
/// elsewhere and must stay the same one. A crash may leave it cut short. The file must exist.
pub fn write_in_place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(bytes)
}

/// Sets the permission bits of `path`.
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Removes a file; that it is already gone is fine.
pub fn remove_file_if_exists(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a folder with everything in it; that it is already gone is fine.
pub fn remove_dir_all_if_exists(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes everything in a folder that stays, except what a file system keeps in its own root.
pub fn empty_dir(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() == LOST_AND_FOUND {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => remove_dir_all_if_exists(&entry.path())?,
            false => remove_file_if_exists(&entry.path())?,
        }
    }
    Ok(())
}

fn staging_name(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}", crate::rand::suffix(8)))
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The umask may have taken bits away that the caller asked for.
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}
