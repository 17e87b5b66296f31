//! A name service that works by a Corefile, which somebody edits. The cluster's API is not there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use dns::{OperateError, Setup};
use env::net::connect_tcp;
use env::task::{Fate, Shutdown, Task, spawn};
use env::time::Instant;
use futures::FutureExt;
use http::{Response, StatusCode};
use informer::Informers;
use serving::{Body, Door, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::sockets::{ask, question};

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until `holds`.
async fn wait(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        env::time::sleep_until((Instant::now() + LOOK_INTERVAL).min(deadline)).await;
    }
}

/// A port of this machine that nobody has.
async fn free_port() -> u16 {
    let sockets = dns::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).await.unwrap();
    sockets.address().unwrap().port()
}

struct Running {
    corefile: PathBuf,
    shutdown: Shutdown,
    task: Task<Result<(), OperateError>>,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start(text: &str) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let corefile = folder.path().join("Corefile");
        write(&corefile, text);
        let nobody = |_| {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            std::future::ready(answer).boxed()
        };
        let informers = Informers::new(Client::through(
            Door::new(Arc::new(serving::from_fn(nobody)), Peer::in_memory(None)),
            "dns",
        ));
        let setup = Setup { corefile: Some(corefile.clone()), own_addresses: Vec::new() };
        let shutdown = Shutdown::new();
        let end = shutdown.clone();
        let task = spawn(Fate::Local, "dns", async move { dns::run(setup, &informers, end).await });
        Running { corefile, shutdown, task, _folder: folder }
    }
}

fn write(path: &Path, text: &str) {
    env::fs::write_atomic(path, text.as_bytes(), env::fs::PUBLIC).unwrap();
}

/// The address of `name`, or what is said instead; `None` when nobody is there.
async fn told(port: u16, name: &str) -> Option<String> {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = connect_tcp(server).await.ok()?;
    drop(stream.shutdown().await);
    let answer = ask(server, &question(name)).await;
    let address = answer.answers.first().map(|record| record.data.to_string());
    Some(address.unwrap_or_else(|| format!("{:?}", answer.metadata.response_code)))
}

async fn page(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = connect_tcp((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

#[tokio::test]
async fn what_is_edited_is_followed_and_what_is_wrong_is_not() {
    let (first, second) = (free_port().await, free_port().await);
    let (health, ready, metrics) = (free_port().await, free_port().await, free_port().await);
    let corefile = |port: u16, more: &str| {
        format!(
            ".:{port} {{
    errors
    log
    health 127.0.0.1:{health} {{
        lameduck 2s
    }}
    ready 127.0.0.1:{ready}
    prometheus 127.0.0.1:{metrics}
    kubernetes cluster.local
    hosts /nowhere {{
        192.0.2.1 one.example
        {more}
        fallthrough
    }}
    reload 2s 0s
}}
"
        )
    };
    let running = Running::start(&corefile(first, ""));
    wait("a name is known", async || told(first, "one.example.").await.as_deref() == Some("192.0.2.1")).await;
    assert_eq!(told(first, "two.example.").await.as_deref(), Some("ServFail"));
    assert_eq!(
        told(first, "a.b.svc.cluster.local.").await.as_deref(),
        Some("ServFail"),
        "nobody knows that it is absent"
    );
    assert_eq!(page(health, "/health").await, Some((200, "OK".to_owned())));
    assert_eq!(page(ready, "/ready").await, Some((503, "kubernetes".to_owned())));

    write(&running.corefile, &corefile(first, "192.0.2.2 two.example"));
    wait("a name is added", async || told(first, "two.example.").await.as_deref() == Some("192.0.2.2")).await;

    write(&running.corefile, &corefile(first, "192.0.2.3 two.example").replace("errors", "rewrite name a b"));
    wait("the failure is counted", async || {
        page(metrics, "/metrics").await.is_some_and(|(_, text)| text.contains("coredns_reload_failed_total 1\n"))
    })
    .await;
    assert_eq!(told(first, "two.example.").await.as_deref(), Some("192.0.2.2"), "what was there stays");

    write(&running.corefile, &corefile(second, "192.0.2.3 two.example"));
    wait("it moves to another port", async || {
        told(second, "two.example.").await.as_deref() == Some("192.0.2.3")
            && told(first, "two.example.").await.is_none()
    })
    .await;
    let (_, text) = page(metrics, "/metrics").await.unwrap();
    let of = |port: u16| format!("server=\"dns://:{port}\"");
    for series in [
        format!(
            "coredns_dns_requests_total{{family=\"1\",proto=\"udp\",{},type=\"A\",view=\"\",zone=\".\"}} ",
            of(first)
        ),
        format!("coredns_dns_responses_total{{plugin=\"kubernetes\",rcode=\"SERVFAIL\",{},", of(first)),
        format!("coredns_dns_responses_total{{plugin=\"hosts\",rcode=\"NOERROR\",{},", of(second)),
        format!("coredns_plugin_enabled{{name=\"hosts\",{},view=\"\",zone=\".\"}} 1", of(second)),
        "coredns_hosts_entries 4".to_owned(),
    ] {
        assert!(text.contains(&series), "{series} is not in\n{text}");
    }

    running.shutdown.cancel();
    wait("it is a lame duck", async || page(health, "/health").await.is_some_and(|(status, _)| status == 503)).await;
    assert_eq!(told(second, "two.example.").await.as_deref(), Some("192.0.2.3"), "it serves on for a while");
    let ended = env::time::timeout(PATIENCE, running.task).await.expect("it ends");
    assert!(matches!(ended, Some(Ok(()))), "{ended:?}");
}

#[tokio::test]
async fn at_first_a_corefile_that_is_not_understood_is_refused() {
    let running = Running::start(".:53 {\n rewrite name a b\n}\n");
    let ended = env::time::timeout(PATIENCE, running.task).await.expect("it ends").expect("it did not panic");
    let problem = ended.expect_err("it is refused").to_string();
    assert_eq!(problem, "Corefile:2: the plugin \"rewrite\" is not supported");
}

#[tokio::test]
async fn questions_that_go_round_end_it() {
    let port = free_port().await;
    let running = Running::start(&format!(".:{port} {{\n loop\n forward . 127.0.0.1:{port}\n}}\n"));
    let ended = env::time::timeout(PATIENCE, running.task).await.expect("it ends").expect("it did not panic");
    let problem = ended.expect_err("it does not go on").to_string();
    assert!(problem.starts_with(&format!("Loop (127.0.0.1 -> :{port}) detected for zone \".\", see ")), "{problem}");
}
