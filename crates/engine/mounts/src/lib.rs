//! The kernel's side of a pod: mounts, volume folders, cgroups, file-system usage, facts about the machine.
//!
//! - [`mount`]: bind mounts, tmpfs, unmounting, the mount table.
//! - [`atomic`]: files of config maps, secrets and the like, replaced all at once by the `..data` link.
//! - [`ownership`]: gives a volume to the group `fsGroup`.
//! - [`subpath`]: opening a path inside a volume without ever leaving it.
//! - [`cgroup`]: creating, limiting, reading and removing cgroups, version 1 and 2, and how both drivers name them.
//! - [`filesystem`]: free space, and what a folder uses.
//! - [`machine`]: memory, CPUs, identities, kernel.
//! - [`process`]: noticing the end of a process that is not a child.
//!
//! What is deliberately not here: which volume a pod has, what a limit is derived from, when something is cleaned up.
//!
//! Everything blocks; asynchronous callers wrap calls in `env::task::blocking`.
//!
//! Invariants
//! - Whoever reads a volume of [`atomic`] sees all files of one state or all of another.
//! - No path of a container makes this crate touch a file outside of the volume.
//! - Removing what is already gone succeeds.

pub mod atomic;
pub mod cgroup;
pub mod filesystem;
pub mod fuzz;
pub mod machine;
pub mod mount;
pub mod ownership;
pub mod process;
pub mod subpath;

#[cfg(test)]
mod tests;
