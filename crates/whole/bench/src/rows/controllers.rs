//! The controllers.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use env::time::{Instant, timeout};
use futures::future::BoxFuture;
use serde_json::Value;

use super::field::{Events, Field, event};
use super::{Bench, Figure, Sample};
use crate::load::Call;
use crate::objects;
use crate::system::{Parts, System};

const REPLICAS: u64 = 1_000;
const TIME_MAX: Duration = Duration::from_secs(120);
const PATH: &str = "/apis/apps/v1/namespaces/bench/deployments";

/// K1.
pub(super) fn scale_up<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        let field = Field::open(system, bench, Parts { controllers: true, scheduler: false }).await?;
        let from = field.version(PATH).await?;
        let mut events = field.watch(PATH, &from).await?;
        field.ask(&Call::post(PATH, objects::deployment("big")), 201).await?;
        // Only a Deployment that its controller has seen is a fair start.
        wait(&mut events, |object| object["status"]["observedGeneration"] == 1).await?;
        let scale =
            Call::patch(format!("{PATH}/big"), Bytes::from(format!("{{\"spec\":{{\"replicas\":{REPLICAS}}}}}")));
        let (before, began) = (field.cluster.cpu()?, Instant::now());
        field.ask(&scale, 200).await?;
        wait(&mut events, |object| object["status"]["replicas"] == REPLICAS).await?;
        let (elapsed, cpu) = (began.elapsed(), field.cluster.cpu()?.since(&before));
        let mut sample = Sample {
            figures: vec![
                Figure::millis("status.replicas", Some(elapsed)).gate(5.0).cpu(cpu, usize::try_from(REPLICAS)?),
            ],
            ..Sample::default()
        };
        owned(&field, &mut sample).await?;
        field.close().await?;
        Ok(sample)
    })
}

async fn wait(events: &mut Events, mut is_so: impl FnMut(&Value) -> bool) -> Result<()> {
    let look = async {
        loop {
            for line in events.batch().await? {
                if is_so(&event(&line)?.1) {
                    return anyhow::Ok(());
                }
            }
        }
    };
    timeout(TIME_MAX, look).await.context("the Deployment's status is not there in time")?
}

/// Every pod is owned by the one ReplicaSet, and that by the Deployment; an event tells of the scaling.
async fn owned(field: &Field, sample: &mut Sample) -> Result<()> {
    let sets = field.ask(&Call::get("/apis/apps/v1/namespaces/bench/replicasets"), 200).await?.json()?;
    let set = &sets["items"][0];
    let owner = set["metadata"]["ownerReferences"][0]["kind"] == "Deployment";
    sample.check("the ReplicaSet is the Deployment's", owner, || format!("{}", set["metadata"]));
    let pods = field.ask(&Call::get(objects::core("pods")), 200).await?.json()?;
    let pods = pods["items"].as_array().context("a list has items")?;
    let mine = |pod: &&Value| pod["metadata"]["ownerReferences"][0]["uid"] == set["metadata"]["uid"];
    let owned = pods.iter().filter(mine).count() as u64;
    let whole = owned == REPLICAS && pods.len() as u64 == REPLICAS;
    sample.check(format!("{REPLICAS} pods of the ReplicaSet"), whole, || format!("{owned} of {}", pods.len()));
    let generation = field.ask(&Call::get(format!("{PATH}/big")), 200).await?.json()?;
    let observed = generation["status"]["observedGeneration"] == generation["metadata"]["generation"];
    sample.check("the generation is observed", observed, || format!("{}", generation["status"]));
    let said = field.ask(&Call::get(objects::core("events")), 200).await?.json()?;
    let said = said["items"].as_array().context("a list has items")?;
    let scaled = said.iter().any(|event| event["reason"] == "ScalingReplicaSet");
    sample.check("an event tells of the scaling", scaled, || format!("{} events", said.len()));
    Ok(())
}
