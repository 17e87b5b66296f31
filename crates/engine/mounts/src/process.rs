//! Noticing the end of a process that is not a child of this one.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use tokio::io::unix::AsyncFd;

/// A descriptor that becomes readable when the process `pid` ends (pidfd_open(2), Linux 5.3).
///
/// An error of kind `NotFound` says that it has ended already.
#[expect(unsafe_code, reason = "the system call has no safe wrapper among our dependencies")]
pub fn watch(pid: i32) -> io::Result<OwnedFd> {
    let flags = libc::c_uint::try_from(libc::O_NONBLOCK).expect("the flag is positive");
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) };
    if answer < 0 {
        let error = io::Error::last_os_error();
        let gone = error.raw_os_error() == Some(libc::ESRCH);
        return Err(if gone { io::Error::from(io::ErrorKind::NotFound) } else { error });
    }
    let descriptor = RawFd::try_from(answer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Waits until the process `pid` has ended. That it has ended already is fine.
///
/// Must be called inside a tokio runtime.
#[expect(unsafe_code, reason = "tokio has no safe constructor for descriptors of a type it does not know")]
pub async fn ended(pid: i32) -> io::Result<()> {
    let descriptor = match watch(pid) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    // SAFETY: the descriptor is owned by what is registered and closed only when that is dropped, after it was taken out
    // of the poll set; nobody else has it.
    let watched = unsafe { AsyncFd::register(descriptor) }.map_err(io::Error::from)?;
    let _ready = watched.readable().await?;
    Ok(())
}
