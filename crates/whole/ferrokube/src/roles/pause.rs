//! The first process of a pod: holds its namespaces and buries its orphans.
//!
//! No runtime, no threads: it waits for signals and does nothing else.

use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Waits until it is asked to end.
pub(crate) fn run() -> ExitCode {
    let mut wanted = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM] {
        wanted.add(signal);
    }
    if let Err(error) = wanted.thread_block() {
        eprintln!("error: cannot wait for signals: {error}");
        return ExitCode::FAILURE;
    }
    loop {
        match wanted.wait() {
            Ok(Signal::SIGCHLD) => bury(),
            Ok(_) => return ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: cannot wait for signals: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
}

/// Takes the exit codes of all children that have ended; several may share one signal.
fn bury() {
    while let Ok(status) = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}
