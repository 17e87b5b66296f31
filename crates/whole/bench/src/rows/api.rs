//! The API: writes one by one and many at once, lists in four forms, Services among many.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use env::time::Instant;
use futures::future::BoxFuture;

use super::field::{Field, event, normal, pods};
use super::{Bench, Figure, Sample};
use crate::load::closed::{self, Load, Make};
use crate::load::{Call, JSON, PROTOBUF};
use crate::objects;
use crate::stats::{Better, mean, percentile};
use crate::system::{Parts, System};

const PHASE: Duration = Duration::from_secs(30);
/// Unmeasured requests before a measurement.
const WARM: u64 = 50;
/// Writes of others that may stand between ours: leases of the server itself.
const GAPS_MAX: u64 = 20;

/// A1.
pub(super) fn create_one_by_one<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let field = Field::open(system, bench, Parts::API).await?;
        field.fill(WARM, pods("warm"), 201).await?;
        let client = field.cluster.client(1).await?;
        let load = Load { clients: 1, requests_max: 1_000, time_max: bench.at_most(PHASE), status: 201 };
        let before = field.cluster.cpu()?;
        let done = closed::run(&client, load, pods("pod")).await?;
        let cpu = field.cluster.cpu()?.since(&before);
        let mut sample = Sample {
            figures: vec![
                Figure::millis("mean", mean(&done.took)).gate(4.0).cpu(cpu, done.count()),
                Figure::millis("p50", percentile(&done.took, 50)),
                Figure::millis("p99", percentile(&done.took, 99)),
            ],
            ..Sample::default()
        };
        same_everywhere(&field, &mut sample).await?;
        field.close().await?;
        Ok(sample)
    })
}

/// What a create answers is what is read afterwards and what a watch tells.
async fn same_everywhere(field: &Field, sample: &mut Sample) -> Result<()> {
    let path = objects::core("pods");
    let from = field.version(&path).await?;
    let mut events = field.watch(&path, &from).await?;
    let created = field.ask(&Call::post(&path, objects::pod("witness")), 201).await?.json()?;
    let read = field.ask(&Call::get(format!("{path}/witness")), 200).await?.json()?;
    let lines = events.batch().await?;
    let (kind, told) = event(lines.first().context("a batch has a line")?)?;
    sample.check("created = read", created == read, || format!("{created} and {read}"));
    sample.check("created = watched", kind == "ADDED" && created == told, || format!("{created} and {kind} {told}"));
    sample.answers.push(("a new pod".to_owned(), normal(created)));
    Ok(())
}

/// A2.
pub(super) fn create_many<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let field = Field::open(system, bench, Parts::API).await?;
        field.fill(WARM, pods("warm"), 201).await?;
        let mut sample = Sample::default();
        let mut made = WARM;
        for (clients, connections, requests_max, prefix) in [(100, 10, 10_000, "hundred"), (16, 4, 5_000, "sixteen")] {
            let client = field.cluster.client(connections).await?;
            let load = Load { clients, requests_max, time_max: bench.at_most(PHASE), status: 201 };
            let before = field.cluster.cpu()?;
            let done = closed::run(&client, load, pods(prefix)).await?;
            let cpu = field.cluster.cpu()?.since(&before);
            made += done.count() as u64;
            let rate = Figure::rate(format!("{clients} clients"), done.per_second()).cpu(cpu, done.count());
            sample.figures.push(if clients == 100 { rate.gate(8.0) } else { rate });
            sample.figures.push(Figure::millis(format!("{clients} clients p99"), percentile(&done.took, 99)));
        }
        distinct(&field, &objects::core("pods"), made, &mut sample).await?;
        field.close().await?;
        Ok(sample)
    })
}

/// Every object is there once, at a revision of its own, and the revisions follow each other.
async fn distinct(field: &Field, path: &str, made: u64, sample: &mut Sample) -> Result<()> {
    let items = field.metadata(path).await?;
    let names: BTreeSet<&str> = items.iter().map(|(name, _)| name.as_str()).collect();
    let versions: BTreeSet<u64> = items.iter().map(|(_, version)| *version).collect();
    let (names, distinct) = (names.len() as u64, versions.len() as u64);
    sample.check(format!("{made} objects, {made} revisions"), names == made && distinct == made, || {
        format!("{names} names, {distinct} revisions")
    });
    let span = versions.last().zip(versions.first()).map_or(0, |(last, first)| last - first + 1);
    let gaps = span.saturating_sub(distinct);
    sample.check("revisions without gaps", gaps <= GAPS_MAX, || format!("{gaps} between the first and the last"));
    Ok(())
}

const PODS: u64 = 11_000;
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
const METADATA: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const LISTS: u32 = 20;

