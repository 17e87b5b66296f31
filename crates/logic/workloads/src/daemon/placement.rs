//! Which nodes a DaemonSet's pods may run on, and how a pod is pinned to its node.

use std::collections::BTreeMap;

use plan::{meta, untolerated};
use typed::api::core::v1::{
    Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodTemplateSpec,
    Toleration,
};

/// What a DaemonSet thinks of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A pod should run there.
    Run,
    /// No pod should be put there, but one that runs may stay.
    Keep,
    /// No pod should be there.
    Leave,
}

/// Taints that daemon pods always tolerate: (key, effect).
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

/// The template with the tolerations that every daemon pod gets.
pub(super) fn pinned_template(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    let spec = template.spec.get_or_insert_default();
    let host_network = spec.host_network == Some(true);
    let network = host_network.then_some(("node.kubernetes.io/network-unavailable", "NoSchedule"));
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED.into_iter().chain(network) {
        let wanted = Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        };
        if !tolerations.contains(&wanted) {
            tolerations.push(wanted);
        }
    }
    template
}

pub(super) fn judge(template: &PodTemplateSpec, node: &Node) -> Verdict {
    let spec = template.spec.clone().unwrap_or_default();
    let name = meta::name(&node.metadata);
    let elsewhere = spec.node_name.as_deref().is_some_and(|wanted| !wanted.is_empty() && wanted != name);
    if elsewhere || !fits_affinity(&spec.node_selector, spec.affinity.as_ref(), node) {
        return Verdict::Leave;
    }
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    let tolerations = spec.tolerations.unwrap_or_default();
    if untolerated(taints, &tolerations, &["NoSchedule", "NoExecute"]).is_none() {
        Verdict::Run
    } else if untolerated(taints, &tolerations, &["NoExecute"]).is_none() {
        Verdict::Keep
    } else {
        Verdict::Leave
    }
}

/// The node a pod is on, or the one it is pinned to while it waits for the scheduler.
pub(super) fn target_node(pod: &Pod) -> Option<&str> {
    let spec = pod.spec.as_ref()?;
    if let Some(node) = spec.node_name.as_deref().filter(|node| !node.is_empty()) {
        return Some(node);
    }
    let required =
        spec.affinity.as_ref()?.node_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()?;
    let mut fields = required.node_selector_terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let by_name = fields.find(|field| field.key == "metadata.name" && field.operator == "In")?;
    match by_name.values.as_deref() {
        Some([only]) => Some(only),
        _ => None,
    }
}

/// Replaces the required node affinity by the node's name. The rest of the affinity stays.
pub(super) fn pin(pod: &mut Pod, node: &str) {
    let by_name = NodeSelectorTerm {
        match_expressions: None,
        match_fields: Some(vec![NodeSelectorRequirement {
            key: "metadata.name".to_owned(),
            operator: "In".to_owned(),
            values: Some(vec![node.to_owned()]),
        }]),
    };
    let affinity: &mut Affinity = pod.spec.get_or_insert_default().affinity.get_or_insert_default();
    let on_nodes: &mut NodeAffinity = affinity.node_affinity.get_or_insert_default();
    on_nodes.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![by_name] });
}

fn fits_affinity(selector: &Option<BTreeMap<String, String>>, affinity: Option<&Affinity>, node: &Node) -> bool {
    let has = |(key, value): (&String, &String)| meta::label(&node.metadata, key) == Some(value.as_str());
    if !selector.iter().flatten().all(has) {
        return false;
    }
    let on_nodes = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let Some(required) = on_nodes.and_then(|n| n.required_during_scheduling_ignored_during_execution.as_ref()) else {
        return true;
    };
    required.node_selector_terms.iter().any(|term| fits_term(term, node))
}

/// A term without requirements matches no node.
fn fits_term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let label = |wanted: &NodeSelectorRequirement| fits(wanted, meta::label(&node.metadata, &wanted.key));
    let field = |wanted: &NodeSelectorRequirement| {
        wanted.key == "metadata.name" && fits(wanted, Some(meta::name(&node.metadata)))
    };
    !(expressions.is_empty() && fields.is_empty()) && expressions.iter().all(label) && fields.iter().all(field)
}

fn fits(wanted: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = wanted.values.as_deref().unwrap_or_default();
    let among = |value: &str| values.iter().any(|one| one == value);
    let compare = |by: fn(&i64, &i64) -> bool| {
        let bound = values.first().and_then(|bound| bound.parse::<i64>().ok());
        value.and_then(|value| value.parse::<i64>().ok()).zip(bound).is_some_and(|(value, bound)| by(&value, &bound))
    };
    match wanted.operator.as_str() {
        "In" => value.is_some_and(among),
        "NotIn" => !value.is_some_and(among),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compare(i64::gt),
        "Lt" => compare(i64::lt),
        _ => false,
    }
}
