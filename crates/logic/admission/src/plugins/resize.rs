//! NodeDeclaredFeatureValidator and PodResizeValidator: a running pod changes only into what its node can run.

use std::sync::Arc;

use kind::Refusal;
use object::Value;

use crate::amounts;
use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;

/// The old pod and the node, when a bound pod's spec changes.
fn changed<'a>(request: &Request<'a>, pod: &Value) -> Option<(&'a Value, String)> {
    let old = request.old.filter(|_| request.is("", "pods"))?;
    let node = tree::text(pod, &["spec", "nodeName"]);
    (!node.is_empty() && old.get("spec") != pod.get("spec")).then(|| (old, node.to_owned()))
}

fn node_of(request: &Request<'_>, facts: &dyn Facts, pod: &Value, name: &str) -> Result<Arc<Value>, Refusal> {
    let node = facts.get(Fact::Node, "", name);
    node.ok_or_else(|| request.forbidden(Some(pod), format!("node {name:?} not found")))
}

pub(super) fn features(
    request: &Request<'_>,
    facts: &dyn Facts,
    pod: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let Some((old, name)) = changed(request, pod).filter(|_| matches!(request.subresource, "" | "resize")) else {
        return Ok(());
    };
    let needed: Vec<&str> = [
        ("InPlacePodLevelResourcesVerticalScaling", old.at(&["spec", "resources"]) != pod.at(&["spec", "resources"])),
        ("InPlacePodVerticalScalingInitContainers", resizes_initial(old, pod)),
    ]
    .into_iter()
    .filter_map(|(feature, needed)| needed.then_some(feature))
    .collect();
    if needed.is_empty() {
        return Ok(());
    }
    let node = node_of(request, facts, pod, &name)?;
    let declared = node.list_at(&["status", "declaredFeatures"]);
    let missing: Vec<&str> = needed
        .into_iter()
        .filter(|feature| !declared.iter().any(|declared| declared.as_str() == Some(feature)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    let text = format!("pod update requires features {missing} which are not available on node {name:?}");
    Err(request.forbidden(Some(pod), text))
}

/// Whether an initial container that is no sidecar changes its resources.
fn resizes_initial(old: &Value, new: &Value) -> bool {
    let containers = |pod: &Value| pod.list_at(&["spec", "initContainers"]).to_vec();
    containers(old).iter().zip(containers(new)).any(|(before, after)| {
        tree::text(before, &["restartPolicy"]) != "Always" && before.get("resources") != after.get("resources")
    })
}

pub(super) fn capacity(
    request: &Request<'_>,
    facts: &dyn Facts,
    pod: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let Some((_, name)) = changed(request, pod).filter(|_| request.subresource == "resize") else { return Ok(()) };
    let node = node_of(request, facts, pod, &name)?;
    let refuse = |reason: &str, text: String| {
        let mut status = request.forbidden(Some(pod), text).status();
        status.set(&["details", "causes"], vec![Value::from_pairs([("reason", reason)])]);
        Err(Refusal::Status(Box::new(status)))
    };
    let allocatable = amounts::Amounts::at(&node, &["status", "allocatable"]);
    let requests = pod.get("spec").map(|spec| amounts::of_pod(spec, "requests")).unwrap_or_default();
    match tree::text(&node, &["metadata", "labels", "kubernetes.io/os"]) {
        "linux" | "" => {}
        other => {
            let text = format!("pod resize is only supported on linux nodes, node {name:?} is {other:?}");
            return refuse("UnsupportedPlatform", text);
        }
    }
    let cpu = |amounts: &amounts::Amounts| amounts.get("cpu").map_or(0, |amount| amount.milli_value());
    let memory = |amounts: &amounts::Amounts| amounts.get("memory").map_or(0, |amount| amount.value());
    let lacking: Vec<String> =
        [("cpu", cpu(&requests), cpu(&allocatable)), ("memory", memory(&requests), memory(&allocatable))]
            .into_iter()
            .filter(|(_, requested, allocatable)| requested > allocatable)
            .map(|(name, requested, allocatable)| format!("{name}, requested: {requested}, allocatable: {allocatable}"))
            .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let text = format!("node didn't have enough allocatable resources: {}", lacking.join("; "));
    refuse("NodeCapacity", text)
}
