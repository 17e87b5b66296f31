//! A node: a hundred pods on it, the images present.
//!
//! Both systems run on a machine made of namespaces, which the program `host` of the crate `e2e` makes, with the same
//! containerd, runc, network plugin and pause image: those of our program, of which the original gets no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use clap::Args;
use env::process::Stdio;
use env::time::{Instant, sleep, timeout};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::field::{Events, Field, event};
use super::{Bench, Figure, Sample};
use crate::load::closed::{self, Load, Make};
use crate::load::{Call, Client};
use crate::objects;
use crate::stats::percentile;
use crate::system::process::Process;
use crate::system::reference::{Reference, prepare};
use crate::system::{Cluster, Parts, Site, System};

const PODS: u64 = 100;
const CREATORS: usize = 8;
const NODE: &str = "bench";
const TIME_MAX: Duration = Duration::from_secs(120);
/// What a node may still have to do after it is ready.
const SETTLE: Duration = Duration::from_secs(5);
/// Of each log, when a measurement fails.
const LOG_CHARACTERS_MAX: usize = 200;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Where everything but the usual folders is, on the host.
const FOLDER: &str = "/var/tmp/bench";
const PAUSE: &str = "ferrokube.io/pause:";

/// N1.
pub(super) fn pods<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        ensure!(nix::unistd::geteuid().is_root(), "a machine made of namespaces needs root");
        let (own, machine) = (env::process::executable()?, machine()?);
        // The machine's own disk is a file in this folder.
        let folder = bench.folder.join("hosts");
        let mut command = env::process::command(machine);
        command.args(["--bare", NODE, "--"]).arg(own).args(["node-host", "--binary"]).arg(&bench.binary);
        // The machine carries the program that this names.
        command.env("FERROKUBE_BIN", &bench.binary).env("FERROKUBE_HOSTS_DIR", &folder).stdin(Stdio::null());
        if let Some(proxy) = system.proxy() {
            command.arg("--reference").arg(proxy.parent().context("a program is in a folder")?);
        }
        let output = timeout(TIME_MAX * 3, command.output()).await.context("the machine does not end")??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "on the machine: {}", said.trim());
        let text = String::from_utf8(output.stdout)?;
        read(&serde_json::from_str(text.lines().last().context("nothing is told")?)?)
    })
}

/// The program that makes machines of namespaces; it is built beside this one.
fn machine() -> Result<PathBuf> {
    let program = env::process::executable()?.with_file_name("host");
    ensure!(program.is_file(), "not built: {} (cargo build --release --package e2e)", program.display());
    Ok(program)
}

fn read(told: &Value) -> Result<Sample> {
    let millis = |name: &str| told[name].as_f64().map(|value| Duration::from_secs_f64(value / 1e3));
    let cpu = millis("cpu_ms").context("the processor time is told")?;
    let mut sample = Sample {
        figures: vec![
            Figure::millis("create to all Running", millis("all_ms")).gate(2.0).cpu(cpu, usize::try_from(PODS)?),
            Figure::millis("a pod, p50", millis("p50_ms")),
            Figure::millis("a pod, p99", millis("p99_ms")),
            Figure::millis("empty disk to a Ready node", millis("ready_ms")),
            Figure::millis("F5: empty disk to a running pod", millis("first_ms")).gate(5.0),
        ],
        ..Sample::default()
    };
    let addresses = told["addresses"].as_u64().unwrap_or_default();
    sample.check(format!("{PODS} pods with addresses of their own"), addresses == PODS, || format!("{addresses}"));
    Ok(sample)
}

/// What is told to the program on the machine.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    binary: PathBuf,
    /// The original's programs; ours without them.
    #[arg(long)]
    reference: Option<PathBuf>,
}

