//! Kernel settings under `/proc/sys`. These are not files: a write is a call, so nothing is staged or renamed.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::Error;

/// The longest value that is read.
const VALUE_BYTES_MAX: usize = 4_096;

/// Sets `name` (`net/ipv4/ip_forward`) in the network namespace of the calling thread, unless it has the value already.
pub fn sysctl_write(name: &str, value: &str) -> Result<(), Error> {
    if sysctl_read(name).is_ok_and(|current| current == value) {
        return Ok(());
    }
    let write = || nix::unistd::write(setting(name, OFlag::O_WRONLY)?, value.as_bytes());
    write().map(|_| ()).map_err(|errno| fault(name, errno))
}

/// The value of `name`, without the newline.
pub fn sysctl_read(name: &str) -> Result<String, Error> {
    let mut value = [0; VALUE_BYTES_MAX];
    let mut read = || nix::unistd::read(setting(name, OFlag::O_RDONLY)?, &mut value);
    let length = read().map_err(|errno| fault(name, errno))?;
    Ok(String::from_utf8_lossy(&value[..length]).trim().to_owned())
}

fn setting(name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
    open(&PathBuf::from("/proc/sys").join(name), flags | OFlag::O_CLOEXEC, Mode::empty())
}

fn fault(name: &str, errno: nix::Error) -> Error {
    Error::Sysctl { name: name.to_owned(), source: io::Error::from(errno) }
}
