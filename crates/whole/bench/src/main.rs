//! The measurements of the whole program: workloads against our executable and, in the same run, against the original.
//!
//! `cargo xtask bench [ROW...]`; with `REFERENCE_BIN=DIR` (kube-apiserver, kube-controller-manager, kube-scheduler,
//! kubelet, kube-proxy, etcd) both systems take turns, each started cold, only one alive at a time.
//!
//! - [`rows`] is the table of workloads; [`system`] is what they run against; [`load`] makes the load.
//! - [`calibrate`] looks at the machine before and after; [`report`] says what came of it.
//! - [`writer`] is this program again, as the process that writes to a store.
//!
//! Invariants
//! - A number whose check fails is void and never shown.
//! - Nothing outside of our own folder, ports and processes is touched.

#![expect(
    clippy::disallowed_methods,
    reason = "a load generator speaks plain JSON, as any client may, and decodes no kind"
)]

mod calibrate;
mod fakenodes;
mod load;
mod objects;
mod report;
mod rows;
mod stats;
mod system;
mod writer;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use serde_json::json;

use crate::calibrate::Calibration;
use crate::report::{Measured, Outcome, Pair};
use crate::rows::{Bench, Row};
use crate::system::System;
use crate::system::ours::Ours;
use crate::system::reference::Reference;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// The rows to run, by id; by default the quick set.
    rows: Vec<String>,
    /// Shows the rows and runs none.
    #[arg(long)]
    list: bool,
    /// How often each system is measured.
    #[arg(long, default_value_t = 5, value_name = "N")]
    pairs: u32,
    /// The most that one measured phase of a row takes.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS")]
    seconds_max: f64,
    /// Our executable.
    #[arg(long, default_value = "target/release/ferrokube", value_name = "FILE")]
    binary: PathBuf,
    /// The original's executables; by default what REFERENCE_BIN says.
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
    /// Where clusters live while they are measured, and results stay.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The process that writes to a store.
    #[command(hide = true)]
    StoreWriter(writer::Arguments),
    /// What measures pods from a machine of their own.
    #[command(hide = true)]
    NodeHost(rows::node::Arguments),
    /// What measures a proxy from within its network namespace.
    #[command(hide = true)]
    ProxyHost(rows::proxy::Arguments),
}

fn main() -> ExitCode {
    start(Arguments::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn start(arguments: Arguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.part {
        Some(Part::StoreWriter(arguments)) => runtime.block_on(writer::run(arguments)).map(|()| ExitCode::SUCCESS),
        Some(Part::NodeHost(arguments)) => {
            say(&runtime.block_on(rows::node::host(arguments))?)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Part::ProxyHost(arguments)) => {
            say(&runtime.block_on(rows::proxy::host(arguments))?)?;
            Ok(ExitCode::SUCCESS)
        }
        None if arguments.list => list(),
        None => runtime.block_on(async {
            tokio::select! {
                done = run(&arguments) => done,
                // What was started ends with its handles.
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            }
        }),
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn list() -> Result<ExitCode> {
    for row in rows::ROWS {
        let state = if row.run.is_some() { "" } else { " (not built)" };
        say(&format!("{:<4} {}; goal {}{state}", row.id, row.title, row.goal))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The systems to compare.
struct Systems {
    ours: Ours,
    reference: Option<Reference>,
}

impl Systems {
    fn of(arguments: &Arguments) -> Result<Systems> {
        let binary = env::fs::canonicalize(&arguments.binary)
            .with_context(|| format!("there is no {}; `make build` makes it", arguments.binary.display()))?;
        let given = arguments.reference.clone().or_else(|| env::process::variable("REFERENCE_BIN").map(PathBuf::from));
        let reference = given.map(Reference::new).transpose()?;
        Ok(Systems { ours: Ours { binary }, reference })
    }
}

async fn run(arguments: &Arguments) -> Result<ExitCode> {
    let chosen = rows::choose(&arguments.rows).map_err(anyhow::Error::msg)?;
    let systems = Systems::of(arguments)?;
    env::fs::create_dir_all(&arguments.folder)?;
    let results = env::fs::canonicalize(&arguments.folder)?;
    let folder = results.join(format!("run-{}", std::process::id()));
    env::fs::create_dir_all(&folder)?;
    let bench = Bench {
        folder: folder.clone(),
        binary: systems.ours.binary.clone(),
        time_max: Duration::from_secs_f64(arguments.seconds_max),
    };
    let start = Calibration::take(&folder)?;
    say(&format!("machine at the start: {}", start.line()))?;
    if systems.reference.is_none() {
        say("reference: not given (REFERENCE_BIN=DIR)")?;
    }
    let mut measured = Vec::new();
    for row in chosen {
        let done = Measured { row, pairs: pairs(row, &systems, &bench, arguments.pairs).await? };
        say("")?;
        for line in done.lines(systems.reference.is_some()) {
            say(&line)?;
        }
        say("")?;
        measured.push(done);
    }
    let end = Calibration::take(&folder)?;
    env::fs::remove_dir_all_if_exists(&folder)?;
    finish(&results, &measured, (&start, &end))
}

/// Runs a row A B A B.
async fn pairs(row: &'static Row, systems: &Systems, bench: &Bench, count: u32) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let Some(run) = row.run else { return Ok(pairs) };
    for number in 1..=count {
        let ours = once(row, run(&systems.ours, bench), (number, "ours")).await?;
        let reference = match &systems.reference {
            Some(reference) => Some(once(row, run(reference, bench), (number, reference.name())).await?),
            None => None,
        };
        pairs.push(Pair { ours, reference });
    }
    Ok(pairs)
}

async fn once(
    row: &Row,
    work: impl Future<Output = Result<rows::Sample>>,
    (number, name): (u32, &str),
) -> Result<Outcome> {
    let outcome = work.await.map_err(|error| format!("{error:#}"));
    say(&format!("{:<4} {number} {name:<9} {}", row.id, report::brief(&outcome)))?;
    Ok(outcome)
}

fn finish(results: &Path, measured: &[Measured], (start, end): (&Calibration, &Calibration)) -> Result<ExitCode> {
    let doubts = start.doubts(end);
    say(&format!("machine at the end:   {}", end.line()))?;
    if let Some(mean) = report::geometric_mean(measured) {
        say(&format!("geometric mean of the gated ratios: {}x", report::digits(mean)))?;
    }
    if !doubts.is_empty() {
        say(&format!("NOT COMPARABLE: {}", doubts.join("; ")))?;
    }
    let document = json!({
        "machine": {"start": start.json(), "end": end.json(), "doubts": doubts},
        "rows": measured.iter().map(Measured::json).collect::<Vec<_>>(),
    });
    let path = results.join(format!("{}.json", env::time::now().strftime("%Y%m%dT%H%M%SZ")));
    env::fs::write_atomic(&path, format!("{document:#}\n").as_bytes(), env::fs::PUBLIC)?;
    say(&format!("raw values: {}", path.display()))?;
    let failed: Vec<&str> = measured.iter().filter(|row| row.failed()).map(|row| row.row.id).collect();
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("missed or void: {}", failed.join(", ")))?;
    Ok(ExitCode::FAILURE)
}
