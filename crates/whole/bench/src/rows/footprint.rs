//! What the whole costs: at rest, on disk, and to start.

use std::time::Duration;

use anyhow::Result;
use env::time::Instant;
use futures::future::BoxFuture;

use super::field::Field;
use super::{Bench, Figure, Sample};
use crate::load::Call;
use crate::objects;
use crate::stats::Better;
use crate::system::process::{Footprint, Process};
use crate::system::{Parts, Site, System, start_ready};

const SETTLE: Duration = Duration::from_secs(60);
const WATCH: Duration = Duration::from_secs(60);

/// F1.
pub(super) fn idle<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let field = Field::open(system, bench, Parts::ALL).await?;
        let ids: Vec<u32> = field.cluster.processes.iter().map(Process::id).collect();
        env::time::sleep(bench.at_most(SETTLE)).await;
        let (cpu, first, began) = (field.cluster.cpu()?, Footprint::of(ids.iter().copied())?, Instant::now());
        env::time::sleep(bench.at_most(WATCH)).await;
        let (used, last) = (field.cluster.cpu()?.since(&cpu), Footprint::of(ids.iter().copied())?);
        let seconds = began.elapsed().as_secs_f64();
        let lower = |name: &str, unit, value| Figure::new(name, unit, Better::Lower, value);
        let mut sample = Sample {
            figures: vec![
                lower("RSS", "MB", last.rss_bytes as f64 / 1e6).gate(10.0),
                lower("CPU", "% of a core", used.as_secs_f64() / seconds * 100.0),
                lower("wake-ups", "/s", last.switches.saturating_sub(first.switches) as f64 / seconds),
                lower("written", "B/s", last.written_bytes.saturating_sub(first.written_bytes) as f64 / seconds),
            ],
            ..Sample::default()
        };
        let witness = Call::post(objects::core("pods"), objects::pod("witness"));
        let alive = field.cluster.client(1).await?.call(&witness).await?.status == 201;
        sample.check("still takes a pod", alive, || "it does not".to_owned());
        field.close().await?;
        Ok(sample)
    })
}

/// F3.
pub(super) fn size<'a>(system: &'a dyn System, _bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let mut bytes = 0;
        for program in system.programs() {
            bytes += env::fs::metadata(&program)?.len();
        }
        let size = Figure::new("programs", "MB", Better::Lower, bytes as f64 / 1e6).gate(8.0);
        Ok(Sample { figures: vec![size], ..Sample::default() })
    })
}

/// F4.
pub(super) fn cold_start<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let site = Site::empty(&bench.folder.join(system.name())).await?;
        let cluster = system.start(&site, Parts::ALL).await?;
        let first = cluster.first_answer().await?;
        let ready = cluster.ready().await?;
        let client = cluster.client(1).await?;
        client.expect(&Call::post("/api/v1/namespaces", objects::namespace()), 201).await?;
        drop(client);
        cluster.stop().await?;
        let cluster = start_ready(system, &site, Parts::ALL).await?;
        let again = cluster.started.elapsed();
        let read = cluster.client(1).await?.call(&Call::get("/api/v1/namespaces/bench")).await?.status;
        cluster.stop().await?;
        env::fs::remove_dir_all_if_exists(&site.folder)?;
        let mut sample = Sample {
            figures: vec![
                Figure::millis("first 200", Some(first)).gate(15.0),
                Figure::millis("/readyz", Some(ready)).gate(15.0),
                Figure::millis("restart after kill -9 to /readyz", Some(again)).gate(15.0),
            ],
            ..Sample::default()
        };
        sample.check("what was written is there after the restart", read == 200, || format!("status {read}"));
        Ok(sample)
    })
}
