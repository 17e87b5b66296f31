//! The service proxy, with ten thousand Services: from nothing to the last one answering, and one more.
//!
//! It changes a packet filter, so all of it happens in a network namespace of its own: this program starts itself again
//! in there ([`host`]) and is told what came of it. Both systems' proxies run as programs of their own against the same
//! API server, ours: the original's takes minutes to accept ten thousand Services, which is another row's business.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use env::process::Stdio;
use env::time::{Instant, sleep, timeout};
use futures::future::BoxFuture;
use netlink::route::{LinkKind, Network, NewLink, Request, Route, Routing};
use pki::kubeconfig::{Kubeconfig, Target};
use pki::layout::LEAF_VALIDITY;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::field::Field;
use super::{Bench, Figure, Sample};
use crate::load::Call;
use crate::load::closed::Make;
use crate::objects;
use crate::stats::percentile;
use crate::system::ours::Ours;
use crate::system::process::{Cpu, Process};
use crate::system::{Parts, System};

const SERVICES: u32 = 10_000;
const UPDATES: u32 = 5;
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices";
const NODE: &str = "bench";
/// Where those who answer are; no other endpoint exists.
const ANSWERING: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 200, 0, 1), Ipv4Addr::new(10, 200, 0, 2)];
const ANSWER_PORT: u16 = 8_080;
/// The first of the endpoints that are only names.
const ABSENT: u32 = u32::from_be_bytes([10, 201, 0, 0]);
const UPLINK: &str = "uplink";
const UPLINK_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// How long one knock waits for an answer.
const KNOCK: Duration = Duration::from_millis(1);
const TIME_MAX: Duration = Duration::from_secs(300);
/// How long a proxy must do next to nothing to have done all it was told.
const REST: Duration = Duration::from_millis(300);

/// P1 and P2.
pub(super) fn services<'a>(system: &'a dyn System, bench: &'a Bench) -> BoxFuture<'a, Result<Sample>> {
    Box::pin(async move {
        ensure!(nix::unistd::geteuid().is_root(), "a network namespace needs root");
        let folder = bench.folder.join(format!("{}-proxy", system.name()));
        let mut command = env::process::command("unshare");
        // The first process of its own process namespace takes all others with it.
        command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
        command.arg(env::process::executable()?).args(["proxy-host", "--binary"]).arg(bench.binary.as_path());
        command.arg("--folder").arg(&folder).stdin(Stdio::null());
        if let Some(reference) = system.proxy() {
            command.arg("--reference").arg(reference);
        }
        let output = timeout(TIME_MAX * 2, command.output()).await.context("the namespace does not end")??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "in the namespace: {}", said.trim());
        env::fs::remove_dir_all_if_exists(&folder)?;
        read(&serde_json::from_str(&String::from_utf8(output.stdout)?)?)
    })
}

fn read(told: &Value) -> Result<Sample> {
    let millis = |name: &str| told[name].as_f64().map(|value| Duration::from_secs_f64(value / 1e3));
    let cpu = |name: &str| Ok::<_, anyhow::Error>(Duration::from_secs_f64(told[name].as_f64().context("CPU")? / 1e3));
    let mut sample = Sample {
        figures: vec![
            Figure::millis("cold to the last Service", millis("cold_ms")).gate(30.0).cpu(cpu("cold_cpu_ms")?, 1),
            Figure::millis("one more, p50", millis("update_p50_ms"))
                .gate(100.0)
                .cpu(cpu("update_cpu_ms")?, UPDATES as usize),
            Figure::millis("one more, the slowest", millis("update_max_ms")),
        ],
        ..Sample::default()
    };
    sample.check("the right endpoints answer", told["answers"] == true, || told.to_string());
    Ok(sample)
}

/// What is told to the program within the namespace.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    binary: PathBuf,
    #[arg(long)]
    folder: PathBuf,
    /// The original's proxy; ours without it.
    #[arg(long)]
    reference: Option<PathBuf>,
}

