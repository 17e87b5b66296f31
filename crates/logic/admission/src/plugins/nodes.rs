//! TaintNodesByCondition and PodTopologyLabels: what new nodes carry, and what pods inherit from theirs.

use kind::Refusal;
use object::Value;

use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const TOPOLOGY: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// A new node takes no pods until its kubelet has reported.
pub(super) fn taint(
    request: &Request<'_>,
    _facts: &dyn Facts,
    node: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let tainted = |node: &Value| {
        let mut taints = node.list_at(&["spec", "taints"]).iter();
        taints.any(|taint| (tree::text(taint, &["key"]), tree::text(taint, &["effect"])) == (NOT_READY, "NoSchedule"))
    };
    if request.is_whole("", "nodes") && !tainted(node) {
        let taint = Value::from_pairs([("key", NOT_READY), ("effect", "NoSchedule")]);
        tree::push(node, &["spec", "taints"], taint);
    }
    Ok(())
}

/// A pod (or the binding that will label it) gets the zone and region of its node.
pub(super) fn topology(
    request: &Request<'_>,
    facts: &dyn Facts,
    object: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let node = match request.subresource {
        "" if request.is("", "pods") => tree::text(object, &["spec", "nodeName"]),
        "binding" if request.is("", "pods") && tree::text(object, &["target", "kind"]) == "Node" => {
            tree::text(object, &["target", "name"])
        }
        _ => return Ok(()),
    };
    let Some(node) = facts.get(Fact::Node, "", node).filter(|_| !node.is_empty()) else { return Ok(()) };
    for key in TOPOLOGY {
        if let Some(value) = node.str_at(&["metadata", "labels", key]) {
            object.set(&["metadata", "labels", key], value);
        }
    }
    Ok(())
}
