//! How a node's components start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use env::task::Fate;
use futures::future::BoxFuture;
use informer::Informers;
use pki::layout;
use pki::{AlternativeNames, Leaf, Subject, Usage};
use podplan::network::{ClusterDns, Dns};
use servicerules::Facts;

use super::{Context, Started, told};

const KUBELET_PORT: u16 = 10250;
/// The cluster's name service is the tenth address of the range of Services, as everywhere.
const DNS_INDEX: u64 = 10;
const DNS_DOMAIN: &str = "cluster.local";

/// The node's network: set up as soon as the node has its range.
pub(super) fn podnet(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let config = podnet::keeper::Config {
            node_name: context.wanted.node_name.clone(),
            cluster_ranges: vec![context.pod_range],
            mtu: None,
            conf_dir: context.cni_conf.clone(),
            bin_dir: context.cni_bin.clone(),
            informers: Informers::new(context.access.client(&context.place, "podnet")?),
        };
        let work = podnet::keeper::run(config, context.shutdown.clone());
        Ok(Started {
            task: Some(env::task::spawn(Fate::Vital, "podnet", work)),
            detail: format!("pods have addresses of {}/{}", context.pod_range.address, context.pod_range.prefix),
        })
    })
}

/// The rules of Services in the kernel.
pub(super) fn proxy(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let pods = servicerules::Range { address: context.pod_range.address, prefix: context.pod_range.prefix };
        let config = proxy::Config {
            facts: Facts { node_name: context.wanted.node_name.clone(), pod_ranges: vec![pods], ..Facts::default() },
            informers: Informers::new(context.access.client(&context.place, "proxy")?),
        };
        let work = proxy::run(config, context.shutdown.clone());
        let task = env::task::spawn(Fate::Vital, "proxy", told("the service proxy", work));
        let services = &context.service_range;
        let detail = format!("Services have addresses of {}/{}", services.address, services.prefix);
        Ok(Started { task: Some(task), detail })
    })
}

/// The node's pods. It works when its server listens.
pub(super) fn kubelet(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let (place, wanted) = (&context.place, &context.wanted);
        let mut config = kubelet::Config::new(&wanted.node_name);
        config.node_ips = vec![wanted.advertise.to_string()];
        config.root = place.kubelet_root();
        if !place.is_usual {
            config.pod_logs = place.data_dir.join("log/pods");
            config.container_logs = place.data_dir.join("log/containers");
        }
        config.images_kept = crate::images::IMAGES.map(|image| image.name.to_owned()).to_vec();
        config.cgroup_root = vec![place.cgroup_root()];
        let servers = vec![podnet::config::nth(context.service_range, DNS_INDEX).to_string()];
        config.cluster_dns = ClusterDns { servers, domain: DNS_DOMAIN.to_owned() };
        config.host_dns = resolver(&resolver_text());
        let address = if wanted.advertise.is_ipv6() {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        };
        let setup = kubelet::Setup {
            serving: serving_pair(&context)?,
            client_roots: pki::trust::Roots::from_pem(&pki::files::read(&pki::files::certificate_path(
                &place.pki(),
                "ca",
            ))?)?,
            client: context.access.client(place, "kubelet")?,
            runtime: context.runtime.clone(),
            address: SocketAddr::new(address, KUBELET_PORT),
            health_address: Some(kubelet::HEALTH_ADDRESS),
            config,
        };
        let service = kubelet::Service::start(setup).await?;
        let task = env::task::spawn(Fate::Vital, "kubelet", service.run(context.shutdown.clone()));
        Ok(Started { task: Some(task), detail: format!("{} serves on port {KUBELET_PORT}", wanted.node_name) })
    })
}

/// The cluster's name service: a Deployment as everybody's, of this very program.
pub(super) fn dns(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        let address = podnet::config::nth(context.service_range, DNS_INDEX).to_string();
        let administrator = crate::access::administrator(&context.place.kubeconfig)?;
        ensure_corefile(&administrator).await?;
        let text = crate::manifests::DNS.replace("${DNS_ADDRESS}", &address);
        crate::manifests::apply(&administrator, &text).await?;
        Ok(Started { task: None, detail: format!("Deployment coredns, at {address}") })
    })
}

/// Makes the ConfigMap with the usual Corefile where there is none: it is the users' to edit.
async fn ensure_corefile(administrator: &client::Client) -> anyhow::Result<()> {
    let metadata = typed::meta::ObjectMeta {
        name: Some("coredns".to_owned()),
        namespace: Some("kube-system".to_owned()),
        ..Default::default()
    };
    let data = [("Corefile".to_owned(), ::dns::corefile::USUAL.replace("cluster.local", DNS_DOMAIN))];
    let map = typed::api::core::v1::ConfigMap { metadata, data: Some(data.into()), ..Default::default() };
    match administrator.create(&map).await {
        Ok(_made) => Ok(()),
        Err(error) if error.is_already_exists() => Ok(()),
        Err(error) => Err(anyhow::Error::from(error).context("cannot make the ConfigMap coredns")),
    }
}

/// The certificate of the kubelet's server, made or renewed.
fn serving_pair(context: &Context) -> anyhow::Result<pki::files::Pair> {
    let authority =
        pki::files::load_authority(&context.place.pki(), "ca")?.context("the cluster's authority is gone")?;
    let folder = context.place.kubelet_root().join("pki");
    let (name, address) = (&context.wanted.node_name, context.wanted.advertise.to_string());
    let subject = Subject::new(format!("system:node:{name}"), &["system:nodes"]);
    let leaf = Leaf::new(subject, &[Usage::Server], env::time::now(), layout::LEAF_VALIDITY)
        .with_names(AlternativeNames::from_hosts([name.as_str(), address.as_str()]));
    env::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    layout::ensure_issued(&folder, "kubelet", &authority, &leaf, pki::Algorithm::default())?;
    pki::files::load_pair(Path::new(&folder), "kubelet")?.context("the kubelet's certificate is gone")
}

/// The node's `resolv.conf`. Where systemd-resolved runs, that names nobody but it, on a loopback that pods do not have:
/// then it is the file that names those whom it asks.
fn resolver_text() -> String {
    const OF_RESOLVED: &str = "/run/systemd/resolve/resolv.conf";
    let text = env::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let is_loopback = |server: &String| server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let servers = resolver(&text).servers;
    if servers.is_empty() || !servers.iter().all(is_loopback) {
        return text;
    }
    env::fs::read_to_string(OF_RESOLVED).unwrap_or(text)
}

/// Reads a `resolv.conf` (resolv.conf(5)): the last `search` and `options` win.
fn resolver(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => dns.servers.extend(words.next()),
            Some("search" | "domain") => dns.searches = words.collect(),
            Some("options") => dns.options = words.collect(),
            _ => {}
        }
    }
    dns
}