/// Measures on the machine that this process is on, and answers with a document.
pub(crate) async fn host(arguments: Arguments) -> Result<String> {
    env::fs::create_dir_all(Path::new(FOLDER))?;
    let image = pause_image(&arguments.binary).await?;
    let cluster = match &arguments.reference {
        Some(folder) => reference(folder, &arguments.binary).await?,
        None => ours(&arguments.binary).await?,
    };
    let field = Field { cluster };
    let measured = measure(&field, &image).await;
    if measured.is_err() {
        for process in &field.cluster.processes {
            let text = env::fs::read_to_string(&process.log).unwrap_or_default();
            let last: String = text.lines().last().unwrap_or_default().chars().take(LOG_CHARACTERS_MAX).collect();
            eprintln!("{}: {last}", process.log.display());
        }
    }
    measured
}

async fn pause_image(binary: &Path) -> Result<String> {
    let output = env::process::command(binary).args(["image", "list"]).output().await?;
    let text = String::from_utf8(output.stdout)?;
    let found = text.lines().find(|line| line.starts_with(PAUSE)).and_then(|line| line.split_whitespace().next());
    Ok(found.context("our program has no pause image")?.to_owned())
}

/// The whole of our program, in the machine's usual folders.
async fn ours(binary: &Path) -> Result<Cluster> {
    let mut site = Site::empty(&Path::new(FOLDER).join("ours")).await?;
    site.api = 6_443;
    let started = Instant::now();
    let mut command = env::process::command(binary);
    command.args(["up", "--node-name", NODE]);
    let processes = vec![Process::spawn("ferrokube", command, &site.folder)?];
    let kubeconfig = PathBuf::from("/etc/kubernetes/super-admin.conf");
    Ok(Cluster { site, processes, started, kubeconfig, parts: Parts::ALL })
}

