//! The original: etcd and Kubernetes' own programs, with kubeadm's certificates.
//!
//! At its best rather than at its default: no client-side rate limits to speak of, and room for requests in flight. What
//! the Go runtime is told (`GOGC`, `GOMEMLIMIT`) it inherits from our environment.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use env::process::Command;
use env::time::Instant;
use futures::future::BoxFuture;
use pki::kubeconfig::{CLIENTS, Kubeconfig, Target};
use pki::layout::{LEAF_VALIDITY, Site as Names};

use super::process::Process;
use super::{Cluster, Parts, Site, StoreProcess, System};

/// A documentation address (RFC 5737): the API server refuses to advertise a loopback one.
const ADVERTISED: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SERVICE_RANGE: &str = "10.96.0.0/12";
const POD_RANGE: &str = "10.244.0.0/16";
const KUBERNETES_SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
const PROGRAMS: [&str; 6] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"];
/// Controllers whose workers are made as many as the fastest setting in use.
const CONCURRENT: [&str; 9] = [
    "deployment-syncs",
    "replicaset-syncs",
    "endpoint-syncs",
    "service-endpoint-syncs",
    "gc-syncs",
    "job-syncs",
    "namespace-syncs",
    "serviceaccount-token-syncs",
    "statefulset-syncs",
];

/// A folder of executables.
#[derive(Debug)]
pub(crate) struct Reference {
    folder: PathBuf,
}

impl Reference {
    /// Refuses a folder without the programs.
    pub(crate) fn new(folder: PathBuf) -> Result<Reference> {
        if let Some(missing) = PROGRAMS.iter().find(|name| !folder.join(name).is_file()) {
            bail!("{} holds no {missing}", folder.display());
        }
        Ok(Reference { folder })
    }

    fn command(&self, name: &str) -> Command {
        env::process::command(self.folder.join(name))
    }

    /// Its one member has no peers, so only its clients' port is protected.
    fn etcd(&self, site: &Site) -> Result<Process> {
        let (client, peer) = (etcd_url(site), format!("http://127.0.0.1:{}", site.store_peer));
        let pki = site.folder.join("pki/etcd");
        let file = |name: &str| pki.join(name).display().to_string();
        let mut command = self.command("etcd");
        command
            .args(["--name", "bench", "--log-level", "error", "--data-dir"])
            .arg(site.folder.join("etcd"))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("bench={peer}")])
            .args(["--client-cert-auth", "--trusted-ca-file", &file("ca.crt")])
            .args(["--cert-file", &file("server.crt"), "--key-file", &file("server.key")])
            .args(["--quota-backend-bytes", "8589934592"]);
        Process::spawn("etcd", command, &site.folder)
    }

    fn api_server(&self, site: &Site) -> Result<Process> {
        let pki = site.folder.join("pki");
        let file = |flag: &str, name: &str| format!("--{flag}={}", pki.join(name).display());
        let mut command = self.command("kube-apiserver");
        command
            .args([file("etcd-cafile", "etcd/ca.crt"), file("etcd-certfile", "apiserver-etcd-client.crt")])
            .args([file("etcd-keyfile", "apiserver-etcd-client.key"), format!("--etcd-servers={}", etcd_url(site))])
            .args([file("tls-cert-file", "apiserver.crt"), file("tls-private-key-file", "apiserver.key")])
            .args([file("client-ca-file", "ca.crt"), file("service-account-key-file", "sa.pub")])
            .args([file("service-account-signing-key-file", "sa.key"), format!("--service-account-issuer={ISSUER}")])
            .args(["--bind-address=127.0.0.1".to_owned(), format!("--secure-port={}", site.api)])
            .args([format!("--advertise-address={ADVERTISED}"), format!("--service-cluster-ip-range={SERVICE_RANGE}")])
            .args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"])
            .args(["--max-requests-inflight=3000", "--max-mutating-requests-inflight=1000"]);
        Process::spawn("kube-apiserver", command, &site.folder)
    }

    fn controllers(&self, site: &Site) -> Result<Process> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", site.folder.join(name).display());
        let mut command = self.command("kube-controller-manager");
        command
            .args([file("kubeconfig", "controller-manager.conf"), file("root-ca-file", "pki/ca.crt")])
            .args([file("service-account-private-key-file", "pki/sa.key"), format!("--cluster-cidr={POD_RANGE}")])
            .arg("--allocate-node-cidrs=true")
            .args([file("cluster-signing-cert-file", "pki/ca.crt"), file("cluster-signing-key-file", "pki/ca.key")])
            .args(["--use-service-account-credentials=true", "--leader-elect=false", "--secure-port=0"])
            .args(["--kube-api-qps=2000", "--kube-api-burst=4000"])
            .args(CONCURRENT.map(|name| format!("--concurrent-{name}=20")));
        Process::spawn("kube-controller-manager", command, &site.folder)
    }

    /// A kubelet with the runtime at `socket`.
    pub(crate) fn kubelet(&self, site: &Site, node: &str, socket: &Path) -> Result<Process> {
        let config = site.folder.join("kubelet.yaml");
        let text = format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
             containerRuntimeEndpoint: unix://{}\ncgroupDriver: cgroupfs\nfailCgroupV1: false\nfailSwapOn: false\n\
             authentication: {{anonymous: {{enabled: false}}, x509: {{clientCAFile: {}}}}}\n\
             kubeAPIQPS: 5000\nkubeAPIBurst: 5000\neventRecordQPS: 0\n",
            socket.display(),
            site.folder.join("pki/ca.crt").display()
        );
        env::fs::write_atomic(&config, text.as_bytes(), env::fs::PRIVATE)?;
        let mut command = self.command("kubelet");
        command
            .arg(format!("--config={}", config.display()))
            .arg(format!("--kubeconfig={}", site.folder.join("kubelet.conf").display()))
            .arg(format!("--hostname-override={node}"));
        Process::spawn("kubelet", command, &site.folder)
    }

    fn scheduler(&self, site: &Site) -> Result<Process> {
        let config = site.folder.join("scheduler.yaml");
        let text = format!(
            "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n\
             leaderElection: {{leaderElect: false}}\n\
             clientConnection: {{kubeconfig: {}, qps: 5000, burst: 5000}}\n",
            site.folder.join("scheduler.conf").display()
        );
        env::fs::write_atomic(&config, text.as_bytes(), env::fs::PRIVATE)?;
        let mut command = self.command("kube-scheduler");
        command.arg(format!("--config={}", config.display())).arg("--secure-port=0");
        Process::spawn("kube-scheduler", command, &site.folder)
    }
}

