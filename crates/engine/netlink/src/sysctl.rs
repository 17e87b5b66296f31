//! Kernel settings under `/proc/sys`. These are not files: a write is a call, so nothing is staged or renamed.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::PathBuf;

use crate::Error;

/// Sets `name` (`net/ipv4/ip_forward`) in the network namespace of the calling thread, unless it has the value already.
pub fn sysctl_write(name: &str, value: &str) -> Result<(), Error> {
    if sysctl_read(name).is_ok_and(|current| current == value) {
        return Ok(());
    }
    let write = || OpenOptions::new().write(true).open(path(name))?.write_all(value.as_bytes());
    write().map_err(|source| Error::Sysctl { name: name.to_owned(), source })
}

/// The value of `name`, without the newline.
pub fn sysctl_read(name: &str) -> Result<String, Error> {
    let read = || {
        let mut text = String::new();
        OpenOptions::new().read(true).open(path(name))?.read_to_string(&mut text)?;
        Ok(text.trim().to_owned())
    };
    read().map_err(|source| Error::Sysctl { name: name.to_owned(), source })
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys").join(name)
}
