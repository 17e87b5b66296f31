//! The kinds of the group `storage.k8s.io`.

use std::collections::{BTreeMap, BTreeSet};

use kind::{Context, Problem};
use object::{Path, Value};

use super::spot::{Problems, Spot};
use super::volume::driver_name;
use super::{formats, frozen, over};

const PARAMETERS_MAX: usize = 512;

/// What is wrong with a StorageClass.
pub(crate) fn class(_context: &Context<'_>, class: &Value) -> Vec<Problem> {
    over(class, |class, out| {
        let provisioner = class.at("provisioner");
        if provisioner.need(out) {
            let lower = provisioner.text().to_lowercase();
            for text in object::names::qualified_name(&lower) {
                out.push(Problem::invalid(provisioner.path.clone(), lower.as_str(), text));
            }
        }
        parameters(&class.at("parameters"), false, out);
        if !class.at("reclaimPolicy").text().is_empty() {
            class.at("reclaimPolicy").option(out, &["Delete", "Retain"]);
        }
        let mode = class.at("volumeBindingMode");
        if !mode.is_set() {
            mode.required(out, "");
        }
        mode.option(out, &["Immediate", "WaitForFirstConsumer"]);
        topologies(&class.at("allowedTopologies"), out);
    })
}

/// Terms that differ, of requirements that differ.
fn topologies(terms: &Spot<'_>, out: &mut Problems) {
    // Upstream compares with a list that begins with as many empty terms as there are terms.
    let mut known: Vec<BTreeMap<&str, BTreeSet<&str>>> = vec![BTreeMap::new(); terms.len()];
    for term in terms.items() {
        let expressions = term.at("matchLabelExpressions");
        let mut wanted = BTreeMap::new();
        for requirement in expressions.items() {
            let (key, values) = (requirement.at("key").or_empty(), requirement.at("values"));
            values.need(out);
            let mut distinct = BTreeSet::new();
            for value in values.items() {
                if !distinct.insert(value.text()) {
                    value.or_empty().duplicate(out);
                }
            }
            key.qualified(out);
            if wanted.insert(key.text(), distinct).is_some() {
                key.duplicate(out);
            }
        }
        for _ in known.iter().filter(|other| **other == wanted) {
            out.push(Problem::duplicate(expressions.path.clone(), ""));
        }
        known.push(wanted);
    }
}

fn parameters(map: &Spot<'_>, needed: bool, out: &mut Problems) {
    if needed && map.is_empty() {
        map.required(out, "must contain at least one key/value pair");
    }
    if map.len() > PARAMETERS_MAX {
        out.push(Problem::too_long(map.path.clone(), PARAMETERS_MAX));
    }
    for (key, _) in map.entries() {
        if key.is_empty() {
            out.push(Problem::invalid(map.path.clone(), key, "field can not be empty."));
        }
    }
}

/// What is wrong with a changed StorageClass.
pub(crate) fn class_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    let (now, then) = (Spot::root(new), Spot::root(old));
    for (field, detail) in [
        ("parameters", "updates to parameters are forbidden."),
        ("provisioner", "updates to provisioner are forbidden."),
        ("reclaimPolicy", "updates to reclaimPolicy are forbidden."),
    ] {
        if now.at(field).differs(&then.at(field)) {
            now.at(field).forbidden(&mut out, detail);
        }
    }
    frozen(new, old, &["volumeBindingMode"], &mut out);
    out
}

/// What is wrong with a VolumeAttributesClass.
pub(crate) fn attributes_class(_context: &Context<'_>, class: &Value) -> Vec<Problem> {
    over(class, |class, out| {
        driver_name(&class.at("driverName"), out);
        parameters(&class.at("parameters"), true, out);
    })
}

/// What is wrong with a changed VolumeAttributesClass.
pub(crate) fn attributes_class_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    let (now, then) = (Spot::root(new), Spot::root(old));
    for field in ["driverName", "parameters"] {
        if now.at(field).differs(&then.at(field)) {
            now.at(field).forbidden(&mut out, format!("updates to {field} are forbidden."));
        }
    }
    out
}

/// What is wrong with a VolumeAttachment.
pub(crate) fn attachment(_context: &Context<'_>, attachment: &Value) -> Vec<Problem> {
    over(attachment, |attachment, out| {
        let spec = attachment.at("spec");
        driver_name(&spec.at("attacher"), out);
        let (name, inline) = (spec.at("source.persistentVolumeName"), spec.at("source.inlineVolumeSpec"));
        match (name.is_set(), inline.is_set()) {
            (false, false) => {
                let detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
                spec.at("source").required(out, detail);
            }
            (true, true) => {
                let detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
                spec.at("source").forbidden(out, detail);
            }
            (true, false) => {
                if name.is_empty() {
                    name.required(out, "must specify non empty persistentVolumeName");
                }
                name.subdomain(out);
            }
            (false, true) => {}
        }
        spec.at("nodeName").or_empty().subdomain(out);
    })
}

