//! Other programs, and facts about this one.

use std::ffi::OsStr;
use std::path::PathBuf;

pub use std::process::{ExitStatus, Output, Stdio};
pub use tokio::process::{Child, Command};

/// A command that ends with its handle: a dropped [`Child`] is killed, so that no stray process stays behind.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.kill_on_drop(true);
    command
}

/// A variable of the process environment; `None` when it is absent or not UTF-8.
#[expect(clippy::disallowed_methods, reason = "this is the door that the ban points to")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The path of the running executable.
pub fn executable() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// The name by which this program was called, without its folder.
pub fn called_as() -> String {
    let first = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    first.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
