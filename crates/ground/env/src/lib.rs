//! The only door to the world: clock, randomness, tasks, files, processes and sockets.
//!
//! Everything that a run of Ferrokube could observe differently from one execution to the next is reached through
//! this crate. That is what lets the simulation own a whole cluster on one seed: it installs a [`world::World`] for
//! its thread, and every clock reading and random number below comes from there.
//!
//! What is deliberately not here: any policy (retries, back-off, limits), and any protocol.
//!
//! Invariants
//! - Wall-clock time is UTC and carries no monotonicity promise; durations are measured with [`time::Instant`].
//! - A spawned task always says what its death means ([`task::Fate`]).
//! - A file written with [`fs::write_atomic`] is either the old one or the new one after a crash, never a mixture.

pub mod fs;
pub mod net;
pub mod process;
pub mod rand;
pub mod task;
pub mod time;
pub mod world;
