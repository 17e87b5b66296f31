//! What a cluster is made of: one row per component, in the order in which they start.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use env::task::{Shutdown, Task};
use futures::future::BoxFuture;
use netlink::route::Network;

use crate::place::Place;

/// What a component is told.
#[derive(Debug)]
#[expect(dead_code, reason = "some of it is for components that are not built yet")]
pub(crate) struct Context {
    /// Where everything is.
    pub(crate) place: Place,
    /// The node's name.
    pub(crate) node_name: String,
    /// The node's address.
    pub(crate) node_address: IpAddr,
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    /// Where clients find it: `https://host:port`.
    pub(crate) server: String,
    /// The cluster's addresses for pods.
    pub(crate) pod_range: Network,
    /// The cluster's addresses for Services.
    pub(crate) service_range: Network,
    /// The container runtime's socket, where one runs.
    pub(crate) runtime: Option<PathBuf>,
    /// Where the runtime looks for network configurations.
    pub(crate) cni_conf: PathBuf,
    /// Where the runtime looks for network plugins.
    pub(crate) cni_bin: PathBuf,
    /// Asks everything to end.
    pub(crate) shutdown: Shutdown,
}

/// A component that works.
#[derive(Debug)]
pub(crate) struct Started {
    /// What runs on until [`Context::shutdown`]; `None` when the work was done with the start.
    pub(crate) task: Option<Task<()>>,
    /// What to tell about it.
    pub(crate) detail: String,
}

/// Starts a component; answers when it works.
pub(crate) type Start = fn(Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>>;

/// Where a component has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs anywhere, for any user.
    ControlPlane,
    /// Changes the machine: needs root and a container runtime.
    Node,
}

/// A component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Component {
    /// Its name in `--components`.
    pub(crate) name: &'static str,
    /// Where it runs.
    pub(crate) role: Role,
    /// `None` when it is not built.
    pub(crate) start: Option<Start>,
}

/// All components.
pub(crate) const COMPONENTS: [Component; 7] = [
    Component { name: "apiserver", role: Role::ControlPlane, start: None },
    Component { name: "controller-manager", role: Role::ControlPlane, start: None },
    Component { name: "scheduler", role: Role::ControlPlane, start: None },
    Component { name: "podnet", role: Role::Node, start: Some(podnet) },
    Component { name: "proxy", role: Role::Node, start: None },
    Component { name: "kubelet", role: Role::Node, start: None },
    Component { name: "dns", role: Role::Node, start: None },
];

/// Why a choice of components cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadChoice {
    /// There is no such component.
    Unknown(String),
    /// There will be.
    NotBuilt(&'static str),
}

impl std::fmt::Display for BadChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadChoice::Unknown(name) => {
                let names: Vec<&str> = COMPONENTS.iter().map(|component| component.name).collect();
                write!(f, "there is no component {name:?}; there are {}", names.join(", "))
            }
            BadChoice::NotBuilt(name) => write!(f, "the component {name} is not built yet"),
        }
    }
}

impl std::error::Error for BadChoice {}

/// The rows for `names`, in the order of the table; all when none is named. One that is asked for by name must be built.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static Component>, BadChoice> {
    for name in names {
        let known = COMPONENTS.iter().find(|component| component.name == name);
        let component = known.ok_or_else(|| BadChoice::Unknown(name.clone()))?;
        if component.start.is_none() {
            return Err(BadChoice::NotBuilt(component.name));
        }
    }
    let chosen = |component: &&Component| names.is_empty() || names.iter().any(|name| name == component.name);
    Ok(COMPONENTS.iter().filter(chosen).collect())
}

/// The node's network: bridge, forwarding, masquerading, the runtime's configuration.
fn podnet(context: Arc<Context>) -> BoxFuture<'static, anyhow::Result<Started>> {
    Box::pin(async move {
        env::task::blocking(move || {
            let network = podnet::node::NodeNetwork {
                pod_ranges: vec![first_node_range(context.pod_range)],
                unmasqueraded: vec![context.pod_range],
                mtu: None,
            };
            podnet::node::setup(&network)?;
            podnet::node::plugins_install(&context.cni_bin)?;
            let file = podnet::node::conflist_write(&context.cni_conf, &network)?;
            let [range] = &network.pod_ranges[..] else { unreachable!("one range was put in") };
            Ok(Started { task: None, detail: format!("{}/{}, {}", range.address, range.prefix, file.display()) })
        })
        .await
    })
}

/// The range of the first node, as the controller manager gives it out: a /24 (or /64) of the cluster's.
fn first_node_range(cluster: Network) -> Network {
    let prefix = if cluster.address.is_ipv4() { 24 } else { 64 };
    Network { address: cluster.address, prefix: cluster.prefix.max(prefix) }
}

#[cfg(test)]
mod tests;