fn etcd_url(site: &Site) -> String {
    format!("https://127.0.0.1:{}", site.store)
}

/// Certificates and kubeconfigs, where they are not there yet. Blocks.
fn credentials(site: &Site) -> Result<()> {
    let now = env::time::now();
    let folder = &site.folder;
    let mut names = Names::new("bench", "cluster.local", ADVERTISED, KUBERNETES_SERVICE);
    names.api_server_names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let pki = folder.join("pki");
    pki::layout::ensure_all(&pki, &names, now)?;
    let authority = pki::files::load_authority(&pki, "ca")?.context("the authority was made a moment ago")?;
    let target = Target { cluster: "kubernetes".to_owned(), server: format!("https://{}", site.address()) };
    for row in CLIENTS.iter().filter(|row| !folder.join(row.file).exists()) {
        let subject = row.subject("bench");
        let made = Kubeconfig::issue(&target, &authority, subject, pki::Algorithm::default(), (now, LEAF_VALIDITY))?;
        made.store(&folder.join(row.file))?;
    }
    Ok(())
}

/// Makes what kubeadm would make.
pub(crate) async fn prepare(site: &Site) -> Result<()> {
    let site = site.clone();
    env::task::blocking(move || credentials(&site)).await
}

fn admin(site: &Site) -> PathBuf {
    site.folder.join("super-admin.conf")
}

impl System for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    /// Making certificates is kubeadm's work, and not timed.
    fn start<'a>(&'a self, site: &'a Site, parts: Parts) -> BoxFuture<'a, Result<Cluster>> {
        Box::pin(async move {
            prepare(site).await?;
            let started = Instant::now();
            let mut processes = vec![self.etcd(site)?, self.api_server(site)?];
            if parts.controllers {
                processes.push(self.controllers(site)?);
            }
            if parts.scheduler {
                processes.push(self.scheduler(site)?);
            }
            Ok(Cluster { site: site.clone(), processes, started, kubeconfig: admin(site), parts })
        })
    }

    fn add_scheduler<'a>(&'a self, mut cluster: Cluster) -> BoxFuture<'a, Result<Cluster>> {
        Box::pin(async move {
            cluster.started = Instant::now();
            cluster.processes.push(self.scheduler(&cluster.site)?);
            cluster.parts.scheduler = true;
            Ok(cluster)
        })
    }

    fn store<'a>(&'a self, site: &'a Site) -> BoxFuture<'a, Result<StoreProcess>> {
        Box::pin(async move {
            prepare(site).await?;
            let pki = site.folder.join("pki");
            let pki = pki.to_str().context("the folder's name is not UTF-8")?;
            let place = ["--etcd", &etcd_url(site), "--pki", pki].map(str::to_owned).to_vec();
            Ok(StoreProcess { server: Some(self.etcd(site)?), place })
        })
    }

    fn proxy(&self) -> Option<PathBuf> {
        Some(self.folder.join("kube-proxy"))
    }

    fn programs(&self) -> Vec<PathBuf> {
        PROGRAMS.iter().map(|name| self.folder.join(name)).collect()
    }
}
