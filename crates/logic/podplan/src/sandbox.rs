//! Whether a pod needs a (new) sandbox.

use typed::api::core::v1::Pod;

use crate::observed::Observed;

/// What a pod needs by way of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxNeed {
    /// The newest sandbox serves.
    None,
    /// A new one, the `attempt`-th; what there is must be stopped first.
    New {
        /// How many there were before.
        attempt: u32,
        /// Why the newest one does not serve.
        why: &'static str,
    },
}

pub(crate) fn need(pod: &Pod, observed: &Observed) -> SandboxNeed {
    let Some(newest) = observed.sandbox() else {
        return SandboxNeed::New { attempt: 0, why: "No sandbox for pod can be found. Need to start a new one" };
    };
    let again = |why| SandboxNeed::New { attempt: newest.attempt + 1, why };
    let host_network = pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or_default();
    if observed.sandboxes.iter().filter(|sandbox| sandbox.ready).count() > 1 {
        again("Multiple sandboxes are ready for Pod. Need to reconcile them")
    } else if !newest.ready {
        again("No ready sandbox for pod can be found. Need to start a new one")
    } else if newest.host_network != host_network {
        again("Sandbox for pod has changed. Need to start a new one")
    } else if !host_network && newest.ips.is_empty() {
        again("Sandbox for pod has no IP address. Need to start a new one")
    } else {
        SandboxNeed::None
    }
}