/// The original's control plane and kubelet; our program keeps containerd and the pod network.
async fn reference(folder: &Path, binary: &Path) -> Result<Cluster> {
    let reference = Reference::new(folder.to_owned())?;
    let site = Site::empty(&Path::new(FOLDER).join("reference")).await?;
    prepare(&site).await?;
    let runtime = site.folder.join("runtime");
    super::proxy::copy(&site.folder.join("pki"), &runtime.join("kubernetes/pki"))?;
    env::fs::copy(site.folder.join("kubelet.conf"), runtime.join("kubernetes/kubelet.conf"))?;
    let mut cluster = reference.start(&site, Parts::ALL).await?;
    cluster.ready().await?;
    let mut command = env::process::command(binary);
    command
        .args(["up", "--components", "podnet", "--node-name", NODE, "--bind-address", "127.0.0.1"])
        .args(["--secure-port", &site.api.to_string(), "--data-dir"])
        .arg(&runtime);
    let podnet = Process::spawn("podnet", command, &site.folder)?;
    let socket = runtime.join("run/containerd/containerd.sock");
    let wait = async {
        while !socket.exists() {
            podnet.alive()?;
            sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    };
    timeout(TIME_MAX, wait).await.context("containerd does not start")??;
    cluster.processes.push(reference.kubelet(&site, NODE, &socket)?);
    // It is nobody's server, so its time is not counted; it ends with the machine.
    std::mem::forget(podnet);
    Ok(cluster)
}

async fn measure(field: &Field, image: &str) -> Result<String> {
    field.cluster.ready().await?;
    timeout(TIME_MAX, node_ready(field)).await.context("the node is not ready in time")??;
    let ready = field.cluster.started.elapsed();
    field.ask(&Call::post("/api/v1/namespaces", objects::namespace()), 201).await?;
    let call = Call::get(format!("{}/default", objects::core("serviceaccounts")));
    let account = async {
        while field.ask(&call, 200).await.is_err() {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(TIME_MAX, account).await.context("the namespace has no service account")?;
    let path = objects::core("pods");
    let client = field.cluster.client(2).await?;
    let events = field.watch(&path, &field.version(&path).await?).await?;
    client.expect(&Call::post(&path, pod("first", image)), 201).await?;
    timeout(TIME_MAX, watch(events, "first", 1)).await.context("the first pod does not run in time")??;
    let first = field.cluster.started.elapsed();
    sleep(SETTLE).await;
    let events = field.watch(&path, &field.version(&path).await?).await?;
    let (before, began) = (field.cluster.cpu()?, Instant::now());
    let running = env::task::spawn(env::task::Fate::Local, "watcher", watch(events, "pod-", PODS));
    let created = create(&client, image).await?;
    let running = timeout(TIME_MAX, running).await.context("not all pods run in time")?;
    let running = running.context("the watcher panicked")??;
    let (elapsed, cpu) = (began.elapsed(), field.cluster.cpu()?.since(&before));
    let took: Vec<Duration> =
        created.iter().filter_map(|(name, at)| Some(running.get(name)?.0.saturating_duration_since(*at))).collect();
    let mut addresses: Vec<&String> = running.values().map(|(_, address)| address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let millis = |duration: Option<Duration>| duration.unwrap_or_default().as_secs_f64() * 1e3;
    let told = json!({
        "all_ms": millis(Some(elapsed)), "cpu_ms": millis(Some(cpu)), "ready_ms": millis(Some(ready)),
        "first_ms": millis(Some(first)),
        "p50_ms": millis(percentile(&took, 50)), "p99_ms": millis(percentile(&took, 99)),
        "addresses": addresses.len(),
    });
    Ok(told.to_string())
}

/// Waits until pods may be placed on the node.
async fn node_ready(field: &Field) -> Result<()> {
    let call = Call::get(format!("/api/v1/nodes/{NODE}"));
    let client = field.cluster.client(1).await?;
    loop {
        let reply = client.call(&call).await?;
        if reply.status == 200 {
            let node = reply.json()?;
            let conditions = node["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
            let is_ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
            if is_ready && node["spec"]["taints"].as_array().is_none_or(Vec::is_empty) {
                return Ok(());
            }
        }
        for process in &field.cluster.processes {
            process.alive()?;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn pod(name: &str, image: &str) -> Bytes {
    objects::text(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "pause", "image": image, "imagePullPolicy": "Never"}],
        },
    }))
}

/// Creates the pods; the answer is when each was sent.
async fn create(client: &Arc<Client>, image: &str) -> Result<BTreeMap<String, Instant>> {
    let sent = Arc::new(std::sync::Mutex::new(BTreeMap::new()));
    let (path, image, noted) = (objects::core("pods"), image.to_owned(), Arc::clone(&sent));
    let make: Make = Arc::new(move |number| {
        let name = format!("pod-{number:03}");
        let body = pod(&name, &image);
        noted.lock().expect("nobody panics with the lock").insert(name, Instant::now());
        Call::post(path.clone(), body)
    });
    let load = Load { clients: CREATORS, requests_max: PODS, time_max: TIME_MAX, status: 201 };
    closed::run(client, load, make).await?;
    let sent = sent.lock().expect("nobody panics with the lock").clone();
    Ok(sent)
}

/// When each of `count` pods whose names begin with `prefix` was seen running, and its address.
async fn watch(mut events: Events, prefix: &str, count: u64) -> Result<BTreeMap<String, (Instant, String)>> {
    let mut running = BTreeMap::new();
    while (running.len() as u64) < count {
        for line in events.batch().await? {
            let (kind, object) = event(&line)?;
            if kind == "ERROR" || kind == "DELETED" {
                bail!("the watch tells {kind}: {object}");
            }
            let (name, status) = (object["metadata"]["name"].as_str().unwrap_or_default(), &object["status"]);
            if status["phase"] == "Running" && name.starts_with(prefix) {
                let address = status["podIP"].as_str().unwrap_or_default().to_owned();
                running.entry(name.to_owned()).or_insert_with(|| (Instant::now(), address));
            }
        }
    }
    Ok(running)
}