/// A4.
pub(super) fn list<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let field = Field::open(system, bench, Parts::API).await?;
        field.fill(PODS, pods("pod"), 201).await?;
        let client = field.cluster.client(1).await?;
        let path = objects::core("pods");
        let mut sample = Sample::default();
        for (name, accept) in [("JSON", JSON), ("protobuf", PROTOBUF), ("Table", TABLE), ("metadata", METADATA)] {
            let call = Call::get(&path).accept(accept);
            let first = client.expect(&call, 200).await?;
            let (before, began) = (field.cluster.cpu()?, Instant::now());
            let (mut count, mut sizes) = (0, BTreeSet::from([first.bytes()]));
            while count < LISTS && began.elapsed() < bench.at_most(PHASE / 3) {
                sizes.insert(client.expect(&call, 200).await?.bytes());
                count += 1;
            }
            let (elapsed, cpu) = (began.elapsed() / count.max(1), field.cluster.cpu()?.since(&before));
            sample.figures.push(Figure::millis(name, Some(elapsed)).gate(6.0).cpu(cpu, count as usize));
            if accept == JSON || accept == TABLE {
                sorted(name, &first.json()?, &mut sample);
            }
        }
        field.close().await?;
        Ok(sample)
    })
}

/// All items are there, in the order of their names.
fn sorted(form: &str, list: &serde_json::Value, sample: &mut Sample) {
    let (items, name) = match list["items"].as_array() {
        Some(items) => (items, "/metadata/name"),
        None => (list["rows"].as_array().expect("a list has items or rows"), "/object/metadata/name"),
    };
    let names: Vec<_> = items.iter().map(|item| item.pointer(name).and_then(|name| name.as_str())).collect();
    let whole = names.len() as u64 == PODS && names.is_sorted() && names.iter().all(Option::is_some);
    sample.check(format!("{form}: {PODS} items in order"), whole, || format!("{} items", names.len()));
    sample.answers.push((format!("the first item as {form}"), normal(items.first().cloned().unwrap_or_default())));
    let columns = list["columnDefinitions"].clone();
    sample.answers.push((format!("the columns of {form}"), columns));
}

const SERVICES: u64 = 10_000;
const SERVICE_CLIENTS: usize = 16;
/// How many measured phases the Services before may take.
const FILL_PHASES: u32 = 4;

fn services(prefix: &'static str) -> Make {
    let path = objects::core("services");
    Arc::new(move |number| Call::post(path.clone(), objects::service(&format!("{prefix}-{number:05}"), true)))
}

/// A10.
pub(super) fn create_services<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let field = Field::open(system, bench, Parts::API).await?;
        // Whoever is too slow to get there is measured with fewer, which is to its advantage.
        let time_max = bench.at_most(PHASE) * FILL_PHASES;
        let filled = field.fill_within(SERVICES, time_max, services("present"), 201).await?;
        let client = field.cluster.client(4).await?;
        let time_max = bench.at_most(PHASE / 2);
        let load = Load { clients: SERVICE_CLIENTS, requests_max: 5_000, time_max, status: 201 };
        let before = field.cluster.cpu()?;
        let done = closed::run(&client, load, services("more")).await?;
        let cpu = field.cluster.cpu()?.since(&before);
        let mut sample = Sample {
            figures: vec![
                Figure::rate("16 clients", done.per_second()).gate(50.0).cpu(cpu, done.count()),
                Figure::millis("p99", percentile(&done.took, 99)),
                Figure::rate("the ones before, 64 clients", filled.per_second()),
                Figure::new("present before", "Services", Better::Higher, filled.count() as f64),
            ],
            ..Sample::default()
        };
        unique_addresses(&field, (filled.count() + done.count()) as u64, &mut sample).await?;
        field.close().await?;
        Ok(sample)
    })
}

/// Each Service has an address that no other has, and an IPAddress object says whose it is.
async fn unique_addresses(field: &Field, made: u64, sample: &mut Sample) -> Result<()> {
    let list = field.ask(&Call::get(objects::core("services")), 200).await?.json()?;
    let items = list["items"].as_array().context("a list has items")?;
    let given: BTreeSet<&str> = items.iter().filter_map(|item| item["spec"]["clusterIP"].as_str()).collect();
    sample.check(format!("{made} addresses"), given.len() as u64 == made, || format!("{}", given.len()));
    let path = "/apis/networking.k8s.io/v1/ipaddresses";
    let objects = field.metadata(path).await?;
    let known: BTreeSet<&str> = objects.iter().map(|(name, _)| name.as_str()).collect();
    sample.check("an IPAddress for each", given.is_subset(&known), || format!("{} IPAddresses", known.len()));
    Ok(())
}
