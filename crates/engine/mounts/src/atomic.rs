//! Files that change all at once.
//!
//! A volume folder holds `..<time>.<chance>/` with the files, the link `..data` to it, and for each first component of a
//! path a link through `..data`. An update writes a new folder and renames a new `..data` over the old one. Programs
//! watch `..data` (KEP-less, but as old as Kubernetes 1.1), so the scheme is an interface.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

/// The link that everything goes through.
const DATA: &str = "..data";
const DATA_STAGED: &str = "..data_tmp";

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner; `None` leaves root.
    pub owner: Option<u32>,
}

/// Files by path relative to the volume.
pub type Payload = BTreeMap<String, File>;

/// Makes the volume at `folder` hold exactly `payload`; whether anything changed.
///
/// `prepare` sees the new folder before anybody else does, to set owners.
pub fn write(
    folder: &Path,
    payload: &Payload,
    now: jiff::Timestamp,
    prepare: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<bool> {
    payload.keys().try_for_each(|path| check(path))?;
    let data = folder.join(DATA);
    let old = match env::fs::read_link(&data) {
        Ok(target) => Some(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(old) = &old
        && holds(&folder.join(old), payload)?
    {
        link_all(folder, payload)?;
        return Ok(false);
    }
    let name = format!("..{}.{}", now.strftime("%Y_%m_%d_%H_%M_%S"), env::rand::u64() % 1_000_000_000);
    let fresh = folder.join(&name);
    let written = write_files(&fresh, payload).and_then(|()| prepare(&fresh));
    if let Err(error) = written {
        env::fs::remove_dir_all_if_exists(&fresh)?;
        return Err(error);
    }
    let staged = folder.join(DATA_STAGED);
    env::fs::remove_file_if_exists(&staged)?;
    env::fs::symlink(&name, &staged)?;
    env::fs::rename(&staged, &data)?;
    link_all(folder, payload)?;
    unlink_stale(folder, payload)?;
    if let Some(old) = old {
        env::fs::remove_dir_all_if_exists(&folder.join(old))?;
    }
    Ok(true)
}

/// Refuses paths that lead out of the volume or into its machinery.
fn check(path: &str) -> io::Result<()> {
    const PATH_BYTES_MAX: usize = 4096;
    const NAME_BYTES_MAX: usize = 255;
    let fine = Path::new(path).components().all(|component| match component {
        Component::Normal(name) => name.len() <= NAME_BYTES_MAX,
        _ => false,
    });
    if path.is_empty() || path.len() > PATH_BYTES_MAX || !fine || path.starts_with("..") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("invalid path in a volume: {path:?}")));
    }
    Ok(())
}

/// Whether the folder holds exactly these files.
fn holds(folder: &Path, payload: &Payload) -> io::Result<bool> {
    for (path, file) in payload {
        match env::fs::read(folder.join(path)) {
            Ok(bytes) if bytes == file.bytes => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    let mut found = BTreeSet::new();
    list(folder, "", &mut found)?;
    Ok(found.len() == payload.len())
}

fn list(folder: &Path, prefix: &str, into: &mut BTreeSet<String>) -> io::Result<()> {
    let entries = match env::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), into)?;
        } else {
            into.insert(name);
        }
    }
    Ok(())
}

fn write_files(folder: &Path, payload: &Payload) -> io::Result<()> {
    env::fs::create_dir_all(folder)?;
    env::fs::set_mode(folder, 0o755)?;
    for (path, file) in payload {
        let full = folder.join(path);
        if let Some(parent) = full.parent() {
            env::fs::create_dir_all(parent)?;
        }
        env::fs::write_atomic(&full, &file.bytes, file.mode)?;
        if let Some(owner) = file.owner {
            std::os::unix::fs::chown(&full, Some(owner), None)?;
        }
    }
    Ok(())
}

/// The first components of all paths.
fn tops(payload: &Payload) -> BTreeSet<&str> {
    payload.keys().filter_map(|path| path.split('/').next()).collect()
}

fn link_all(folder: &Path, payload: &Payload) -> io::Result<()> {
    for top in tops(payload) {
        let link = folder.join(top);
        match env::fs::symlink(Path::new(DATA).join(top), &link) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    Ok(())
}

fn unlink_stale(folder: &Path, payload: &Payload) -> io::Result<()> {
    let wanted = tops(payload);
    for entry in env::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !wanted.contains(&*name) {
            env::fs::remove_file_if_exists(&entry.path())?;
        }
    }
    Ok(())
}
