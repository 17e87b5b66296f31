//! Waiting for the node, and saying why it is not ready, or why it takes no pods although it is.

use std::time::Duration;

use anyhow::{Context, bail};
use client::{Client, Patch};
use informer::{Informers, Scope};
use object::Value;
use typed::api::core::v1::{Node, NodeCondition};

/// A node that is not ready after this long needs somebody to look.
const NODE_TIMEOUT: Duration = Duration::from_secs(120);

/// Waits until the node is Ready; an error says what it says of itself.
pub(crate) async fn node(client: Client, name: &str) -> anyhow::Result<String> {
    let nodes = Informers::new(client).scoped::<Node>(Scope::fields(&format!("metadata.name={name}")));
    let mut news = nodes.cache().subscribe();
    let known =
        || nodes.cache().get("", name).map_or_else(|| Err("it has not registered".to_owned()), |node| is_ready(&node));
    let wait = async {
        while known().is_err() {
            news.batch().await;
        }
    };
    match env::time::timeout(NODE_TIMEOUT, wait).await {
        Ok(()) => {
            let why_not = nodes.cache().get("", name).and_then(|node| takes_pods(&node).err());
            Ok(why_not.map_or_else(|| format!("{name} is Ready"), |why| format!("{name} is Ready, but {why}")))
        }
        Err(_) => bail!("{name} is not Ready: {}", known().err().unwrap_or_default()),
    }
}

/// Says of the node that the control plane is on it, as kubeadm does; kubelets may not say so of themselves
/// (NodeRestriction). Without kubeadm's taint: on one node everything runs.
pub(crate) async fn mark_as_control_plane(client: &Client, name: &str) -> anyhow::Result<()> {
    let mut patch = Value::map();
    patch.set(&["metadata", "labels", "node-role.kubernetes.io/control-plane"], "");
    client.patch::<Node>("", name, "", &Patch::Merge(patch)).await.map(drop).context("cannot label the node")
}

/// Whether the node says that it is ready; otherwise its reason.
pub(crate) fn is_ready(node: &Node) -> Result<(), String> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    match conditions.clone().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => Ok(()),
        Some(ready) => Err(format!(
            "{} {}",
            ready.reason.as_deref().unwrap_or("no reason"),
            ready.message.as_deref().unwrap_or_default()
        )),
        None => Err("it has no condition Ready".to_owned()),
    }
}

/// Whether pods are placed on a node that is ready; otherwise what keeps them away, as the node says it.
pub(crate) fn takes_pods(node: &Node) -> Result<(), String> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let troubles = conditions.filter(|condition| condition.type_ != "Ready" && condition.status == "True");
    let told = |trouble: &NodeCondition| {
        let message = trouble.message.as_deref().unwrap_or("no message");
        format!("{} ({message})", trouble.type_)
    };
    let cordon = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    let causes: Vec<String> =
        troubles.map(told).chain(cordon.then(|| "it is cordoned (kubectl uncordon)".to_owned())).collect();
    if causes.is_empty() { Ok(()) } else { Err(format!("takes no new pods: {}", causes.join(", "))) }
}

#[cfg(test)]
mod tests;
