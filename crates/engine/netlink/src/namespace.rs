//! Network namespaces: opening, making, entering.
//!
//! A namespace belongs to a thread, and a socket belongs to the namespace it was opened in. So nothing here ever moves
//! the calling thread: work runs on a thread of its own that ends afterwards, and sockets opened there are used from
//! anywhere.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;

use crate::{Error, Routing};

/// An open network namespace.
#[derive(Debug)]
pub struct Namespace {
    file: OwnedFd,
    path: PathBuf,
}

impl Namespace {
    /// Opens the namespace whose file is `path` (`/run/netns/x`, `/proc/123/ns/net`).
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = open(path, flags, Mode::empty()).map_err(|errno| fault("open", path, errno.into()))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Makes a namespace and pins it at `path`, which must not exist.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let make = || -> io::Result<()> {
            open(path, OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC, Mode::S_IRUSR)?;
            on_own_thread(|| {
                nix::sched::unshare(CloneFlags::CLONE_NEWNET)?;
                let own = Path::new("/proc/thread-self/ns/net");
                nix::mount::mount(Some(own), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
                Ok(())
            })
        };
        make().map_err(|source| fault("make", path, source))?;
        Self::open(path)
    }

    /// Unpins the namespace at `path`; it ends with its last process. That there is none is fine.
    pub fn remove(path: &Path) -> Result<(), Error> {
        match nix::mount::umount2(path, MntFlags::MNT_DETACH) {
            Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
            Err(errno) => return Err(fault("unmount", path, errno.into())),
        }
        env::fs::remove_file_if_exists(path).map_err(|source| fault("remove", path, source))
    }

    /// Its file, for messages and for moving links into it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` inside the namespace, on a thread of its own.
    pub fn enter<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, Error> {
        on_own_thread(|| {
            nix::sched::setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        })
        .map_err(|source| fault("enter", &self.path, source))
    }

    /// A routing socket of the namespace, usable from outside it.
    pub fn routing(&self) -> Result<Routing, Error> {
        self.enter(Routing::open)?
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn on_own_thread<R: Send>(work: impl FnOnce() -> io::Result<R> + Send) -> io::Result<R> {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn fault(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Namespace { action, path: path.display().to_string(), source }
}
