//! Paths inside volumes, which belong to whoever runs in the pod and may change under our hands.
//!
//! Every step is resolved by the kernel beneath the volume (`openat2` with `RESOLVE_BENEATH`); what was opened is then
//! mounted by its descriptor, so that nothing that is renamed or linked meanwhile leads elsewhere.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag};
use nix::sys::stat::Mode;

/// A path inside a volume, opened.
#[derive(Debug)]
pub struct Opened {
    descriptor: OwnedFd,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Opened {
    /// A path by which the kernel reaches exactly what was opened, whatever happened to its name.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()))
    }
}

/// Opens `path` inside `volume`; what does not exist is made as folders with the permission bits `mode`.
///
/// A path that leads out of the volume, by `..` or by links, is refused.
pub fn open(volume: &Path, path: &str, mode: u32) -> io::Result<Opened> {
    let names = names(path)?;
    let mut at = open_volume(volume)?;
    let (mut walked, count) = (PathBuf::new(), names.len());
    let root = at.try_clone()?;
    for (index, name) in names.iter().enumerate() {
        walked.push(name);
        // From the root each time: a relative link in the middle may lead sideways, though never out.
        at = match step(&root, &walked) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(&at, name, mode)?;
                step(&root, &walked)?
            }
            Err(error) if index + 1 < count && error.kind() == io::ErrorKind::NotADirectory => return Err(error),
            other => other?,
        };
    }
    let is_folder = nix::sys::stat::fstat(&at)?.st_mode & nix::libc::S_IFMT == nix::libc::S_IFDIR;
    Ok(Opened { descriptor: at, is_folder })
}

fn names(path: &str) -> io::Result<Vec<String>> {
    let refuse = || io::Error::new(io::ErrorKind::InvalidInput, format!("subPath {path:?} leads out of its volume"));
    Path::new(path)
        .components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| match component {
            Component::Normal(name) => Ok(name.to_string_lossy().into_owned()),
            _ => Err(refuse()),
        })
        .collect()
}

fn open_volume(volume: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open(volume, flags, Mode::empty())?)
}

fn step(root: &OwnedFd, walked: &Path) -> io::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    Ok(nix::fcntl::openat2(root, walked, how)?)
}

fn make(at: &OwnedFd, name: &str, mode: u32) -> io::Result<()> {
    match nix::sys::stat::mkdirat(at, name, Mode::from_bits_truncate(mode)) {
        Err(nix::Error::EEXIST) => Ok(()),
        other => Ok(other?),
    }
}
