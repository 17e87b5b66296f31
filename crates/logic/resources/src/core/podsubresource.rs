//! What an update of a pod, or of one of its subresources, lets through.

use kind::Context;
use object::Value;

use crate::podspec;
use crate::tree::{blank, carry, carry_metadata, empty, put};

/// Fields of a container that a resize may change.
const RESIZABLE: [&str; 2] = ["resources", "resizePolicy"];

/// Keeps what the subresource may not change.
pub(crate) fn update(context: &Context<'_>, new: &mut Value, old: &Value) {
    match context.subresource {
        "status" => keep_observations(new, old),
        "ephemeralcontainers" => {
            let containers = new.at(&["spec", "ephemeralContainers"]).cloned();
            carry(new, old, &["spec"]);
            match containers {
                Some(containers) => new.set(&["spec", "ephemeralContainers"], containers),
                None => drop(new.remove(&["spec", "ephemeralContainers"])),
            }
            carry(new, old, &["status"]);
            carry_metadata(new, old);
        }
        "resize" => resize(new, old),
        _ => {
            if let Some(spec) = new.get_mut("spec") {
                podspec::mirror_service_account(spec);
            }
        }
    }
}

/// A resize that adds, removes, renames or reorders containers is left as it is: validation refuses it.
fn resize(new: &mut Value, old: &Value) {
    let lists = ["containers", "initContainers"];
    let names = |pod: &Value, list: &str| -> Vec<String> {
        let containers = pod.list_at(&["spec", list]).iter();
        containers.map(|container| container.str_at(&["name"]).unwrap_or_default().to_owned()).collect()
    };
    if lists.iter().any(|list| names(new, list) != names(old, list)) {
        return;
    }
    let wanted = new.get("spec").cloned().unwrap_or_default();
    carry(new, old, &["spec"]);
    for list in lists {
        let asked = wanted.list_at(&[list]);
        let Some(Value::List(kept)) = new.at_mut(&["spec", list]) else { continue };
        for (kept, asked) in kept.iter_mut().zip(asked) {
            for key in RESIZABLE {
                carry(kept, asked, &[key]);
            }
        }
    }
    match wanted.get("resources") {
        Some(resources) => new.set(&["spec", "resources"], resources.clone()),
        None => drop(new.remove(&["spec", "resources"])),
    }
    carry(new, old, &["status"]);
    carry_metadata(new, old);
}

/// A status that leaves out its class or what it observed keeps what stood there.
fn keep_observations(new: &mut Value, old: &Value) {
    if blank(new.at(&["status", "qosClass"])) {
        carry(new, old, &["status", "qosClass"]);
    }
    if new.int_at(&["status", "observedGeneration"]).unwrap_or(0) == 0 {
        carry(new, old, &["status", "observedGeneration"]);
    }
    if empty(new.at(&["status", "conditions"])) {
        return;
    }
    let mut known: Vec<&Value> = old.list_at(&["status", "conditions"]).iter().collect();
    let Some(Value::List(conditions)) = new.at_mut(&["status", "conditions"]) else { return };
    for condition in conditions {
        let found = known.iter().position(|candidate| candidate.get("type") == condition.get("type"));
        let before = found.map(|position| known.remove(position));
        let generation = before.and_then(|before| before.int_at(&["observedGeneration"])).unwrap_or(0);
        if generation != 0 && condition.int_at(&["observedGeneration"]).unwrap_or(0) == 0 {
            put(condition, "observedGeneration", generation);
        }
    }
}
