//! All controllers of v1.36, as rows: names, old aliases, the ServiceAccount each acts as, and when it runs.

/// When a controller runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Unless it is switched off.
    ByDefault,
    /// Only if `--controllers` names it.
    OnRequest,
    /// Only with a cloud provider, which this manager never has: an external cloud controller manager runs it.
    WithCloud,
    /// Only with this feature gate.
    WithGate(&'static str),
}

/// One controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controller {
    /// Canonical name: flags, logs, metrics.
    pub name: &'static str,
    /// The name before 1.28, still accepted by `--controllers`.
    pub alias: &'static str,
    /// Its ServiceAccount in `kube-system`.
    pub account: &'static str,
    /// When it runs.
    pub runs: Runs,
    /// Whether it has a planner. One without says so in the log when it would start, and nothing else happens.
    pub built: bool,
}

const fn row(name: &'static str, alias: &'static str, account: &'static str, runs: Runs, built: bool) -> Controller {
    Controller { name, alias, account, runs, built }
}

use Runs::{ByDefault, OnRequest, WithCloud, WithGate};

/// The rows, by name.
#[rustfmt::skip]
pub const CONTROLLERS: &[Controller] = &[
    row("bootstrap-signer-controller", "bootstrapsigner", "bootstrap-signer", OnRequest, true),
    row("certificatesigningrequest-approving-controller", "csrapproving", "certificate-controller", ByDefault, true),
    row("certificatesigningrequest-cleaner-controller", "csrcleaner", "certificate-controller", ByDefault, true),
    row("certificatesigningrequest-signing-controller", "csrsigning", "certificate-controller", ByDefault, true),
    row("cloud-node-lifecycle-controller", "cloud-node-lifecycle", "node-controller", WithCloud, false),
    row("clusterrole-aggregation-controller", "clusterrole-aggregation", "clusterrole-aggregation-controller", ByDefault, true),
    row("cronjob-controller", "cronjob", "cronjob-controller", ByDefault, true),
    row("daemonset-controller", "daemonset", "daemon-set-controller", ByDefault, true),
    row("deployment-controller", "deployment", "deployment-controller", ByDefault, true),
    row("device-taint-eviction-controller", "", "device-taint-eviction-controller", ByDefault, false),
    row("disruption-controller", "disruption", "disruption-controller", ByDefault, true),
    row("endpoints-controller", "endpoint", "endpoint-controller", ByDefault, true),
    row("endpointslice-controller", "endpointslice", "endpointslice-controller", ByDefault, true),
    row("endpointslice-mirroring-controller", "endpointslicemirroring", "endpointslicemirroring-controller", ByDefault, true),
    row("ephemeral-volume-controller", "ephemeral-volume", "ephemeral-volume-controller", ByDefault, true),
    row("garbage-collector-controller", "garbagecollector", "generic-garbage-collector", ByDefault, true),
    row("horizontal-pod-autoscaler-controller", "horizontalpodautoscaling", "horizontal-pod-autoscaler", ByDefault, false),
    row("job-controller", "job", "job-controller", ByDefault, true),
    row("kube-apiserver-serving-clustertrustbundle-publisher-controller", "", "kube-apiserver-serving-clustertrustbundle-publisher", WithGate("ClusterTrustBundle"), false),
    row("legacy-serviceaccount-token-cleaner-controller", "legacy-service-account-token-cleaner", "legacy-service-account-token-cleaner", ByDefault, false),
    row("namespace-controller", "namespace", "namespace-controller", ByDefault, true),
    row("node-ipam-controller", "nodeipam", "node-controller", ByDefault, true),
    row("node-lifecycle-controller", "nodelifecycle", "node-controller", ByDefault, true),
    row("node-route-controller", "route", "route-controller", WithCloud, false),
    row("persistentvolume-attach-detach-controller", "attachdetach", "attachdetach-controller", ByDefault, false),
    row("persistentvolume-binder-controller", "persistentvolume-binder", "persistent-volume-binder", ByDefault, false),
    row("persistentvolume-expander-controller", "persistentvolume-expander", "expand-controller", ByDefault, false),
    row("persistentvolume-protection-controller", "pv-protection", "pv-protection-controller", ByDefault, true),
    row("persistentvolumeclaim-protection-controller", "pvc-protection", "pvc-protection-controller", ByDefault, true),
    row("pod-garbage-collector-controller", "podgc", "pod-garbage-collector", ByDefault, true),
    row("podcertificaterequest-cleaner-controller", "", "podcertificaterequestcleaner", WithGate("PodCertificateRequest"), false),
    row("podgroup-protection-controller", "", "podgroup-protection-controller", WithGate("GenericWorkload"), false),
    row("replicaset-controller", "replicaset", "replicaset-controller", ByDefault, true),
    row("replicationcontroller-controller", "replicationcontroller", "replication-controller", ByDefault, true),
    row("resourceclaim-controller", "", "resource-claim-controller", ByDefault, false),
    row("resourcepoolstatusrequest-controller", "", "resourcepoolstatusrequest-controller", WithGate("DRAResourcePoolStatus"), false),
    row("resourcequota-controller", "resourcequota", "resourcequota-controller", ByDefault, true),
    row("root-ca-certificate-publisher-controller", "root-ca-cert-publisher", "root-ca-cert-publisher", ByDefault, true),
    row("selinux-warning-controller", "", "selinux-warning-controller", OnRequest, false),
    row("service-cidr-controller", "", "service-cidrs-controller", ByDefault, false),
    row("service-lb-controller", "service", "service-controller", WithCloud, false),
    row("serviceaccount-controller", "serviceaccount", "service-account-controller", ByDefault, true),
    row("serviceaccount-token-controller", "serviceaccount-token", "", ByDefault, false),
    row("statefulset-controller", "statefulset", "statefulset-controller", ByDefault, true),
    row("storage-version-migrator-controller", "", "storage-version-migrator-controller", WithGate("StorageVersionMigrator"), false),
    row("storageversion-garbage-collector-controller", "storage-version-gc", "", WithGate("StorageVersionAPI"), false),
    row("taint-eviction-controller", "", "node-controller", ByDefault, true),
    row("token-cleaner-controller", "tokencleaner", "token-cleaner", OnRequest, true),
    row("ttl-after-finished-controller", "ttl-after-finished", "ttl-after-finished-controller", ByDefault, true),
    row("ttl-controller", "ttl", "ttl-controller", ByDefault, true),
    row("validatingadmissionpolicy-status-controller", "", "validatingadmissionpolicy-status-controller", ByDefault, false),
    row("volumeattributesclass-protection-controller", "", "volumeattributesclass-protection-controller", ByDefault, true),
];

