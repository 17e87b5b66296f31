//! The status that is reported for a pod.

mod conditions;
mod containers;
mod phase;

use typed::api::core::v1::{ContainerStatus, HostIP, Pod, PodIP, PodStatus};
use typed::meta::Time;

use crate::plan::{Plan, Role, Situation};
use crate::{qos, resize, spec};

pub use containers::{CONTAINER_CREATING, POD_INITIALIZING};

/// What a status says of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The node's addresses, the primary one first.
    pub ips: Vec<String>,
    /// The runtime's name, the scheme of container ids: `containerd`.
    pub runtime: String,
}

/// The status of a container in `status`, of whatever role.
pub fn container_status<'a>(status: &'a PodStatus, name: &str) -> Option<&'a ContainerStatus> {
    [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses]
        .into_iter()
        .flatten()
        .flatten()
        .find(|status| status.name == name)
}

/// Whether a phase is an end.
pub fn is_terminal(status: &PodStatus) -> bool {
    matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"))
}

/// The status to report, `plan` being the plan of the same situation.
///
/// Only times of transitions are taken over from the status before; everything else is said anew each time. What other
/// components own (nominated node, resource claims) stays as it is.
pub fn status(s: &Situation<'_>, plan: &Plan, node: &Node) -> PodStatus {
    let mut status = s.previous.clone();
    let all: Vec<(Role, ContainerStatus)> = spec::containers(s.pod)
        .iter()
        .map(|(role, container)| (*role, containers::status(s, plan, node, *role, container)))
        .collect();
    let of = |wanted: &[Role]| {
        let list: Vec<_> = all.iter().filter(|(role, _)| wanted.contains(role)).map(|(_, it)| it.clone()).collect();
        (!list.is_empty()).then_some(list)
    };
    status.init_container_statuses = of(&[Role::Init, Role::Sidecar]);
    status.container_statuses = of(&[Role::Regular]);
    status.ephemeral_container_statuses = of(&[Role::Ephemeral]);
    let (resources, allocated) = resize::pod_report(s);
    status.resources = Some(resources);
    status.allocated_resources = allocated;
    status.qos_class = Some(qos::class(s.pod).text().to_owned());
    status.observed_generation = s.pod.metadata.generation;
    status.start_time = status.start_time.or(Some(Time(s.now)));
    addresses(s, node, &mut status);
    verdict(s, plan, &mut status);
    status.conditions = Some(conditions::all(s, &status));
    status
}

fn verdict(s: &Situation<'_>, plan: &Plan, status: &mut PodStatus) {
    if let Some(verdict) = s.ending.and_then(|ending| ending.verdict.as_ref()) {
        status.phase = Some("Failed".to_owned());
        status.reason = Some(verdict.reason.clone());
        status.message = Some(verdict.message.clone());
    } else if !is_terminal(s.previous) {
        status.phase = Some(phase::phase(s, plan, status).to_owned());
    }
}

fn addresses(s: &Situation<'_>, node: &Node, status: &mut PodStatus) {
    if !node.ips.is_empty() {
        status.host_ip = node.ips.first().cloned();
        status.host_ips = Some(node.ips.iter().map(|ip| HostIP { ip: ip.clone() }).collect());
    }
    let ips = if host_network(s.pod) {
        // A pod on the node's network has its addresses from when it has a sandbox.
        s.observed.sandbox().map(|_| node.ips.clone()).unwrap_or_default()
    } else {
        s.observed.sandbox().map(|sandbox| sandbox.ips.clone()).unwrap_or_default()
    };
    // An address that was given stays in the status when the sandbox goes.
    if !ips.is_empty() {
        status.pod_ip = ips.first().cloned();
        status.pod_ips = Some(ips.into_iter().map(|ip| PodIP { ip }).collect());
    }
}

pub(crate) fn host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or_default()
}
