//! Pods with a network of their own, on a node that is a network namespace: kubelet, runtime and plugin run inside.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use netlink::Namespace;
use netlink::route::Request;
use streaming::remote::Streams;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::streams::Listening;
use crate::{IMAGE, Node, PATIENCE};

const RANGE: &str = "10.244.9.0/24";
/// The node's address in it.
const GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 244, 9, 1));
const PLUGIN: &str = "ferrokube-cni";

/// A network namespace that goes away with its owner.
struct Home(PathBuf);

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = Namespace::remove(&self.0) {
            eprintln!("{error}");
        }
    }
}

/// Runs `work` on a runtime all of whose threads, and whose children, live in a network namespace of their own.
fn at_home<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send) {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: needs root");
    }
    env::fs::create_dir_all("/run/netns").expect("the folder is writable");
    let home = Home(PathBuf::from(format!("/run/netns/fkt-kubelet-{}", env::rand::suffix(6))));
    let namespace = Namespace::create(&home.0).expect("a namespace");
    let inside = namespace.enter(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            netlink::Routing::open().expect("a socket").apply(&[Request::LinkUp(1)]).expect("lo is there");
            work().await;
        });
    });
    inside.expect("the namespace is entered");
}

/// The built-in network's plugin.
fn plugin() -> PathBuf {
    let tests = env::process::executable().expect("a path");
    let plugin = tests.parent().and_then(Path::parent).expect("a target folder").join("examples/plugin");
    assert!(plugin.exists(), "the plugin is missing: cargo build -p podnet --example plugin");
    plugin
}

async fn setup() {
    let status = env::process::command(plugin()).args(["setup", RANGE]).status().await.expect("it runs");
    assert!(status.success(), "the node's part of the network cannot be made");
}

/// Gives the runtime the plugin, and a network configuration.
fn install(folder: &Path) {
    let bin = folder.join("cni/bin");
    env::fs::create_dir_all(&bin).expect("the folder is writable");
    for name in [PLUGIN, "loopback"] {
        env::fs::symlink(plugin(), bin.join(name)).expect("the folder is writable");
    }
    let data = folder.join("cni/data");
    let list = format!(
        r#"{{"cniVersion":"1.0.0","name":"net","plugins":[{{"type":"{}","ranges":["{RANGE}"],"dataDir":"{}","capabilities":{{"portMappings":true}}}}]}}"#,
        PLUGIN,
        data.display()
    );
    let conf = folder.join("cni/net.d");
    env::fs::create_dir_all(&conf).expect("the folder is writable");
    env::fs::write_atomic(&conf.join("10-net.conflist"), list.as_bytes(), env::fs::PUBLIC)
        .expect("the folder is writable");
}

const POD: &str = r#"apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  dnsPolicy: None
  dnsConfig: {nameservers: [10.96.0.10], searches: [a.example], options: [{name: ndots, value: "3"}]}
  hostAliases: [{ip: 10.1.2.3, hostnames: [alias.example]}]
  containers:
  - name: main
    image: '%image%'
    command: [/bin/sh, -c, "mkdir /www; echo hello > /www/index.html; echo serving; exec httpd -f -p 8080 -h /www"]
    ports: [{name: http, containerPort: 8080, hostPort: 18080}]
    readinessProbe: {httpGet: {port: http, path: /index.html}, periodSeconds: 1}
    livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
"#;

const QUESTION: &str = "GET /index.html HTTP/1.0\r\n\r\n";

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = env::net::connect_tcp(address).await?;
    stream.write_all(QUESTION.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[test]
fn a_pod_has_a_network_of_its_own() {
    at_home(async || {
        let Some(node) = Node::start().await else { return };
        setup().await;
        install(node.containerd.folder());
        crate::wait_until("the runtime has a network", PATIENCE, async || {
            let status = node.runtime.status(false).await.ok().and_then(|status| status.status);
            status.is_some_and(|status| status.conditions.iter().all(|condition| condition.status))
        })
        .await;
        let manifest = POD.replace("%image%", IMAGE);
        env::fs::write_atomic(&node.manifest("web"), manifest.as_bytes(), env::fs::PUBLIC).expect("writable");
        let config = kubelet::Config { node_ips: vec![GATEWAY.to_string()], ..node.config() };
        let kubelet = node.kubelet_as(config, std::sync::Arc::new(kubelet::Standalone)).await;
        kubelet.wait("the pod is ready", |it| it.condition("Ready").as_deref() == Some("True")).await;
        let status = kubelet.pod().and_then(|pod| pod.status).expect("a status");
        let ip: IpAddr = status.pod_ip.clone().expect("an address").parse().expect("an address");
        assert!(ip.to_string().starts_with("10.244.9.") && ip != GATEWAY, "{ip}");
        assert_eq!(status.host_ip, Some(GATEWAY.to_string()));
        assert!(ask(SocketAddr::new(ip, 8080)).await.expect("it serves").ends_with("hello\n"));
        assert!(ask(SocketAddr::new(GATEWAY, 18080)).await.expect("its host port serves").ends_with("hello\n"));

        let server = Listening::start(&kubelet).await;
        let (answer, error) = server.forwarded("/portForward/default/web-node1", 8080, QUESTION).await;
        assert!(answer.ends_with("hello\n") && error.is_empty(), "{answer} {error}");
        let (_, error) = server.forwarded("/portForward/default/web-node1", 18080, "").await;
        assert!(error.contains("failed to connect to localhost:18080 inside the pod"), "{error}");
        let output = Streams { stdout: true, ..Streams::default() };
        let command = "/exec/default/web-node1/main?command=cat&command=/etc/hosts&command=/etc/resolv.conf";
        let session = server.session("websocket", command, output).await.expect("a session");
        let (files, _, _) = crate::streams::talk(session, "").await;
        for line in [
            &format!("{ip}\tweb-node1\n"),
            "10.1.2.3\talias.example\n",
            "nameserver 10.96.0.10\n",
            "search a.example\n",
            "options ndots:3\n",
        ] {
            assert!(files.contains(line), "{line:?} is missing in {files}");
        }
        env::fs::remove_file(node.manifest("web")).expect("the manifest is removed");
        kubelet.wait("the pod is gone", |it| it.pod().is_none()).await;
        assert!(node.is_empty().await);
        assert!(ask(SocketAddr::new(GATEWAY, 18080)).await.is_err(), "the host port went with the pod");
    });
}