/// What `--controllers` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Vec<Wish>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    All,
    With(&'static str),
    Without(&'static str),
}

impl Selection {
    /// Reads the flag: `*`, `foo`, `-foo`, with canonical names or old aliases.
    ///
    /// # Errors
    /// All names that no controller has, each with upstream's sentence.
    pub fn parse<'a>(items: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<String>> {
        let (mut wishes, mut problems) = (Vec::new(), Vec::new());
        for item in items.into_iter().filter(|item| !item.is_empty()) {
            let (bare, without) = item.strip_prefix('-').map_or((item, false), |bare| (bare, true));
            match (item, find(bare)) {
                ("*", _) => wishes.push(Wish::All),
                (_, Some(known)) if without => wishes.push(Wish::Without(known.name)),
                (_, Some(known)) => wishes.push(Wish::With(known.name)),
                (_, None) => problems.push(format!("{bare:?} is not in the list of known controllers")),
            }
        }
        if problems.is_empty() { Ok(Self(wishes)) } else { Err(problems) }
    }

    /// Whether a controller runs. The first wish that names it decides, then `*`, by which those on by default run.
    pub fn runs(&self, controller: &Controller, gate: impl Fn(&str) -> bool) -> bool {
        let possible = match controller.runs {
            WithCloud => false,
            WithGate(name) => gate(name),
            ByDefault | OnRequest => true,
        };
        let named = self.0.iter().find_map(|wish| match wish {
            Wish::With(name) if *name == controller.name => Some(true),
            Wish::Without(name) if *name == controller.name => Some(false),
            _ => None,
        });
        let by_star = || self.0.contains(&Wish::All) && controller.runs != OnRequest;
        possible && named.unwrap_or_else(by_star)
    }
}

/// A controller by its name or alias.
#[must_use]
pub fn find(name: &str) -> Option<&'static Controller> {
    let is = |row: &&Controller| row.name == name || (!row.alias.is_empty() && row.alias == name);
    CONTROLLERS.iter().find(is)
}

#[cfg(test)]
mod tests;
