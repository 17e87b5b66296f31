//! The rows: which controller is made how. A controller that [`crate::roster`] calls built has a line here.

mod certificates;
mod garbage;
mod namespaces;
mod nodes;
mod policy;
mod quotas;
mod services;
mod storage;
mod tokens;
mod workloads;

use std::sync::Arc;

use workqueue::Controller;

use crate::config::Config;
use crate::controller::Site;
use crate::roster;

/// Makes the controller of a row: mostly one, sometimes two that work side by side. None when the configuration lacks what
/// it needs.
pub(crate) async fn wire(
    row: &roster::Controller,
    site: &Site<'_>,
    config: &Config,
) -> Result<Vec<Controller>, client::Error> {
    Ok(match row.name {
        "garbage-collector-controller" => vec![garbage::collector(site).await?],
        "job-controller" => vec![workloads::jobs(site), workloads::orphans_of_jobs(site)],
        "resourcequota-controller" => vec![quotas::books(site).await?],
        "root-ca-certificate-publisher-controller" => {
            config.root_ca_pem.iter().map(|bundle| namespaces::root_ca(site, bundle.clone())).collect()
        }
        "certificatesigningrequest-signing-controller" => {
            let signer = config.signer.iter();
            signer.map(|signer| certificates::signing(site, Arc::clone(signer), config.signing_validity)).collect()
        }
        "node-ipam-controller" => {
            let ranges = config.node_ranges();
            ranges.into_iter().map(|allocator| nodes::ranges(site, allocator)).collect()
        }
        "node-lifecycle-controller" => vec![nodes::health(site, config.node_health.clone())],
        "pod-garbage-collector-controller" => vec![nodes::abandoned_pods(site, config.ended_pods_max)],
        name => simple(name).into_iter().map(|make| make(site)).collect(),
    })
}

/// The controllers that need nothing but informers.
fn simple(name: &str) -> Option<fn(&Site<'_>) -> Controller> {
    Some(match name {
        "bootstrap-signer-controller" => tokens::signer,
        "certificatesigningrequest-approving-controller" => certificates::approval,
        "certificatesigningrequest-cleaner-controller" => certificates::cleanup,
        "clusterrole-aggregation-controller" => policy::aggregated_roles,
        "cronjob-controller" => workloads::cron_jobs,
        "daemonset-controller" => workloads::daemon_sets,
        "deployment-controller" => workloads::deployments,
        "disruption-controller" => policy::disruption,
        "endpoints-controller" => services::endpoints,
        "endpointslice-controller" => services::slices,
        "endpointslice-mirroring-controller" => services::mirrored_slices,
        "ephemeral-volume-controller" => storage::ephemeral_claims,
        "namespace-controller" => namespaces::ends,
        "persistentvolume-protection-controller" => storage::volume_protection,
        "persistentvolumeclaim-protection-controller" => storage::claim_protection,
        "replicaset-controller" => workloads::replica_sets,
        "replicationcontroller-controller" => workloads::replication_controllers,
        "serviceaccount-controller" => namespaces::accounts,
        "statefulset-controller" => workloads::stateful_sets,
        "taint-eviction-controller" => nodes::evictions,
        "token-cleaner-controller" => tokens::cleaner,
        "ttl-after-finished-controller" => workloads::ended_jobs,
        "volumeattributesclass-protection-controller" => storage::attributes_protection,
        "ttl-controller" => nodes::freshness,
        _ => return None,
    })
}
