//! A cold-started cluster with a namespace to work in, and ways to look into it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::Bench;
use crate::load::closed::{self, Done, Load, Make};
use crate::load::{Call, Reply, Streaming};
use crate::objects;
use crate::system::{Cluster, Parts, Site, System, start_ready};

/// Filling may take as long as it takes; this only ends what hangs.
const FILL_TIME_MAX: Duration = Duration::from_secs(600);
const FILL_CLIENTS: usize = 64;

/// A cluster that is ready.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) cluster: Cluster,
}

impl Field {
    /// Starts `system` on an empty folder and makes the namespace with its service account.
    pub(crate) async fn open(system: &dyn System, bench: &Bench, parts: Parts) -> Result<Field> {
        let site = Site::empty(&bench.folder.join(system.name())).await?;
        let cluster = start_ready(system, &site, parts).await?;
        let field = Field { cluster };
        field.ask(&Call::post("/api/v1/namespaces", objects::namespace()), 201).await?;
        let call = Call::post(objects::core("serviceaccounts"), objects::service_account());
        let reply = field.cluster.client(1).await?.call(&call).await?;
        // A controller may have been faster.
        if reply.status != 409 {
            reply.expect(201, &call)?;
        }
        Ok(field)
    }

    /// Sends what is not measured, over a connection of its own: servers close those that rest for long.
    pub(crate) async fn ask(&self, call: &Call, status: u16) -> Result<Reply> {
        self.cluster.client(1).await?.expect(call, status).await
    }

    /// Watches a collection from `version` on.
    pub(crate) async fn watch(&self, path: &str, version: &str) -> Result<Events> {
        let call = Call::get(format!(
            "{path}{}watch=true&resourceVersion={version}",
            if path.contains('?') { '&' } else { '?' }
        ));
        Ok(Events { stream: self.cluster.client(1).await?.stream(&call).await?, buffer: BytesMut::new() })
    }

    /// The `resourceVersion` that a list of a collection shows.
    pub(crate) async fn version(&self, path: &str) -> Result<String> {
        let list = self.ask(&Call::get(format!("{path}?limit=1")), 200).await?.json()?;
        Ok(list["metadata"]["resourceVersion"].as_str().context("a list has a resource version")?.to_owned())
    }

    /// Ends the cluster and removes what it left.
    pub(crate) async fn close(self) -> Result<()> {
        let folder = self.cluster.site.folder.clone();
        self.cluster.stop().await?;
        Ok(env::fs::remove_dir_all_if_exists(&folder)?)
    }

    /// Sends `count` requests as fast as may be, unmeasured; each is answered by `status`.
    pub(crate) async fn fill(&self, count: u64, make: Make, status: u16) -> Result<Done> {
        let done = self.fill_within(count, FILL_TIME_MAX, make, status).await?;
        if done.count() as u64 != count {
            bail!("{} objects of {count} were made in {FILL_TIME_MAX:?}", done.count());
        }
        Ok(done)
    }

    /// The same, as far as it gets in `time_max`.
    pub(crate) async fn fill_within(&self, count: u64, time_max: Duration, make: Make, status: u16) -> Result<Done> {
        let client = self.cluster.client(8).await?;
        closed::run(&client, Load { clients: FILL_CLIENTS, requests_max: count, time_max, status }, make).await
    }

    /// Metadata of a collection: (name, resource version) of each item.
    pub(crate) async fn metadata(&self, path: &str) -> Result<Vec<(String, u64)>> {
        let form = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
        let list = self.ask(&Call::get(path).accept(form), 200).await?.json()?;
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().map(name_and_version).collect()
    }
}

fn name_and_version(item: &Value) -> Result<(String, u64)> {
    let metadata = &item["metadata"];
    let name = metadata["name"].as_str().context("an object has a name")?;
    let version = metadata["resourceVersion"].as_str().context("an object has a resource version")?;
    Ok((name.to_owned(), version.parse()?))
}

/// Creates pods called `<prefix>-<n>`.
pub(crate) fn pods(prefix: &'static str) -> Make {
    let path = objects::core("pods");
    Arc::new(move |number| Call::post(path.clone(), objects::pod(&format!("{prefix}-{number:05}"))))
}

/// A JSON watch, event by event.
#[derive(Debug)]
pub(crate) struct Events {
    stream: Streaming,
    buffer: BytesMut,
}

impl Events {
    /// The lines that have arrived, at least one; an error at the end of the stream.
    pub(crate) async fn batch(&mut self) -> Result<Vec<Bytes>> {
        loop {
            let mut lines = Vec::new();
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                lines.push(self.buffer.split_to(end + 1).freeze());
            }
            if !lines.is_empty() {
                return Ok(lines);
            }
            let chunk = self.stream.next().await?.context("the server ended a watch")?;
            self.buffer.extend_from_slice(&chunk);
        }
    }
}

/// Reads one line of a watch.
pub(crate) fn event(line: &[u8]) -> Result<(String, Value)> {
    let mut event: Value = serde_json::from_str(std::str::from_utf8(line)?)?;
    let kind = event["type"].as_str().context("an event has a type")?.to_owned();
    Ok((kind, event["object"].take()))
}

/// `value` without what no two systems can have in common: identities, times, generated names.
pub(crate) fn normal(mut value: Value) -> Value {
    normalize(&mut value);
    value
}

fn normalize(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in ["uid", "resourceVersion", "creationTimestamp", "time", "remainingItemCount"] {
                map.remove(key);
            }
            map.values_mut().for_each(normalize);
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::String(text) if text.starts_with("kube-api-access-") => *text = "kube-api-access".to_owned(),
        Value::String(text) if is_age(text) => *text = "age".to_owned(),
        _ => {}
    }
}

/// `7s`, `3m10s`: how tables tell how old something is.
fn is_age(text: &str) -> bool {
    text.ends_with(['s', 'm']) && text.starts_with(|first: char| first.is_ascii_digit()) && {
        text.chars().all(|letter| letter.is_ascii_digit() || matches!(letter, 's' | 'm'))
    }
}
