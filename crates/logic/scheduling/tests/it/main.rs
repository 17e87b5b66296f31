//! The scheduler from outside: clusters in a few lines of text, and what comes of them.

mod cluster;
mod laws;
mod notation;
mod preemption;
mod queueing;
mod scores;
mod verdicts;
mod volumes;
