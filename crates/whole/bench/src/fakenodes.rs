//! Nodes that nobody runs: made over the real API as kubelets make theirs.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use serde_json::json;

use crate::load::Call;
use crate::load::closed::Make;
use crate::objects::text;
use crate::rows::field::Field;

/// What a node can hold.
pub(crate) const CPU_MILLIS: u64 = 4_000;
pub(crate) const MEMORY_MIB: u64 = 32_768;
pub(crate) const PODS: u64 = 110;
const PATH: &str = "/api/v1/nodes";
/// Admission gives it to every new node; the node's life-cycle controller takes it back when the node is ready.
const TAINTED: &str = "node.kubernetes.io/not-ready";

fn name(number: u64) -> String {
    format!("node-{number:05}")
}

/// A node that is ready, with room for pods and a zone of three.
fn node(number: u64) -> Bytes {
    let room = json!({"cpu": format!("{CPU_MILLIS}m"), "memory": format!("{MEMORY_MIB}Mi"), "pods": PODS.to_string()});
    let name = name(number);
    text(&json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/zone": format!("zone-{}", number % 3),
        }},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }))
}

/// Makes `count` nodes that pods may be placed on, without a controller's help.
pub(crate) async fn make(field: &Field, count: u64) -> Result<()> {
    let create: Make = Arc::new(|number| Call::post(PATH, node(number)));
    field.fill(count, create, 201).await?;
    let untaint: Make = Arc::new(|number| {
        Call::patch(format!("{PATH}/{}", name(number)), Bytes::from_static(b"{\"spec\":{\"taints\":null}}"))
    });
    field.fill(count, untaint, 200).await?;
    Ok(())
}

/// Whether the last of `count` nodes is without the taint of a new one.
pub(crate) async fn is_open(field: &Field, count: u64) -> Result<bool> {
    let node = field.ask(&Call::get(format!("{PATH}/{}", name(count - 1))), 200).await?;
    Ok(!node.text()?.contains(TAINTED))
}
