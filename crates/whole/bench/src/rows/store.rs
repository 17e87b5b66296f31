//! The store alone: durable puts by one writer and by many, and what a crash leaves of them.

use std::time::Duration;

use anyhow::{Context, Result};
use env::process::{Command, Stdio};
use env::time::{Instant, timeout};
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{Bench, Figure, Sample};
use crate::stats::Better;
use crate::system::{Site, StoreProcess, System};

const PHASE: Duration = Duration::from_secs(5);
const FLOOD: Duration = Duration::from_millis(300);
const IN_FLIGHT: u32 = 1_000;
const TIME_MAX: Duration = Duration::from_secs(120);

/// S1.
pub(super) fn one_writer<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let (mut sample, told) = measure(system, bench, 1).await?;
        let figure = |name: &str, at: &str| Figure::new(name, "us", Better::Lower, number(&told, at));
        let each = Duration::from_secs_f64(number(&told, "cpu_us") / 1e6);
        sample.figures.push(figure("p50", "p50_us").gate(1.5).cpu(each, count(&told)));
        sample.figures.push(figure("p99", "p99_us"));
        crash(system, bench, &mut sample).await?;
        Ok(sample)
    })
}

/// S2.
pub(super) fn many_writers<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let (mut sample, told) = measure(system, bench, IN_FLIGHT).await?;
        let each = Duration::from_secs_f64(number(&told, "cpu_us") / 1e6);
        let rate = number(&told, "count") / number(&told, "seconds");
        sample.figures.push(Figure::rate("puts", rate).gate(5.0).cpu(each, count(&told)));
        sample.figures.push(Figure::new("p99", "us", Better::Lower, number(&told, "p99_us")));
        Ok(sample)
    })
}

fn number(told: &Value, name: &str) -> f64 {
    told[name].as_f64().expect("the writer tells it")
}

fn count(told: &Value) -> usize {
    told["count"].as_u64().and_then(|count| usize::try_from(count).ok()).expect("the writer tells how many")
}

/// Runs the writer against a new store.
async fn measure(system: &dyn System, bench: &Bench, writers: u32) -> Result<(Sample, Value)> {
    let site = Site::empty(&bench.folder.join(system.name())).await?;
    let store = system.store(&site).await?;
    let mut command = writer(&store)?;
    if let Some(server) = &store.server {
        command.args(["--server", &server.id().to_string()]);
    }
    let seconds = bench.at_most(PHASE).as_secs_f64();
    let told = tell(command.args(["--writers", &writers.to_string(), "--seconds", &seconds.to_string()])).await?;
    let told: Value = serde_json::from_str(&told)?;
    end(store).await?;
    let mut sample = Sample::default();
    sample.check("revisions in order, without gaps", told["gaps"] == 0, || format!("{}", told["gaps"]));
    Ok((sample, told))
}

/// Kills the store in mid-flood: what was acknowledged is there after a restart.
async fn crash(system: &dyn System, bench: &Bench, sample: &mut Sample) -> Result<()> {
    let site = Site::empty(&bench.folder.join(system.name())).await?;
    let store = system.store(&site).await?;
    let mut child = writer(&store)?.arg("--flood").stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("the writer's output is ours")?).lines();
    let mut acknowledged: u64 = 0;
    let mut began = None;
    while let Ok(Some(line)) = timeout(TIME_MAX, lines.next_line()).await? {
        acknowledged = line.parse::<u64>()? + 1;
        if began.get_or_insert_with(Instant::now).elapsed() > FLOOD {
            break;
        }
    }
    match store.server {
        Some(server) => server.kill().await?,
        None => child.kill().await?,
    }
    // What was said before the end was acknowledged, too.
    while let Ok(Some(line)) = timeout(TIME_MAX, lines.next_line()).await? {
        acknowledged = line.parse::<u64>()? + 1;
    }
    drop(child);
    let store = system.store(&site).await?;
    let found: u64 = tell(writer(&store)?.arg("--count")).await?.trim().parse()?;
    end(store).await?;
    let claim = "no acknowledged write is lost by kill -9";
    sample.check(claim, found >= acknowledged && acknowledged > 0, || format!("{found} of {acknowledged}"));
    Ok(())
}

fn writer(store: &StoreProcess) -> Result<Command> {
    let mut command = env::process::command(env::process::executable()?);
    command.arg("store-writer").args(&store.place).stdin(Stdio::null());
    Ok(command)
}

/// What the writer says, to its end.
async fn tell(command: &mut Command) -> Result<String> {
    let output = timeout(TIME_MAX, command.output()).await.context("the writer does not end")??;
    anyhow::ensure!(output.status.success(), "the writer fails: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}

async fn end(store: StoreProcess) -> Result<()> {
    match store.server {
        Some(server) => server.kill().await,
        None => Ok(()),
    }
}
