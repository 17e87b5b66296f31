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

/// Keeps everything but what a resize may change. Containers that were added, removed, renamed or reordered are left as
/// they are: validation refuses them.
fn resize(new: &mut Value, old: &Value) {
    let lists = ["containers", "initContainers"];
    let count = |pod: &Value, list: &str| pod.list_at(&["spec", list]).len();
    if lists.iter().any(|list| count(new, list) != count(old, list)) {
        return;
    }
    let names = |pod: &Value, list: &str| -> Vec<String> {
        let containers = pod.list_at(&["spec", list]).iter();
        containers.map(|container| container.str_at(&["name"]).unwrap_or_default().to_owned()).collect()
    };
    let wanted = new.get("spec").cloned().unwrap_or_default();
    let renamed = lists.map(|list| names(new, list) != names(old, list));
    carry(new, old, &["spec"]);
    for (list, renamed) in lists.into_iter().zip(renamed) {
        if renamed {
            new.set(&["spec", list], wanted.get(list).cloned().unwrap_or_default());
            continue;
        }
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
