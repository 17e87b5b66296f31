//! Workload controllers as pure planners: what should be written so that pods follow Deployments, ReplicaSets, StatefulSets,
//! DaemonSets, Jobs and CronJobs.
//!
//! Every planner has the form `plan(key, world, now) -> Plan`, reads nothing but its world, and is level-triggered: it looks
//! at what is, never at what happened. It deliberately keeps no memory between calls: what must be remembered stands in the
//! API objects (conditions, annotations, `uncountedTerminatedPods`), and what a refused write says comes back as
//! [`plan::Refusal`].
//!
//! Invariants
//! - An empty world plans nothing: a key whose object is not in view causes no deletion.
//! - A plan writes each object at most once, so that the revision it names stays true while it is executed.
//! - Zero counts are left out of a status, as on the wire: a decoded status compares equal to a computed one.

pub mod cronjob;
pub mod daemon;
pub mod deployment;
pub mod history;
pub mod job;
pub mod pods;
pub mod replicas;
pub mod schedule;
pub mod stateful;
pub mod ttl;
pub mod wake;

/// A count as status fields carry it: zero is left out.
fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

#[cfg(test)]
mod samples;

#[cfg(test)]
mod storms;