/// Measures within the namespace that this process is in, and prints a document.
pub(crate) async fn host(arguments: Arguments) -> Result<String> {
    network()?;
    env::fs::create_dir_all(&arguments.folder)?;
    for address in ANSWERING {
        answer(SocketAddr::from((address, ANSWER_PORT))).await?;
    }
    let bench = Bench { folder: arguments.folder.clone(), time_max: TIME_MAX, binary: arguments.binary.clone() };
    let field = Field::open(&Ours { binary: arguments.binary.clone() }, &bench, Parts::API).await?;
    let last = present(&field).await?;
    let proxy_folder = arguments.folder.join("proxy");
    env::fs::create_dir_all(&proxy_folder)?;
    let command = match &arguments.reference {
        Some(program) => kube_proxy(program, &field, &proxy_folder)?,
        None => our_proxy(&arguments.binary, &field, &proxy_folder)?,
    };
    let began = Instant::now();
    let proxy = Process::spawn("proxy", command, &proxy_folder)?;
    timeout(TIME_MAX, knock(last, &proxy)).await.context("the last Service does not answer")??;
    let (cold, cold_cpu) = (began.elapsed(), Cpu::of([proxy.id()])?.since(&Cpu::default()));
    let before = Cpu::of([proxy.id()])?;
    let mut took = Vec::new();
    let mut answers = true;
    for number in 0..UPDATES {
        let (elapsed, whom) = one_more(&field, number, &proxy).await?;
        took.push(elapsed);
        answers &= ANSWERING.contains(&whom);
    }
    let update_cpu = Cpu::of([proxy.id()])?.since(&before);
    proxy.kill().await?;
    field.close().await?;
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    let told = json!({
        "cold_ms": millis(cold), "cold_cpu_ms": millis(cold_cpu), "update_cpu_ms": millis(update_cpu),
        "update_p50_ms": millis(percentile(&took, 50).unwrap_or_default()),
        "update_max_ms": millis(percentile(&took, 100).unwrap_or_default()),
        "answers": answers,
    });
    Ok(told.to_string())
}

/// Loopback with the answering addresses, and a way out that leads nowhere: the API server wants a default route.
fn network() -> Result<()> {
    let mut routing = Routing::open()?;
    let loopback = routing.link("lo")?.context("a network namespace has a loopback")?.index;
    let uplink = NewLink { name: UPLINK.to_owned(), kind: LinkKind::Bridge, mtu: None, mac: None, master: None };
    routing.apply(&[Request::LinkUp(loopback), Request::LinkAdd(uplink)])?;
    let link = routing.link(UPLINK)?.context("the link was made a moment ago")?.index;
    let address = Network { address: IpAddr::V4(UPLINK_ADDRESS), prefix: 24 };
    let out = Route { destination: Network::all(true), gateway: None, link: Some(link), onlink: false, source: None };
    let mut requests: Vec<Request> =
        ANSWERING.iter().map(|one| Request::AddressAdd(loopback, Network::host(IpAddr::V4(*one)))).collect();
    requests.extend([Request::AddressAdd(link, address), Request::RouteSet(out)]);
    Ok(routing.apply(&requests)?)
}

/// Tells everybody who connects to `address` which address that is.
async fn answer(address: SocketAddr) -> Result<()> {
    let listener = env::net::listen_tcp(address).await?;
    let IpAddr::V4(own) = address.ip() else { unreachable!("all of them are IPv4") };
    env::task::spawn(env::task::Fate::Local, "endpoint", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if tokio::io::AsyncWriteExt::write_all(&mut stream, &own.octets()).await.is_err() {
                continue;
            }
        }
    });
    Ok(())
}

fn name(number: u32) -> String {
    format!("service-{number:05}")
}

/// Two endpoints of the Service called `name`.
fn slice(name: &str, addresses: [Ipv4Addr; 2]) -> Bytes {
    let endpoints = addresses.map(|address| json!({"addresses": [address.to_string()], "conditions": {"ready": true}}));
    objects::text(&json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/service-name": name,
            "endpointslice.kubernetes.io/managed-by": "bench",
        }},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": ANSWER_PORT, "protocol": "TCP"}],
        "endpoints": endpoints,
    }))
}

/// Makes the Services, their endpoints and a node; the answer is where the last Service is.
async fn present(field: &Field) -> Result<SocketAddr> {
    let path = objects::core("services");
    let make: Make = Arc::new(move |number| Call::post(path.clone(), objects::service(&name(short(number)), false)));
    field.fill(u64::from(SERVICES), make, 201).await?;
    let make: Make = Arc::new(move |number| {
        let number = short(number);
        let absent = [0, 1].map(|more| Ipv4Addr::from(ABSENT + number * 2 + more));
        let addresses = if number + 1 == SERVICES { ANSWERING } else { absent };
        Call::post(SLICES, slice(&name(number), addresses))
    });
    field.fill(u64::from(SERVICES), make, 201).await?;
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE},
        "status": {"addresses": [{"type": "InternalIP", "address": UPLINK_ADDRESS.to_string()}]},
    });
    field.ask(&Call::post("/api/v1/nodes", objects::text(&node)), 201).await?;
    address(field, &name(SERVICES - 1)).await
}

fn short(number: u64) -> u32 {
    u32::try_from(number).expect("there are not so many Services")
}

