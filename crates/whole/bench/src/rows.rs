//! The workloads: a row each, one file per group.
//!
//! A row is data and a function that runs it against one system, started cold, and answers with a [`Sample`]. The same
//! function runs for every system. What it measures with the clock running it checks with the clock stopped; a failed
//! check voids the numbers.

mod api;
mod api_fanout;
mod chorus;
mod controllers;
pub(crate) mod field;
mod footprint;
pub(crate) mod node;
pub(crate) mod proxy;
mod scheduler;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use futures::future::BoxFuture;
use serde_json::Value;

use crate::stats::Better;
use crate::system::System;

/// What every row is told.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    /// A folder of our own on the disk that is measured.
    pub(crate) folder: PathBuf,
    /// Our executable.
    pub(crate) binary: PathBuf,
    /// No measured phase begins another operation after this long.
    pub(crate) time_max: Duration,
}

impl Bench {
    /// `usual`, unless less is allowed.
    pub(crate) fn at_most(&self, usual: Duration) -> Duration {
        usual.min(self.time_max)
    }
}

/// A measured value.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// The ratio to the reference below which the row is missed.
    pub(crate) gate: Option<f64>,
    pub(crate) value: f64,
    /// Processor time of the server per operation, in microseconds.
    pub(crate) cpu_us: Option<f64>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, better: Better, value: f64) -> Figure {
        Figure { name: name.into(), unit, better, gate: None, value, cpu_us: None }
    }

    /// A time in milliseconds.
    pub(crate) fn millis(name: impl Into<String>, value: Option<Duration>) -> Figure {
        Figure::new(name, "ms", Better::Lower, value.unwrap_or_default().as_secs_f64() * 1e3)
    }

    /// A rate per second.
    pub(crate) fn rate(name: impl Into<String>, value: f64) -> Figure {
        Figure::new(name, "/s", Better::Higher, value)
    }

    pub(crate) fn gate(self, gate: f64) -> Figure {
        Figure { gate: Some(gate), ..self }
    }

    /// Divides `cpu` among `operations`.
    pub(crate) fn cpu(self, cpu: Duration, operations: usize) -> Figure {
        let each = (operations > 0).then(|| cpu.as_secs_f64() * 1e6 / operations as f64);
        Figure { cpu_us: each, ..self }
    }
}

/// What one run of a row against one system brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) figures: Vec<Figure>,
    /// What was checked and holds.
    pub(crate) proven: Vec<String>,
    /// What was checked and does not; anything here voids the figures.
    pub(crate) broken: Vec<String>,
    /// Answers without what differs by nature, by name: they must equal the other system's.
    pub(crate) answers: Vec<(String, Value)>,
}

impl Sample {
    /// Notes whether `claim` holds; `detail` says what was seen instead.
    pub(crate) fn check(&mut self, claim: impl Into<String>, holds: bool, detail: impl FnOnce() -> String) {
        let claim = claim.into();
        if holds {
            self.proven.push(claim);
        } else {
            self.broken.push(format!("not so: {claim} ({})", detail()));
        }
    }
}

/// Runs a row against one system.
pub(crate) type Run = for<'a> fn(&'a dyn System, &'a Bench) -> BoxFuture<'a, Result<Sample>>;

/// A workload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// Whether it runs when no row is named.
    pub(crate) quick: bool,
    /// What we build for.
    pub(crate) goal: &'static str,
    /// `None` when it is not built.
    pub(crate) run: Option<Run>,
}

const fn row(id: &'static str, title: &'static str, goal: &'static str, run: Run) -> Row {
    Row { id, title, quick: true, goal, run: Some(run) }
}

/// All rows, in the order in which they run.
pub(crate) const ROWS: &[Row] = &[
    row("S1", "1 KiB durable put, 1 writer", "p50 <= 135 us, 2.5x", store::one_writer),
    row("S2", "1 KiB durable puts, 1,000 in flight", "400k/s at 2.5 us CPU, 12x", store::many_writers),
    row("A1", "POST pod, 1 client", "mean 0.22 ms, 8.5x", api::create_one_by_one),
    row("A2", "POST 10k pods, 100 clients, and 16", "25k/s at 40 us CPU, 17x", api::create_many),
    row("A4", "LIST 11k pods", "28/18/14/5 ms, 8x to 13x", api::list),
    row("A7", "1,000 watchers x 200 creates", "700k events/s at 1 us CPU, 15x", api_fanout::watchers),
    Row { quick: false, ..row("A8", "1,000 watchers, 100 writes/s by the clock", "p99 1 ms", api_fanout::latency) },
    row("A10", "POST Service with 10k present", "10k/s, 300x", api::create_services),
    row("C1", "SchedulingBasic 5,000 nodes, 10,000 pods, drained", "10k pods/s, 32x", scheduler::drain),
    row("K1", "Deployment 0 to 1,000", "80 ms, 13x", controllers::scale_up),
    row(
        "N1",
        "100 pods on one node, the image present, containerd and runc; with F5: from nothing",
        "4.5 s; 1.5 s",
        node::pods,
    ),
    row("P1", "10k Services x 2 endpoints, cold; with P2: one more", "0.12 s, 80x; 2 ms, 1,750x", proxy::services),
    row("F1", "empty cluster, idle", "24 MB, 0.1 % of a core, 2 wake-ups/s", footprint::idle),
    row("F3", "size of the programs", "20 MB, 24x", footprint::size),
    row("F4", "empty disk to first answer, to ready; restart", "40 ms, 60 ms, 40 ms", footprint::cold_start),
];

/// Rows that are measured within others: they need the same costly preparation.
const WITHIN: [(&str, &str); 2] = [("F5", "N1"), ("P2", "P1")];

/// The rows of these ids, or all of the quick set; an unknown id is the error.
pub(crate) fn choose(ids: &[String]) -> Result<Vec<&'static Row>, String> {
    let within = |id: &String| {
        let found = WITHIN.iter().find(|(inner, _)| inner.eq_ignore_ascii_case(id));
        found.map_or_else(|| id.clone(), |(_, outer)| (*outer).to_owned())
    };
    let ids: Vec<String> = ids.iter().map(within).collect();
    let known = |id: &String| ROWS.iter().any(|row| row.id.eq_ignore_ascii_case(id));
    if let Some(unknown) = ids.iter().find(|id| !known(id)) {
        return Err(format!("there is no row {unknown}; --list shows all"));
    }
    let wanted = |row: &&Row| {
        if ids.is_empty() { row.quick } else { ids.iter().any(|id| row.id.eq_ignore_ascii_case(id)) }
    };
    Ok(ROWS.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests;
