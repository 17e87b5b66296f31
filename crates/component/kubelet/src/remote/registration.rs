//! The node's object and its lease.

use client::{Client, Error};
use parking_lot::Mutex;
use typed::Kind;
use typed::api::coordination::v1::{Lease, LeaseSpec};
use typed::api::core::v1::{Node, NodeStatus};
use typed::meta::{MicroTime, ObjectMeta, OwnerReference};

use super::{CONFLICTS_MAX, problem};
use crate::api::ApiError;

/// Where leases of nodes are.
const LEASES: &str = "kube-node-lease";
/// How long a lease holds (`nodeLeaseDurationSeconds`).
const LEASE_SECONDS: i32 = 40;
/// The labels that are the kubelet's to keep right on a node that is there already.
const OWN_LABELS: [&str; 3] = ["hostname", "os", "arch"];

/// Makes the node or adopts the one that is there, and writes what it says of itself.
pub(super) async fn register(client: &Client, wanted: Node) -> Result<(), ApiError> {
    for _attempt in 0..CONFLICTS_MAX {
        match once(client, &wanted).await {
            Err(error) if error.is_conflict() || error.is_already_exists() => {}
            other => return other.map_err(problem),
        }
    }
    Err(ApiError::Conflict(format!("nodes \"{}\" changes too often", wanted.name())))
}

async fn once(client: &Client, wanted: &Node) -> Result<(), Error> {
    let mut node = match client.get::<Node>("", wanted.name()).await {
        Err(error) if error.is_not_found() => client.create(wanted).await?,
        other => other?,
    };
    let mut labels = node.metadata.labels.clone().unwrap_or_default();
    let own = wanted.metadata.labels.iter().flatten().filter(|(key, _)| {
        let (prefix, name) = key.split_once('/').unwrap_or_default();
        matches!(prefix, "kubernetes.io" | "beta.kubernetes.io") && OWN_LABELS.contains(&name)
    });
    labels.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    if node.metadata.labels.as_ref() != Some(&labels) {
        node.metadata.labels = Some(labels);
        node = client.update(&node).await?;
    }
    node.status = Some(merged(node.status, wanted.status.clone().unwrap_or_default()));
    client.update_status(&node).await.map(drop)
}

/// The status to write: ours, with what others write into it left as it is.
fn merged(live: Option<NodeStatus>, ours: NodeStatus) -> NodeStatus {
    let live = live.unwrap_or_default();
    let mut conditions = ours.conditions.unwrap_or_default();
    let foreign = live.conditions.into_iter().flatten();
    let foreign: Vec<_> = foreign.filter(|it| conditions.iter().all(|own| own.type_ != it.type_)).collect();
    conditions.extend(foreign);
    // Resources that others announce stay.
    let mut capacity = live.capacity.unwrap_or_default();
    capacity.extend(ours.capacity.into_iter().flatten());
    let mut allocatable = live.allocatable.unwrap_or_default();
    allocatable.extend(ours.allocatable.into_iter().flatten());
    NodeStatus {
        conditions: Some(conditions),
        capacity: Some(capacity),
        allocatable: Some(allocatable),
        addresses: ours.addresses,
        daemon_endpoints: ours.daemon_endpoints,
        images: ours.images,
        node_info: ours.node_info,
        ..live
    }
}

/// Renews the node's lease, or makes it.
pub(super) async fn renew(
    client: &Client,
    node_name: &str,
    held: &Mutex<Option<Lease>>,
    now: jiff::Timestamp,
) -> Result<(), ApiError> {
    for _attempt in 0..CONFLICTS_MAX {
        let known = held.lock().take();
        match renewed(client, node_name, known, now).await {
            Ok(lease) => {
                *held.lock() = Some(lease);
                return Ok(());
            }
            Err(error) if error.is_conflict() || error.is_already_exists() => {}
            Err(error) => return Err(problem(error)),
        }
    }
    Err(ApiError::Conflict(format!("leases \"{node_name}\" changes too often")))
}

async fn renewed(client: &Client, node_name: &str, known: Option<Lease>, now: jiff::Timestamp) -> Result<Lease, Error> {
    let found = match known {
        Some(lease) => Some(lease),
        None => match client.get::<Lease>(LEASES, node_name).await {
            Err(error) if error.is_not_found() => None,
            other => Some(other?),
        },
    };
    let fresh = |lease: Option<LeaseSpec>| LeaseSpec {
        holder_identity: Some(node_name.to_owned()),
        lease_duration_seconds: Some(LEASE_SECONDS),
        renew_time: Some(MicroTime(now)),
        ..lease.unwrap_or_default()
    };
    if let Some(mut lease) = found {
        lease.spec = Some(fresh(lease.spec.take()));
        return client.update(&lease).await;
    }
    let mut metadata =
        ObjectMeta { name: Some(node_name.to_owned()), namespace: Some(LEASES.to_owned()), ..Default::default() };
    // It goes when the node goes; before the node is made there is nobody to name.
    if let Ok(node) = client.get::<Node>("", node_name).await {
        metadata.owner_references = Some(vec![OwnerReference {
            api_version: Node::API_VERSION.to_owned(),
            kind: Node::KIND.to_owned(),
            name: node_name.to_owned(),
            uid: node.uid().to_owned(),
            ..Default::default()
        }]);
    }
    client.create(&Lease { metadata, spec: Some(fresh(None)) }).await
}