/// What is wrong with a changed VolumeAttachment.
pub(crate) fn attachment_update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    frozen(new, old, &["spec"], &mut out);
    out
}

/// What is wrong with a CSIDriver.
pub(crate) fn driver(_context: &Context<'_>, driver: &Value) -> Vec<Problem> {
    over(driver, |driver, out| {
        let spec = driver.at("spec");
        for field in ["attachRequired", "podInfoOnMount", "storageCapacity"] {
            if !spec.at(field).is_set() {
                spec.at(field).required(out, "");
            }
        }
        spec.at("fsGroupPolicy").option(out, &["File", "None", "ReadWriteOnceWithFSType"]);
        for mode in spec.at("volumeLifecycleModes").items() {
            let list = spec.at("volumeLifecycleModes").path;
            mode.or_empty().moved(list).option(out, &["Persistent", "Ephemeral"]);
        }
        let mut seen = BTreeSet::new();
        for request in spec.at("tokenRequests").items() {
            let audience = request.at("audience");
            if !seen.insert(audience.text()) {
                audience.duplicate(out);
            }
            let seconds = request.at("expirationSeconds");
            if seconds.int().is_some_and(|seconds| seconds < 600) {
                seconds.invalid(out, "may not specify a duration less than 10 minutes");
            }
        }
    })
}

/// What is wrong with a changed CSIDriver.
pub(crate) fn driver_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = driver(context, new);
    frozen(new, old, &["spec.attachRequired", "spec.fsGroupPolicy", "spec.volumeLifecycleModes"], &mut out);
    out
}

/// What is wrong with a CSINode.
pub(crate) fn csi_node(_context: &Context<'_>, node: &Value) -> Vec<Problem> {
    over(node, |node, out| {
        let mut seen = BTreeSet::new();
        for driver in node.at("spec.drivers").items() {
            let (name, id) = (driver.at("name"), driver.at("nodeID"));
            driver_name(&name, out);
            if !seen.insert(name.text()) {
                name.duplicate(out);
            }
            if id.is_empty() {
                id.required(out, "");
            } else if id.text().len() > 256 {
                id.invalid(out, "must be 256 characters or less");
            }
            driver.at("allocatable.count").nonnegative(out);
            let mut keys = BTreeSet::new();
            for key in driver.at("topologyKeys").items() {
                let key = key.or_empty().moved(driver.path.clone());
                if key.text().is_empty() {
                    key.required(out, "");
                }
                if !keys.insert(key.text()) {
                    key.duplicate(out);
                }
                key.qualified(out);
            }
        }
    })
}

/// What is wrong with a changed CSINode: drivers come and go, but do not change.
pub(crate) fn csi_node_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = csi_node(context, new);
    for (at, known) in old.list_at(&["spec", "drivers"]).iter().enumerate() {
        let now = new.list_at(&["spec", "drivers"]).iter().find(|driver| driver.get("name") == known.get("name"));
        let fixed = |driver: &Value| {
            let mut driver = driver.clone();
            driver.remove(&["allocatable"]);
            driver
        };
        if let Some(now) = now.filter(|now| fixed(now) != fixed(known)) {
            let path = Path::of("spec.drivers").index(at);
            out.push(Problem::invalid(path, now.clone(), "field is immutable"));
        }
    }
    out
}

/// What is wrong with a CSIStorageCapacity.
pub(crate) fn capacity(_context: &Context<'_>, capacity: &Value) -> Vec<Problem> {
    over(capacity, |capacity, out| {
        formats::label_selector(&capacity.at("nodeTopology"), out);
        capacity.at("storageClassName").or_empty().subdomain(out);
        for field in ["capacity", "maximumVolumeSize"] {
            let spot = capacity.at(field);
            if spot.quantity().is_some_and(|amount| amount.sign().is_lt()) {
                spot.invalid(out, "must be greater than or equal to 0");
            }
        }
    })
}

/// What is wrong with a changed CSIStorageCapacity.
pub(crate) fn capacity_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = capacity(context, new);
    frozen(new, old, &["nodeTopology", "storageClassName"], &mut out);
    out
}
