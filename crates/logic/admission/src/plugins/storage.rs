//! StorageObjectInUseProtection and PersistentVolumeClaimResize: volumes outlive their use, and grow where they can.

use kind::Refusal;
use object::Meta;
use object::Value;

use crate::amounts::Amounts;
use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;

const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// A finalizer keeps storage until nobody uses it any more.
pub(super) fn protect(
    request: &Request<'_>,
    _facts: &dyn Facts,
    object: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let finalizer = match (request.resource.group.as_str(), request.resource.plural.as_str(), request.subresource) {
        ("", "persistentvolumes", "") => "kubernetes.io/pv-protection",
        ("", "persistentvolumeclaims", "") => "kubernetes.io/pvc-protection",
        ("storage.k8s.io", "volumeattributesclasses", "") => "kubernetes.io/vac-protection",
        _ => return Ok(()),
    };
    if !Meta::of(object).finalizers().any(|known| known == finalizer) {
        tree::push(object, &["metadata", "finalizers"], Value::from(finalizer));
    }
    Ok(())
}

/// A claim grows only when it is bound and its class allows it.
pub(super) fn resize(
    request: &Request<'_>,
    facts: &dyn Facts,
    claim: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let Some(old) = request.old.filter(|_| request.is_whole("", "persistentvolumeclaims")) else { return Ok(()) };
    let size = |claim| Amounts::at(claim, &["spec", "resources", "requests"]).get("storage").cloned();
    let (before, after) = (size(old), size(claim));
    if after.is_none() || after <= before {
        return Ok(());
    }
    if tree::text(old, &["status", "phase"]) != "Bound" {
        return Err(request.forbidden(Some(claim), "Only bound persistent volume claims can be expanded"));
    }
    let class = class_of(claim);
    let expands = class == class_of(old)
        && facts
            .get(Fact::StorageClass, "", class)
            .is_some_and(|class| tree::flag(&class, &["allowVolumeExpansion"]).unwrap_or(false));
    if class.is_empty() || !expands {
        let text = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support \
                    resize";
        return Err(request.forbidden(Some(claim), text));
    }
    Ok(())
}

fn class_of(claim: &Value) -> &str {
    Meta::of(claim).annotation(CLASS).unwrap_or_else(|| tree::text(claim, &["spec", "storageClassName"]))
}
