//! How a kubelet is set up. Read once; nothing else looks at flags, files or variables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use mounts::cgroup::Driver;
use podplan::backoff::Bounds;
use podplan::eviction::{HARD_DEFAULTS, Threshold};
use podplan::garbage::ImageRules;
use podplan::network::{ClusterDns, Dns};
use typed::api::core::v1::Taint;

/// Settings of a kubelet.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's name.
    pub node_name: String,
    /// The node's addresses, the primary one first.
    pub node_ips: Vec<String>,
    /// Labels of the node beside the usual ones.
    pub node_labels: BTreeMap<String, String>,
    /// Taints of the node when it registers.
    pub node_taints: Vec<Taint>,
    /// The port of the kubelet's server.
    pub port: u16,
    /// Pods at most (`maxPods`).
    pub pods_max: u32,
    /// What is kept from pods, by resource: bytes, and thousandths of a core.
    pub reserved: BTreeMap<String, i64>,
    /// Below these, pods are evicted (`evictionHard`).
    pub eviction_hard: Vec<Threshold>,
    /// When images are removed, and which (`imageGCHighThresholdPercent` and its like).
    pub image_rules: ImageRules,
    /// Images that are never removed, by tag: those that no registry has.
    pub images_kept: Vec<String>,
    /// How often that is looked at.
    pub image_collection_interval: Duration,
    /// How often the whole node is looked at, for what nobody told.
    pub relist_interval: Duration,
    /// How often logs are rotated and thresholds looked at.
    pub upkeep_interval: Duration,
    /// The version that the node reports: `v1.36.0`.
    pub version: String,
    /// State: `/var/lib/kubelet`.
    pub root: PathBuf,
    /// Logs of pods: `/var/log/pods`.
    pub pod_logs: PathBuf,
    /// Links to logs of containers: `/var/log/containers`.
    pub container_logs: PathBuf,
    /// Manifests of static pods: `/etc/kubernetes/manifests`.
    pub manifests: Option<PathBuf>,
    /// Where cgroups are mounted: `/sys/fs/cgroup`.
    pub cgroup_mount: PathBuf,
    /// The cgroup below which pods go, as names; empty for the root.
    pub cgroup_root: Vec<String>,
    /// Who makes cgroups.
    pub cgroup_driver: Driver,
    /// Processes and threads of a pod at most (`podPidsLimit`).
    pub pod_pids_max: Option<i64>,
    /// The cluster's DNS.
    pub cluster_dns: ClusterDns,
    /// The node's resolver configuration.
    pub host_dns: Dns,
    /// Crash-loop delays.
    pub crash_loop: Bounds,
    /// How long a container rests at least that could not be made; by chance half as long again.
    pub failed_start: Duration,
    /// Delays between pulls of an image that failed.
    pub image_pull: Bounds,
    /// How long a pull may take.
    pub image_pull_limit: Duration,
    /// How many pulls run at once (`serializeImagePulls: true` is 1).
    pub image_pulls_max: usize,
    /// A log beyond this size is moved away (`containerLogMaxSize`).
    pub log_bytes_max: u64,
    /// How many logs of a container stay (`containerLogMaxFiles`).
    pub log_files_max: usize,
    /// What runs without a seccomp profile gets the runtime's (`seccompDefault`).
    pub seccomp_default: bool,
    /// Sysctls beyond the safe ones that pods may set.
    pub allowed_sysctls: Vec<String>,
}

impl Config {
    /// The settings of a node that configures nothing, for a node called `node_name`.
    pub fn new(node_name: &str) -> Config {
        Config {
            node_name: node_name.to_owned(),
            node_ips: Vec::new(),
            node_labels: BTreeMap::new(),
            node_taints: Vec::new(),
            port: 10250,
            pods_max: 110,
            reserved: BTreeMap::new(),
            eviction_hard: HARD_DEFAULTS.to_vec(),
            image_rules: ImageRules::default(),
            images_kept: Vec::new(),
            image_collection_interval: Duration::from_secs(5 * 60),
            relist_interval: Duration::from_secs(60),
            upkeep_interval: Duration::from_secs(10),
            version: "v1.36.0".to_owned(),
            root: PathBuf::from("/var/lib/kubelet"),
            pod_logs: PathBuf::from("/var/log/pods"),
            container_logs: PathBuf::from("/var/log/containers"),
            manifests: None,
            cgroup_mount: PathBuf::from("/sys/fs/cgroup"),
            cgroup_root: Vec::new(),
            cgroup_driver: Driver::Cgroupfs,
            pod_pids_max: None,
            cluster_dns: ClusterDns::default(),
            host_dns: Dns::default(),
            crash_loop: Bounds::USUAL,
            failed_start: Duration::from_secs(10),
            image_pull: Bounds::USUAL,
            image_pull_limit: Duration::from_secs(30 * 60),
            image_pulls_max: 1,
            log_bytes_max: 10 << 20,
            log_files_max: 5,
            seccomp_default: false,
            allowed_sysctls: Vec::new(),
        }
    }

    /// The folder of a pod's state.
    pub fn pod_folder(&self, uid: &str) -> PathBuf {
        self.root.join("pods").join(uid)
    }

    /// The path of a pod's cgroup from the root, as names.
    pub(crate) fn pod_cgroup(&self, pod: &typed::api::core::v1::Pod) -> Vec<String> {
        let mut path = self.cgroup_root.clone();
        path.extend(podplan::resources::cgroup_path(pod));
        path
    }
}
