//! Tables of nodes.

use kind::{AGE, Cell, Column, NAME};
use object::{Map, Value};

use super::{NONE, UNKNOWN, column, condition, name, text_or, wide};
use crate::tree::{flag, text};

pub(crate) const COLUMNS: &[Column] = &[
    NAME,
    column("Status", "string", "Whether the node is ready, and whether pods may be scheduled to it."),
    column("Roles", "string", "Roles that its labels give it."),
    AGE,
    column("Version", "string", "Version of its kubelet."),
    wide("Internal-IP", "string", "First address inside the cluster."),
    wide("External-IP", "string", "First address outside the cluster."),
    wide("OS-Image", "string", "Operating system."),
    wide("Kernel-Version", "string", "Kernel, and the processor's architecture."),
    wide("Container-Runtime", "string", "Container runtime and its version."),
];

pub(crate) fn cells(node: &Value) -> Vec<Cell> {
    let info = |field: &str| text_or(node, &["status", "nodeInfo", field], UNKNOWN);
    let architecture = text(node, &["status", "nodeInfo", "architecture"]);
    let kernel = match (text(node, &["status", "nodeInfo", "kernelVersion"]), architecture) {
        ("", _) => UNKNOWN.to_owned(),
        (kernel, "") => kernel.to_owned(),
        (kernel, architecture) => format!("{kernel} ({architecture})"),
    };
    vec![
        name(node),
        Cell::from(status(node)),
        Cell::from(roles(node)),
        kind::age(node),
        Cell::from(text(node, &["status", "nodeInfo", "kubeletVersion"])),
        address(node, "InternalIP"),
        address(node, "ExternalIP"),
        info("osImage"),
        Cell::from(kernel),
        info("containerRuntimeVersion"),
    ]
}

fn status(node: &Value) -> String {
    let ready = match condition(node, "Ready") {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = if flag(node, &["spec", "unschedulable"]) { ",SchedulingDisabled" } else { "" };
    format!("{ready}{cordoned}")
}

fn roles(node: &Value) -> String {
    let labels = node.at(&["metadata", "labels"]).and_then(Value::as_map).into_iter().flat_map(Map::iter);
    let mut roles: Vec<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { NONE.to_owned() } else { roles.join(",") }
}

fn address(node: &Value, kind: &str) -> Cell {
    let addresses = node.list_at(&["status", "addresses"]).iter();
    let found = addresses.into_iter().find(|address| text(address, &["type"]) == kind);
    found.map_or_else(|| Cell::from(NONE), |address| Cell::from(text(address, &["address"])))
}
