//! The writes that come before a binding: volumes for claims.

use std::time::Duration;

use client::Patch;
use object::Value;
use scheduling::{PodRef, VolumeStep};
use typed::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};

use crate::writes::Pen;

/// How long a pod waits for its claims once a node is chosen (`bindTimeoutSeconds` of the plugin VolumeBinding).
const CLAIMS_SECONDS_MAX: u64 = 600;
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// Why a pod's volumes cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server refused, or did not answer.
    #[error(transparent)]
    Write(#[from] client::Error),
    /// The claim is gone.
    #[error("persistentvolumeclaim {0:?} not found")]
    Missing(String),
    /// Nobody bound the claims in time.
    #[error("binding volumes: context deadline exceeded")]
    Late,
}

/// Takes one step.
pub(crate) async fn take(pen: &Pen, step: &VolumeStep) -> Result<(), Error> {
    match step {
        VolumeStep::BindVolume { volume, namespace, claim } => {
            let owner = pen.claims.get(namespace, claim).ok_or_else(|| Error::Missing(claim.clone()))?;
            let mut bound: PersistentVolume = pen.client.get("", volume).await?;
            bound.spec.get_or_insert_default().claim_ref = Some(reference(&owner));
            let annotations = bound.metadata.annotations.get_or_insert_default();
            annotations.insert(BOUND_BY_CONTROLLER.to_owned(), "yes".to_owned());
            pen.client.update(&bound).await?;
        }
        VolumeStep::Provision { namespace, claim, node } => {
            let owner = pen.claims.get(namespace, claim).ok_or_else(|| Error::Missing(claim.clone()))?;
            let mut patch = Value::map();
            if let Some(uid) = &owner.metadata.uid {
                patch.set(&["metadata", "uid"], uid.as_str());
            }
            patch.set(&["metadata", "annotations", SELECTED_NODE], node.as_str());
            pen.client.patch::<PersistentVolumeClaim>(namespace, claim, "", &Patch::Merge(patch)).await?;
        }
    }
    Ok(())
}

/// Waits until all claims of the steps are bound.
pub(crate) async fn bound(pen: &Pen, pod: &PodRef, steps: &[VolumeStep]) -> Result<(), Error> {
    let mut open: Vec<&str> = steps
        .iter()
        .map(|step| match step {
            VolumeStep::BindVolume { claim, .. } | VolumeStep::Provision { claim, .. } => claim.as_str(),
        })
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let mut news = pen.claims.subscribe();
    let all_bound = async {
        while !open.is_empty() {
            let Some(changed) = news.next().await else { return };
            let Some(claim) = changed.new else { continue };
            if claim.metadata.namespace.as_deref() == Some(pod.namespace.as_str()) && is_bound(&claim) {
                open.retain(|name| claim.metadata.name.as_deref() != Some(*name));
            }
        }
    };
    env::time::timeout(Duration::from_secs(CLAIMS_SECONDS_MAX), all_bound).await.map_err(|_elapsed| Error::Late)
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).is_some_and(|name| !name.is_empty());
    named && claim.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(BIND_COMPLETED))
}

fn reference(claim: &PersistentVolumeClaim) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        namespace: claim.metadata.namespace.clone(),
        name: claim.metadata.name.clone(),
        uid: claim.metadata.uid.clone(),
        resource_version: claim.metadata.resource_version.clone(),
        field_path: None,
    }
}
