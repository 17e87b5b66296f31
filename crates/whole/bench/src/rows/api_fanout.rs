//! The API: one change, many watchers.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use env::task::{Fate, spawn};
use env::time::{Instant, timeout};
use futures::future::BoxFuture;

use super::chorus::{Chorus, Count, Lengths, lines};
use super::field::{Field, event, pods};
use super::{Bench, Figure, Sample};
use crate::load::closed::{self, Load};
use crate::load::open::{self, Pace};
use crate::load::{Call, JSON, Listener, Streaming};
use crate::objects;
use crate::stats::percentile;
use crate::system::{Parts, System};

const WATCHERS: usize = 1_000;
const CONNECTIONS: usize = 50;
const CREATES: u64 = 200;
const CREATORS: usize = 2;
const PROTOBUF_STREAM: &str = "application/vnd.kubernetes.protobuf;stream=watch";
const TIME_MAX: Duration = Duration::from_secs(60);

/// A7.
pub(super) fn watchers<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let mut sample = Sample::default();
        for (name, accept, prefix) in [("JSON", JSON, "json"), ("protobuf", PROTOBUF_STREAM, "protobuf")] {
            let field = Field::open(system, bench, Parts::API).await?;
            let figure = fan_out(&field, (name, accept), prefix, &mut sample).await?;
            sample.figures.push(figure);
            field.close().await?;
        }
        Ok(sample)
    })
}

const PER_SECOND: u32 = 100;
const OPEN_WRITES: u32 = 500;

/// A8.
pub(super) fn latency<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let field = Field::open(system, bench, Parts::API).await?;
        let path = objects::core("pods");
        let from = field.version(&path).await?;
        let client = field.cluster.client(CONNECTIONS).await?;
        let watch = Call::get(format!("{path}?watch=true&resourceVersion={from}"));
        let mut readers = Vec::with_capacity(WATCHERS);
        for _ in 0..WATCHERS {
            readers.push(spawn(Fate::Local, "watcher", arrivals(client.stream(&watch).await?)));
        }
        let creators = field.cluster.client(2).await?;
        let (before, began) = (field.cluster.cpu()?, Instant::now());
        let pace = Pace { per_second: PER_SECOND, requests: OPEN_WRITES, status: 201 };
        open::run(&creators, pace, pods("pod")).await?;
        let mut took = Vec::with_capacity(WATCHERS * OPEN_WRITES as usize);
        for reader in readers {
            let arrived = reader.await.context("a watcher panicked")??;
            took.extend((0..).zip(arrived).map(|(number, at)| at.saturating_duration_since(began + pace.due(number))));
        }
        let cpu = field.cluster.cpu()?.since(&before);
        field.close().await?;
        let figures = vec![
            Figure::millis("write due to watched, p50", percentile(&took, 50)).cpu(cpu, took.len()),
            Figure::millis("write due to watched, p99", percentile(&took, 99)).gate(5.0),
        ];
        Ok(Sample { figures, ..Sample::default() })
    })
}

/// When each event arrived.
async fn arrivals(mut stream: Streaming) -> Result<Vec<Instant>> {
    let mut at = Vec::with_capacity(OPEN_WRITES as usize);
    while at.len() < OPEN_WRITES as usize {
        let next = timeout(TIME_MAX, stream.next()).await.with_context(|| format!("{} events", at.len()))?;
        let ended = lines(&next?.context("the server ended a watch")?);
        at.extend((0..ended).map(|_| Instant::now()));
    }
    Ok(at)
}

async fn fan_out(
    field: &Field,
    form: (&str, &'static str),
    prefix: &'static str,
    sample: &mut Sample,
) -> Result<Figure> {
    let (name, accept) = form;
    let path = objects::core("pods");
    let from = field.version(&path).await?;
    let watch = Call::get(format!("{path}?watch=true&resourceVersion={from}")).accept(accept);
    let mut readers = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let listener = field.cluster.listener(&watch, WATCHERS / CONNECTIONS).await?;
        readers.push(spawn(Fate::Local, "watchers", hear(listener, accept == JSON)));
    }
    let creators = field.cluster.client(2).await?;
    let load = Load { clients: CREATORS, requests_max: CREATES, time_max: TIME_MAX, status: 201 };
    let (before, began) = (field.cluster.cpu()?, Instant::now());
    closed::run(&creators, load, pods(prefix)).await?;
    let (mut last, mut heard, mut different) = (began, Vec::with_capacity(CONNECTIONS), 0);
    for reader in readers {
        let (at, text, others) = reader.await.context("a watcher panicked")??;
        last = last.max(at);
        different += others;
        heard.push(text);
    }
    let cpu = field.cluster.cpu()?.since(&before);
    let events = WATCHERS * usize::try_from(CREATES)?;
    let per_second = events as f64 / last.duration_since(began).as_secs_f64();
    let first = heard.first().context("there are watchers")?;
    different += heard.iter().filter(|text| *text != first).count();
    sample.check(format!("{name}: all watchers heard the same"), different == 0, || format!("{different} did not"));
    if accept == JSON {
        in_order(first, sample)?;
    }
    Ok(Figure::rate(format!("{name} events"), per_second).gate(8.0).cpu(cpu, events))
}

/// Listens until all have heard all events: when that was, what they heard, and how many heard something else.
async fn hear(mut listener: Listener, is_json: bool) -> Result<(Instant, Vec<u8>, usize)> {
    let mut lengths = Lengths::default();
    let count: Count = if is_json { Box::new(lines) } else { Box::new(move |chunk| lengths.count(chunk)) };
    let mut chorus = Chorus::new(WATCHERS / CONNECTIONS, count);
    let enough = |watcher, bytes: &[u8]| {
        chorus.hear(watcher, bytes);
        Ok(chorus.events() >= CREATES && chorus.is_together())
    };
    let listened = listener.listen(enough).await;
    listened.with_context(|| format!("{} events of {CREATES}", chorus.events()))?;
    let at = Instant::now();
    if chorus.events() > CREATES {
        bail!("{} events of {CREATES}", chorus.events());
    }
    let (text, different) = chorus.end();
    Ok((at, text, different))
}

/// Every event is an addition, and each comes later than the one before.
fn in_order(bytes: &[u8], sample: &mut Sample) -> Result<()> {
    let mut versions: Vec<u64> = Vec::new();
    let mut others = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let (kind, object) = event(line)?;
        others += usize::from(kind != "ADDED");
        versions.push(object["metadata"]["resourceVersion"].as_str().context("an object has a version")?.parse()?);
    }
    let rising = versions.windows(2).all(|pair| pair[0] < pair[1]);
    let whole = versions.len() as u64 == CREATES && others == 0;
    sample.check(format!("{CREATES} additions"), whole, || format!("{} events, {others} others", versions.len()));
    sample.check("revisions rise", rising, || format!("{versions:?}"));
    Ok(())
}
