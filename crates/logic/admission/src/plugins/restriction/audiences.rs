//! The audiences that a pod's volumes need tokens for.

use object::Value;

use crate::request::{Fact, Facts};
use crate::tree::{self, text};

/// Whether a volume of the pod needs tokens for `audience`: a projected token, or a CSI driver that asks for one.
/// An empty audience is the API server's own.
pub(super) fn named(facts: &dyn Facts, namespace: &str, pod: &Value, audience: &str) -> bool {
    pod.list_at(&["spec", "volumes"]).iter().any(|volume| {
        let projected = tree::projections(volume).filter_map(|source| source.get("serviceAccountToken"));
        let mut audiences = projected.map(|token| text(token, &["audience"]));
        audiences.any(|needed| needed == audience)
            || driver_of(facts, namespace, pod, volume).is_some_and(|driver| asks_for(facts, &driver, audience))
    })
}

/// The CSI driver behind a volume, directly or through its claim.
fn driver_of(facts: &dyn Facts, namespace: &str, pod: &Value, volume: &Value) -> Option<String> {
    if let Some(driver) = volume.str_at(&["csi", "driver"]) {
        return Some(driver.to_owned());
    }
    let claim = match volume.str_at(&["persistentVolumeClaim", "claimName"]) {
        Some(name) => name.to_owned(),
        None if tree::is_set(volume, &["ephemeral"]) => {
            format!("{}-{}", text(pod, &["metadata", "name"]), text(volume, &["name"]))
        }
        None => return None,
    };
    let claim = facts.get(Fact::PersistentVolumeClaim, namespace, &claim)?;
    let volume = facts.get(Fact::PersistentVolume, "", claim.str_at(&["spec", "volumeName"])?)?;
    volume.str_at(&["spec", "csi", "driver"]).map(str::to_owned)
}

fn asks_for(facts: &dyn Facts, driver: &str, audience: &str) -> bool {
    facts.get(Fact::CsiDriver, "", driver).is_some_and(|driver| {
        let mut requests = driver.list_at(&["spec", "tokenRequests"]).iter();
        requests.any(|request| text(request, &["audience"]) == audience)
    })
}
