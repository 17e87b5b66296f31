//! Addresses of pods: which are taken, and by whom.
//!
//! A reservation is a symbolic link named after the address, whose target names its owner and the boot in which it was
//! made. Making one is atomic and exclusive by itself, holds no half-written content after a crash, and a link of an
//! earlier boot is void, since no container outlives its kernel.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use netlink::route::Network;
use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::sys::stat::Mode;

use crate::config::{Attachment, nth};

/// How many addresses of a range are used at most.
const ADDRESSES_MAX: u64 = 1 << 16;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be used.
    #[error("cannot use the reservations in {path}")]
    Folder {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing is free.
    #[error("no address is free in {0}/{1}")]
    Exhausted(IpAddr, u8),
}

/// The reservations of one network, locked for this process.
#[derive(Debug)]
pub struct Reservations {
    folder: PathBuf,
    boot: String,
    _lock: Flock<OwnedFd>,
}

impl Reservations {
    /// Opens the reservations of `network` under `data_dir`, waiting for others who have them open.
    pub fn open(data_dir: &Path, network: &str) -> Result<Self, Error> {
        let folder = data_dir.join(network);
        let fault = |source| Error::Folder { path: folder.clone(), source };
        env::fs::create_dir_all(&folder).map_err(fault)?;
        let boot = env::fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).map_err(fault)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let lock = open(&folder, flags, Mode::empty()).map_err(|errno| fault(errno.into()))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| fault(errno.into()))?;
        Ok(Self { boot: boot.trim().to_owned(), _lock: lock, folder })
    }

    /// Reserves an address of `range` for `owner`: the next after the last one given out, so that an address rests
    /// before it is used again.
    pub fn reserve(&self, range: Network, owner: &Attachment) -> Result<IpAddr, Error> {
        let last_name = if range.address.is_ipv4() { "last-4" } else { "last-6" };
        let size = size(range);
        let last = self.target(last_name).and_then(|target| target.parse::<u64>().ok()).unwrap_or(1);
        for step in 1..=size {
            // 0 is the range itself, 1 the gateway.
            let index = 2 + (last.saturating_sub(2) + step) % size;
            let address = nth(range, index);
            if self.take(address, owner)? {
                self.replace(last_name, &index.to_string())?;
                return Ok(address);
            }
        }
        Err(Error::Exhausted(range.address, range.prefix))
    }

    /// The addresses of `owner`.
    pub fn of(&self, owner: &Attachment) -> Result<Vec<IpAddr>, Error> {
        let all = self.all()?;
        Ok(all.into_iter().filter(|(_, of)| of == owner).map(|(address, _)| address).collect())
    }

    /// All reservations of this boot.
    pub fn all(&self) -> Result<BTreeMap<IpAddr, Attachment>, Error> {
        let mut found = BTreeMap::new();
        for entry in env::fs::read_dir(&self.folder).map_err(|source| self.fault("", source))? {
            let name = entry.map_err(|source| self.fault("", source))?.file_name();
            let Some(address) = name.to_str().and_then(|name| name.parse::<IpAddr>().ok()) else { continue };
            if let Some(owner) = self.owner(address) {
                found.insert(address, owner);
            }
        }
        Ok(found)
    }

    /// Gives an address back; that it was free is fine.
    pub fn release(&self, address: IpAddr) -> Result<(), Error> {
        let name = address.to_string();
        env::fs::remove_file_if_exists(&self.folder.join(&name)).map_err(|source| self.fault(&name, source))
    }

    /// The folder, for what is kept beside the reservations.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn take(&self, address: IpAddr, owner: &Attachment) -> Result<bool, Error> {
        let name = address.to_string();
        let path = self.folder.join(&name);
        let target = format!("{}/{}/{}", self.boot, owner.container, owner.interface);
        match env::fs::symlink(&target, &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let void = self.owner(address).is_none();
                if void {
                    self.replace(&name, &target)?;
                }
                Ok(void)
            }
            Err(source) => Err(self.fault(&name, source)),
        }
    }

    /// `None` for free addresses and for reservations of an earlier boot.
    fn owner(&self, address: IpAddr) -> Option<Attachment> {
        let target = self.target(&address.to_string())?;
        let mut parts = target.splitn(3, '/');
        let (boot, container, interface) = (parts.next()?, parts.next()?, parts.next()?);
        (boot == self.boot).then(|| Attachment { container: container.to_owned(), interface: interface.to_owned() })
    }

    fn target(&self, name: &str) -> Option<String> {
        env::fs::read_link(self.folder.join(name)).ok()?.into_os_string().into_string().ok()
    }

    fn replace(&self, name: &str, target: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        let replace = || env::fs::remove_file_if_exists(&path).and_then(|()| env::fs::symlink(target, &path));
        replace().map_err(|source| self.fault(name, source))
    }

    fn fault(&self, name: &str, source: io::Error) -> Error {
        Error::Folder { path: self.folder.join(name), source }
    }
}

/// How many addresses of a range pods can have: not the range itself, the gateway, nor IPv4's broadcast.
fn size(range: Network) -> u64 {
    let (bits, unusable) = if range.address.is_ipv4() { (32, 3) } else { (128, 2) };
    let all = 1_u64.checked_shl(u32::from(bits - range.prefix)).unwrap_or(u64::MAX);
    (all - unusable).min(ADDRESSES_MAX)
}
