//! A kubelet as a process of its own, in a cluster: `joined SOCKET FOLDER CGROUP KUBECONFIG PKI`.
//!
//! `KUBECONFIG` holds the node's credentials; `PKI` the cluster's authority as kubeadm lays it out, with which the server's
//! certificate is made.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use client::Client;
use jiff::SignedDuration;
use kubelet::{Config, Setup};
use pki::files::Pair;
use pki::trust::Roots;
use pki::{Algorithm, AlternativeNames, Leaf, PrivateKey, Subject, Usage};

fn serving(pki: &std::path::Path) -> Result<Pair, pki::Error> {
    let authority = pki::files::load_authority(pki, "ca")?.ok_or(pki::Error::Malformed("there is no ca"))?;
    let key = PrivateKey::generate(Algorithm::EcdsaP256)?;
    let subject = Subject::new("system:node:node1", &["system:nodes"]);
    let leaf = Leaf::new(subject, &[Usage::Server], env::time::now(), SignedDuration::from_hours(24))
        .with_names(AlternativeNames::from_hosts(["node1", "127.0.0.1"]));
    let certificate = authority.issue(&leaf, &key.public())?;
    Pair::new(vec![certificate], key)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let (socket, folder, cgroup) = (PathBuf::from(next()), PathBuf::from(next()), next());
    let (kubeconfig, pki) = (PathBuf::from(next()), PathBuf::from(next()));
    let config = Config {
        node_ips: vec!["127.0.0.1".to_owned()],
        root: folder.join("kubelet"),
        pod_logs: folder.join("pods"),
        container_logs: folder.join("containers"),
        manifests: Some(folder.join("manifests")),
        cgroup_root: vec![cgroup],
        // How full a developer's machine is has no say here.
        eviction_hard: Vec::new(),
        ..Config::new("node1")
    };
    let kubeconfig = pki::kubeconfig::Kubeconfig::load(&kubeconfig)?;
    let setup = Setup {
        config,
        runtime: socket,
        client: Client::from_kubeconfig(&kubeconfig, None, "kubelet")?,
        serving: serving(&pki)?,
        client_roots: Roots::from_pem(&pki::files::read(&pki::files::certificate_path(&pki, "ca"))?)?,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 10250)),
        health_address: Some(kubelet::HEALTH_ADDRESS),
    };
    kubelet::run(setup, env::task::Shutdown::new()).await?;
    Ok(())
}
