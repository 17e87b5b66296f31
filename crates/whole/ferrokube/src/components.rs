//! What a cluster is made of: one row per component, in the order in which they start.
//!
//! To add one: a row here, and a function in [`control_plane`] or [`node`] that answers when the component works.

mod control_plane;
mod node;
pub(crate) mod port;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use env::task::{Shutdown, Task};
use futures::future::BoxFuture;
use netlink::route::Network;
use serving::Door;

use crate::access::Access;
use crate::credentials::Wanted;
use crate::place::Place;

/// What a component is told.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where everything is.
    pub(crate) place: Place,
    /// The names and addresses that certificates carry.
    pub(crate) wanted: Wanted,
    /// Where the API listens.
    pub(crate) listen: SocketAddr,
    /// How components reach the API.
    pub(crate) access: Access,
    /// The cluster's addresses for pods.
    pub(crate) pod_range: Network,
    /// The cluster's addresses for Services.
    pub(crate) service_range: Network,
    /// The container runtime's socket.
    pub(crate) runtime: PathBuf,
    /// Where the runtime looks for network configurations.
    pub(crate) cni_conf: PathBuf,
    /// Where the runtime looks for network plugins.
    pub(crate) cni_bin: PathBuf,
    /// Where those are asked how they are who have ports of their own.
    pub(crate) watched: Vec<Seat>,
    /// Asks everything to end.
    pub(crate) shutdown: Shutdown,
}

/// A component with a port of its own, as this start has it.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Which component.
    pub(crate) row: &'static port::Watched,
    /// Whether it is part of this process.
    pub(crate) is_chosen: bool,
    /// Its port, if it has one.
    pub(crate) port: Option<u16>,
    /// The way to ask it within the process, once it has started.
    pub(crate) door: Arc<OnceLock<Door>>,
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
    /// Changes the machine's network: needs root.
    Network,
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

/// Whether any component of these names needs a container runtime.
pub(crate) fn need_runtime(names: &[String]) -> bool {
    COMPONENTS.iter().any(|row| row.role == Role::Node && names.iter().any(|name| name == row.name))
}

/// All components.
pub(crate) const COMPONENTS: [Component; 7] = [
    Component { name: "apiserver", role: Role::ControlPlane, start: Some(control_plane::apiserver) },
    Component { name: "controller-manager", role: Role::ControlPlane, start: Some(control_plane::controller_manager) },
    Component { name: "scheduler", role: Role::ControlPlane, start: Some(control_plane::scheduler) },
    Component { name: "podnet", role: Role::Node, start: Some(node::podnet) },
    Component { name: "proxy", role: Role::Network, start: Some(node::proxy) },
    Component { name: "kubelet", role: Role::Node, start: Some(node::kubelet) },
    Component { name: "dns", role: Role::Node, start: Some(node::dns) },
];

/// Runs a component's work to its end, which is told when it is an early one.
async fn told<E: std::error::Error>(what: &'static str, work: impl Future<Output = Result<(), E>>) {
    if let Err(error) = work.await {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%error, cause, "{what} cannot work");
    }
}

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

#[cfg(test)]
mod tests;
