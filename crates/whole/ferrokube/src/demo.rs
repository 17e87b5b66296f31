//! `ferrokube demo`: a Deployment that answers through its Service and its node port.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use client::{Client, ListOptions};
use env::time::Instant;
use informer::{Informers, Scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use typed::api::apps::v1::Deployment;
use typed::api::core::v1::{Pod, Service};

use crate::cli::PlaceOptions;
use crate::place::Place;
use crate::progress::{print_line, step};
use crate::record::Record;

const NAMESPACE: &str = "default";
const NAME: &str = "demo";
/// Pods that are not ready after this long will not be.
const READY_TIMEOUT: Duration = Duration::from_secs(90);
/// Rules that are not in the kernel after this long will not be.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts; nothing tells when the kernel has the rules.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(100);
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Applies the demo and asks it, as a client on this machine.
pub(crate) async fn run(options: PlaceOptions) -> anyhow::Result<ExitCode> {
    let place = Place::of(&options);
    let record = Record::load(&place)?.context("there is no cluster here; `ferrokube up` makes one")?;
    let client = crate::access::administrator(&record.kubeconfig)?;
    step("demo", async {
        let count = crate::manifests::apply(&client, crate::manifests::DEMO).await?;
        Ok(((), format!("{count} objects applied")))
    })
    .await?;
    step("pods", async {
        match available(client.clone()).await {
            Ok(text) => Ok(((), text)),
            Err(error) => Err(error.context(why_not(&client).await)),
        }
    })
    .await?;
    let service: Service = client.get(NAMESPACE, NAME).await?;
    let spec = service.spec.unwrap_or_default();
    let cluster_ip = spec.cluster_ip.context("the Service has no address")?;
    let node_port = spec.ports.unwrap_or_default().first().and_then(|port| port.node_port);
    let node_port = node_port.context("the Service has no node port")?;
    let node = record.server.trim_start_matches("https://").rsplit_once(':').map_or("127.0.0.1", |(host, _)| host);
    for (name, address) in [("service", format!("{cluster_ip}:80")), ("node port", format!("{node}:{node_port}"))] {
        step(name, async { Ok(((), format!("http://{address}/ says: {}", answer(&address).await?))) }).await?;
    }
    print_line(&format!("Ask it yourself: curl http://{node}:{node_port}/"));
    Ok(ExitCode::SUCCESS)
}

async fn available(client: Client) -> anyhow::Result<String> {
    let scope = Scope { namespace: NAMESPACE.to_owned(), ..Scope::fields(&format!("metadata.name={NAME}")) };
    let deployments = Informers::new(client).scoped::<Deployment>(scope);
    let mut news = deployments.cache().subscribe();
    let counts = || {
        let deployment = deployments.cache().get(NAMESPACE, NAME);
        let wanted = deployment.as_ref().and_then(|it| it.spec.as_ref()?.replicas).unwrap_or(1);
        let ready = deployment.as_ref().and_then(|it| it.status.as_ref()?.available_replicas).unwrap_or(0);
        (ready, wanted)
    };
    let wait = async {
        while counts().0 < counts().1 {
            news.batch().await;
        }
    };
    let in_time = env::time::timeout(READY_TIMEOUT, wait).await.is_ok();
    let (ready, wanted) = counts();
    if in_time { Ok(format!("{ready} available")) } else { bail!("{ready} of {wanted} pods are available") }
}

/// What the demo's pods say of themselves: the first condition that does not hold, the first container that waits.
async fn why_not(client: &Client) -> String {
    let options = ListOptions {
        namespace: NAMESPACE.to_owned(),
        label_selector: format!("app={NAME}"),
        ..ListOptions::default()
    };
    let pods = match client.list::<Pod>(&options).await {
        Ok(list) => list.items,
        Err(error) => return format!("its pods cannot be listed: {error}"),
    };
    let told = pods.iter().filter_map(|pod| pod.status.as_ref()).find_map(|status| {
        let waiting = status.container_statuses.iter().flatten().find_map(|container| {
            let waiting = container.state.as_ref()?.waiting.as_ref()?;
            Some((waiting.reason.clone(), waiting.message.clone()))
        });
        let unmet = status.conditions.iter().flatten().find(|condition| condition.status != "True");
        waiting.or_else(|| unmet.map(|condition| (condition.reason.clone(), condition.message.clone())))
    });
    let (reason, message) = told.unwrap_or_default();
    format!("{}: {}", reason.as_deref().unwrap_or("no reason"), message.as_deref().unwrap_or("no message"))
}

/// The first line of the answer to `GET /`.
async fn answer(address: &str) -> anyhow::Result<String> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    loop {
        let attempt = env::time::timeout(ATTEMPT_TIMEOUT, get(address)).await;
        let error = match attempt {
            Ok(Ok(text)) => return Ok(text),
            Ok(Err(error)) => error,
            Err(_) => anyhow::anyhow!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs()),
        };
        if Instant::now() > deadline {
            return Err(error.context(format!("http://{address}/ does not answer")));
        }
        env::time::sleep(ATTEMPT_INTERVAL).await;
    }
}

async fn get(address: &str) -> anyhow::Result<String> {
    let mut stream = env::net::connect_tcp(address).await?;
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").context("the answer is cut short")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{}", head.lines().next().unwrap_or_default());
    }
    Ok(body.lines().next().unwrap_or_default().to_owned())
}
