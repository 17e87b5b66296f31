//! Changed pods: nearly everything stays as it was.

use std::collections::BTreeSet;
use std::net::IpAddr;

use kind::{Context, Problem};
use object::{Path, Value};

use super::spot::{Problems, Spot};
use super::trail::Trail;
use super::{addresses, pod, podresize};
use crate::tree::carry;

const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                         `spec.tolerations` (only additions to existing tolerations),\
                         `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What is wrong with a change of a pod or of one of its subresources.
pub(crate) fn update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    match context.subresource {
        "status" => status(new, old, &mut out),
        "ephemeralcontainers" => ephemeral(new, old, &mut out),
        "resize" => podresize::resize(new, old, &mut out),
        _ => main(new, old, &mut out),
    }
    out
}

fn main(new: &Value, old: &Value, out: &mut Problems) {
    let (spec, before) = (Spot::root(new).at("spec"), Spot::root(old).at("spec"));
    pod::whole(&spec, out);
    for list in ["containers", "initContainers"] {
        if spec.at(list).len() != before.at(list).len() {
            spec.at(list).forbidden(out, "pod updates may not add or remove containers");
            return;
        }
    }
    let (deadline, old_deadline) = (spec.at("activeDeadlineSeconds"), before.at("activeDeadlineSeconds"));
    match (deadline.int(), old_deadline.int()) {
        (Some(new), Some(old)) if old < new => {
            deadline.invalid(out, "must be less than or equal to previous value");
            return;
        }
        (None, Some(_)) => deadline.invalid(out, "must not update from a positive integer to nil value"),
        _ => {}
    }
    added_tolerations(&spec, &before, out);
    let known: BTreeSet<&str> = before.at("schedulingGates").items().map(|gate| gate.at("name").text()).collect();
    for gate in spec.at("schedulingGates").items() {
        let name = gate.at("name");
        if !known.contains(name.text()) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", name.text());
            name.forbidden(out, detail);
        }
    }
    if new.get("spec") != old.get("spec") {
        rest_is_unchanged(new, old, out);
    }
}

fn added_tolerations(spec: &Spot<'_>, before: &Spot<'_>, out: &mut Problems) {
    let without_seconds = |toleration: &Value| {
        let mut toleration = toleration.clone();
        toleration.remove(&["tolerationSeconds"]);
        toleration
    };
    let tolerations = spec.at("tolerations");
    let kept: Vec<Value> = tolerations.items().filter_map(|item| item.value.map(without_seconds)).collect();
    for old in before.at("tolerations").items().filter_map(|item| item.value.map(without_seconds)) {
        if !kept.contains(&old) {
            tolerations.forbidden(out, "existing toleration can not be modified except its tolerationSeconds");
            return;
        }
    }
}

/// Puts back what may change; anything else that differs is refused.
fn rest_is_unchanged(new: &Value, old: &Value, out: &mut Problems) {
    let mut munged = new.clone();
    for list in ["containers", "initContainers"] {
        let before = old.list_at(&["spec", list]);
        let Some(Value::List(containers)) = munged.at_mut(&["spec", list]) else { continue };
        for (container, before) in containers.iter_mut().zip(before) {
            carry(container, before, &["image"]);
        }
    }
    for field in ["activeDeadlineSeconds", "schedulingGates", "tolerations"] {
        carry(&mut munged, old, &["spec", field]);
    }
    let grace = |pod: &Value| pod.int_at(&["spec", "terminationGracePeriodSeconds"]);
    if grace(old).is_some_and(|seconds| seconds < 0) && grace(new) == Some(1) {
        carry(&mut munged, old, &["spec", "terminationGracePeriodSeconds"]);
    }
    if !old.list_at(&["spec", "schedulingGates"]).is_empty() {
        gated(&mut munged, new, old, out);
    }
    let (spec, before) = (munged.get("spec"), old.get("spec"));
    if spec != before {
        let changed = differences(before, spec);
        let detail = format!("pod updates may not change fields other than {UPDATABLE}\n{changed}");
        out.push(Problem::forbidden(Path::of("spec"), detail));
    }
}

/// The fields that differ, as they were and as they should become.
fn differences(old: Option<&Value>, new: Option<&Value>) -> String {
    let keys = [old, new].into_iter().flatten().filter_map(Value::as_map).flat_map(object::Map::keys);
    let keys: BTreeSet<&str> = keys.collect();
    let lines = keys.into_iter().filter_map(|key| {
        let (old, new) = (old.and_then(|old| old.get(key)), new.and_then(|new| new.get(key)));
        let shown = |value: Option<&Value>| {
            let mut text = Vec::new();
            codec::json::write(value.unwrap_or(&Value::Null), &mut text);
            String::from_utf8_lossy(&text).into_owned()
        };
        (old != new).then(|| format!("- {key}: {}\n+ {key}: {}\n", shown(old), shown(new)))
    });
    lines.collect()
}

/// A pod that is not scheduled yet may be told more precisely where to run.
fn gated(munged: &mut Value, new: &Value, old: &Value, out: &mut Problems) {
    let path = Path::of("spec.nodeSelector");
    let before = old.at(&["spec", "nodeSelector"]).and_then(Value::as_map);
    let kept = |key: &str, value: &Value| new.at(&["spec", "nodeSelector", key]) == Some(value);
    if before.is_some_and(|before| before.iter().any(|(key, value)| !kept(key, value))) {
        let shown = new.at(&["spec", "nodeSelector"]).cloned().unwrap_or_default();
        out.push(Problem::invalid(path, shown, "only additions are allowed (no mutations or deletions)"));
    }
    carry(munged, old, &["spec", "nodeSelector"]);
    if old.at(&["spec", "affinity", "nodeAffinity"]).is_none() {
        munged.remove(&["spec", "affinity", "nodeAffinity"]);
        if old.at(&["spec", "affinity"]).is_none() && crate::tree::empty(munged.at(&["spec", "affinity"])) {
            munged.remove(&["spec", "affinity"]);
        }
    }
}

fn ephemeral(new: &Value, old: &Value, out: &mut Problems) {
    let (spec, before) = (Spot::root(new).at("spec"), Spot::root(old).at("spec"));
    pod::whole(&spec, out);
    let list = spec.at("ephemeralContainers");
    if old.at(&["metadata", "annotations", "kubernetes.io/config.mirror"]).is_some() {
        out.push(Problem::forbidden(Path::root(), "static pods do not support ephemeral containers"));
    }
    for known in before.at("ephemeralContainers").items() {
        let name = known.at("name").text();
        match list.items().find(|container| container.at("name").text() == name) {
            None => list.forbidden(out, format!("existing ephemeral containers {name:?} may not be removed\n")),
            Some(found) if found.value != known.value => {
                list.forbidden(out, format!("existing ephemeral containers {name:?} may not be changed\n"));
            }
            Some(_) => {}
        }
    }
}

fn status(new: &Value, old: &Value, out: &mut Problems) {
    let (status, before) = (Spot::root(new).at("status"), Spot::root(old).at("status"));
    for condition in status.at("conditions").items() {
        let kind = condition.at("type").moved(Trail::of("metadata.conditions"));
        if !matches!(kind.text(), "PodScheduled" | "Ready" | "Initialized") {
            kind.qualified(out);
        }
    }
    let nominated = status.at("nominatedNodeName");
    if nominated.differs(&before.at("nominatedNodeName")) && !nominated.text().is_empty() {
        nominated.subdomain(out);
    }
    status.at("qosClass").immutable(out, &before.at("qosClass"));
    let policy = Spot::root(old).at("spec.restartPolicy").text();
    let sidecars: BTreeSet<&str> = Spot::root(old)
        .at("spec.initContainers")
        .items()
        .filter(|container| container.at("restartPolicy").text() == "Always")
        .map(|container| container.at("name").text())
        .collect();
    for (list, policy) in
        [("containerStatuses", policy), ("initContainerStatuses", policy), ("ephemeralContainerStatuses", "Never")]
    {
        let skip = if list == "initContainerStatuses" { &sidecars } else { &BTreeSet::new() };
        ended_stays_ended(&status.at(list), &before.at(list), policy, skip, out);
    }
    pod_addresses(&status.at("podIPs"), out);
    let hosts = status.at("hostIPs");
    if let Some(first) = hosts.items().next()
        && first.at("ip").text() != status.at("hostIP").text()
    {
        first.at("ip").invalid(out, "must be equal to `hostIP`");
    }
    pod_addresses(&hosts, out);
}

fn ended_stays_ended(new: &Spot<'_>, old: &Spot<'_>, policy: &str, skip: &BTreeSet<&str>, out: &mut Problems) {
    if policy == "Always" {
        return;
    }
    for (at, known) in old.items().enumerate() {
        let ended = known.at("state.terminated");
        let failed = ended.at("exitCode").int().unwrap_or(0) != 0;
        let name = known.at("name").text();
        if !ended.is_set() || (failed && policy == "OnFailure") || skip.contains(name) {
            continue;
        }
        let restarted =
            new.items().any(|status| status.at("name").text() == name && !status.at("state.terminated").is_set());
        if restarted {
            let path = new.path.index(at).field("state");
            out.push(Problem::forbidden(path, "may not be transitioned to non-terminated state"));
        }
    }
}

/// At most one address of each family.
fn pod_addresses(list: &Spot<'_>, out: &mut Problems) {
    let mut families = Vec::new();
    for item in list.items() {
        addresses::address_text(&item.path, item.at("ip").text(), out);
        if let Ok(address) = item.at("ip").text().parse::<IpAddr>() {
            families.push(address.is_ipv4());
        }
    }
    let twice = families.len() > 2 || (families.len() == 2 && families[0] == families[1]);
    if twice {
        list.invalid(out, "may specify no more than one IP for each IP family");
    }
}
