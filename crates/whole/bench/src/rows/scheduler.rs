//! The scheduler.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use env::time::{Instant, timeout};
use futures::future::BoxFuture;

use super::field::Field;
use super::{Bench, Figure, Sample};
use crate::fakenodes;
use crate::load::Call;
use crate::load::closed::Make;
use crate::objects;
use crate::system::{Parts, System};

const NODES: u64 = 5_000;
const PODS: u64 = 10_000;
/// What each pod asks for.
const POD_CPU_MILLIS: u64 = 100;
const POD_MEMORY_MIB: u64 = 500;
const TIME_MAX: Duration = Duration::from_secs(180);
const PLACED: &str = "fieldSelector=spec.nodeName%21%3D";

/// C1: all pods wait, then the scheduler starts.
pub(super) fn drain<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let Field { cluster } = waiting(system, bench).await?;
        let cluster = system.add_scheduler(cluster).await?;
        // From here on everything that placing takes counts, what a restart reads included.
        let before = cluster.cpu()?;
        cluster.ready().await?;
        let field = Field { cluster };
        let drained = watch(&field).await?;
        let cpu = field.cluster.cpu()?.since(&before);
        let whole = field.cluster.started.elapsed();
        let mut sample = Sample {
            figures: vec![
                Figure::rate("pods", drained.per_second()).gate(12.0).cpu(cpu, usize::try_from(PODS)?),
                Figure::millis("the scheduler's start to the last", Some(whole)),
            ],
            ..Sample::default()
        };
        fits(&field, &mut sample).await?;
        field.close().await?;
        Ok(sample)
    })
}

/// A cluster with nodes and waiting pods, without a scheduler.
async fn waiting(system: &dyn System, bench: &Bench) -> Result<Field> {
    let field = Field::open(system, bench, Parts::API).await?;
    fakenodes::make(&field, NODES).await?;
    anyhow::ensure!(fakenodes::is_open(&field, NODES).await?, "the nodes are still tainted");
    let path = objects::core("pods");
    let pods: Make = Arc::new(move |n| Call::post(path.clone(), objects::small_pod(&format!("pod-{n:05}"))));
    field.fill(PODS, pods, 201).await?;
    Ok(field)
}

/// How the waiting pods were placed.
#[derive(Debug)]
struct Drained {
    /// Placed before the clock began.
    early: u64,
    began: Instant,
    ended: Instant,
}

impl Drained {
    fn per_second(&self) -> f64 {
        (PODS - self.early) as f64 / self.ended.duration_since(self.began).as_secs_f64()
    }
}

/// Watches pods being placed, from the first that is seen to the last.
async fn watch(field: &Field) -> Result<Drained> {
    let path = objects::core("pods");
    let listed = field.ask(&Call::get(format!("{path}?{PLACED}")), 200).await?.json()?;
    let mut early = listed["items"].as_array().map_or(0, Vec::len) as u64;
    let from = listed["metadata"]["resourceVersion"].as_str().context("a list has a resource version")?;
    // Placing one is what makes it match, so every placement is an addition.
    let mut events = field.watch(&format!("{path}?{PLACED}"), from).await?;
    let mut began = (early > 0).then(Instant::now);
    let mut placed = early;
    let look = async {
        while placed < PODS {
            let lines = events.batch().await?;
            if began.is_none() {
                began = Some(Instant::now());
                // What came with the first is not part of what is timed from here.
                early = lines.len() as u64;
                placed = early;
                continue;
            }
            placed += lines.iter().filter(|line| line.starts_with(b"{\"type\":\"ADDED\"")).count() as u64;
        }
        anyhow::Ok(())
    };
    timeout(TIME_MAX, look).await.context("not all pods were placed in time")??;
    Ok(Drained { early, began: began.context("pods were placed")?, ended: Instant::now() })
}

/// Every pod is on a node, and no node holds more than it can.
async fn fits(field: &Field, sample: &mut Sample) -> Result<()> {
    let pods = field.ask(&Call::get(objects::core("pods")), 200).await?.json()?;
    let pods = pods["items"].as_array().context("a list has items")?;
    let mut held: BTreeMap<&str, u64> = BTreeMap::new();
    for name in pods.iter().filter_map(|pod| pod["spec"]["nodeName"].as_str()) {
        *held.entry(name).or_default() += 1;
    }
    let placed: u64 = held.values().sum();
    sample.check(format!("{PODS} pods are placed"), placed == PODS, || format!("{placed}"));
    let room = fakenodes::PODS.min(fakenodes::CPU_MILLIS / POD_CPU_MILLIS).min(fakenodes::MEMORY_MIB / POD_MEMORY_MIB);
    let most = held.values().max().copied().unwrap_or_default();
    sample.check("no node holds too much", most <= room, || format!("{most} pods where {room} fit"));
    Ok(())
}
