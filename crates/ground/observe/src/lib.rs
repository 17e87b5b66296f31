//! What a run says about itself: log lines, metrics, health, the pulse of its loops, version.
//!
//! Deliberately not here: HTTP (the texts are made here, components serve them), tracing exporters, and the audit log.
//!
//! Invariants
//! - Metrics are measured, never constants; names and buckets are upstream's, given by whoever measures.
//! - Reasons of failing checks go to the log, never to the asker, unless one check is asked for by name.

pub mod health;
pub mod logging;
pub mod metrics;
mod process;
pub mod pulse;
pub mod said;
pub mod version;

#[cfg(test)]
mod tests;

pub use version::version;