async fn address(field: &Field, name: &str) -> Result<SocketAddr> {
    let service = field.ask(&Call::get(format!("{}/{name}", objects::core("services"))), 200).await?.json()?;
    let address = service["spec"]["clusterIP"].as_str().context("a Service has an address")?;
    Ok(SocketAddr::new(address.parse()?, 80))
}

/// A kubeconfig for a proxy.
fn credentials(field: &Field, path: &Path) -> Result<()> {
    let pki = field.cluster.kubeconfig.parent().context("a kubeconfig is in a folder")?.join("pki");
    let authority = pki::files::load_authority(&pki, "ca")?.context("the cluster has an authority")?;
    let target =
        Target { cluster: "kubernetes".to_owned(), server: format!("https://{}", field.cluster.site.address()) };
    let subject = pki::Subject::new("system:kube-proxy", &[]);
    let validity = (env::time::now(), LEAF_VALIDITY);
    Ok(Kubeconfig::issue(&target, &authority, subject, pki::Algorithm::default(), validity)?.store(path)?)
}

/// The one component of our program, in a folder of its own, where the cluster's certificates are already.
fn our_proxy(binary: &Path, field: &Field, folder: &Path) -> Result<env::process::Command> {
    let known = field.cluster.kubeconfig.parent().context("a kubeconfig is in a folder")?;
    copy(known, &folder.join("data/kubernetes"))?;
    credentials(field, &folder.join("data/kubernetes/kube-proxy.conf"))?;
    let mut command = env::process::command(binary);
    command
        .args(["up", "--components", "proxy", "--node-name", NODE, "--bind-address", "127.0.0.1"])
        .args(["--secure-port", &field.cluster.site.api.to_string(), "--data-dir"])
        .arg(folder.join("data"));
    Ok(command)
}

/// Copies a folder with all that is in it.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    env::fs::create_dir_all(to)?;
    for entry in env::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            env::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// At its best: nftables, and no wait between two syncs.
fn kube_proxy(program: &Path, field: &Field, folder: &Path) -> Result<env::process::Command> {
    let (kubeconfig, config) = (folder.join("kube-proxy.conf"), folder.join("config.yaml"));
    credentials(field, &kubeconfig)?;
    let text = format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\n\
         clientConnection: {{kubeconfig: {}, qps: 5000, burst: 5000}}\nhostnameOverride: {NODE}\n\
         clusterCIDR: 10.244.0.0/16\nnftables: {{minSyncPeriod: 0s, syncPeriod: 30s}}\n\
         conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}\n",
        kubeconfig.display()
    );
    env::fs::write_atomic(&config, text.as_bytes(), env::fs::PRIVATE)?;
    let mut command = env::process::command(program);
    command.arg(format!("--config={}", config.display()));
    Ok(command)
}

/// Adds a Service that is already known, by its endpoints: from the API's answer to the first answer through it.
async fn one_more(field: &Field, number: u32, proxy: &Process) -> Result<(Duration, Ipv4Addr)> {
    let name = name(SERVICES + number);
    field.ask(&Call::post(objects::core("services"), objects::service(&name, false)), 201).await?;
    let address = address(field, &name).await?;
    timeout(TIME_MAX, quiet(proxy)).await.context("the proxy does not come to rest")??;
    let client = field.cluster.client(1).await?;
    client.expect(&Call::post(SLICES, slice(&name, ANSWERING)), 201).await?;
    let began = Instant::now();
    let whom = timeout(TIME_MAX, knock(address, proxy)).await.context("a new Service does not answer")??;
    Ok((began.elapsed(), whom))
}

async fn quiet(proxy: &Process) -> Result<()> {
    loop {
        let before = Cpu::of([proxy.id()])?;
        sleep(REST).await;
        let used = Cpu::of([proxy.id()])?.since(&before);
        if used < REST / 20 && !proxy.has_children()? {
            return Ok(());
        }
    }
}

/// Knocks until somebody says who they are. Each knock is a connection of its own, for the kernel remembers where a
/// connection went at first.
async fn knock(address: SocketAddr, proxy: &Process) -> Result<Ipv4Addr> {
    loop {
        proxy.alive()?;
        let ask = async {
            let mut stream = env::net::connect_tcp(address).await?;
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await?;
            std::io::Result::Ok(Ipv4Addr::from(octets))
        };
        if let Ok(Ok(whom)) = timeout(KNOCK, ask).await {
            return Ok(whom);
        }
        // A refusal is quick; the proxy should not have to compete with our knocking.
        sleep(Duration::from_micros(200)).await;
    }
}
