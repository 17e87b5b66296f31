//! What all pods of a node share.

use std::sync::Arc;

use cri::Runtime;
use mounts::cgroup::Cgroups;
use mounts::machine::Machine;
use observe::said::Said;
use podplan::fields::Facts;

use crate::api::Api;
use crate::config::Config;
use crate::events::Recorder;
use crate::garbage::Garbage;
use crate::images::Images;
use crate::metrics::Metrics;
use crate::statuses::Statuses;
use crate::volumes::Volumes;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) runtime_name: String,
    pub(crate) api: Arc<dyn Api>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) images: Images,
    pub(crate) garbage: Garbage,
    pub(crate) metrics: Metrics,
    /// What was said of folders that cannot be measured.
    pub(crate) unmeasured: Said,
    pub(crate) volumes: Volumes,
    pub(crate) cgroups: Cgroups,
    pub(crate) machine: Machine,
    pub(crate) statuses: Arc<Statuses>,
}

impl Shared {
    /// What pods may ask for together: thousandths of a core, and bytes of memory.
    pub(crate) fn allocatable(&self) -> (i64, i64) {
        let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        let kept = |name: &str| self.config.reserved.get(name).copied().unwrap_or_default();
        let cpu = signed(self.machine.cpus).saturating_mul(1000).saturating_sub(kept("cpu"));
        (cpu, signed(self.machine.memory_bytes).saturating_sub(kept("memory")))
    }

    /// What of a pod with the addresses `pod_ips` only the node knows.
    pub(crate) fn facts(&self, pod_ips: Vec<String>) -> Facts {
        let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        let space = mounts::filesystem::space(&self.config.root).unwrap_or_default();
        Facts {
            node_name: self.config.node_name.clone(),
            host_ips: self.config.node_ips.clone(),
            pod_ips,
            allocatable_cpu_milli: signed(self.machine.cpus).saturating_mul(1000),
            allocatable_memory_bytes: signed(self.machine.memory_bytes),
            allocatable_ephemeral_storage_bytes: signed(space.capacity_bytes),
        }
    }
}
