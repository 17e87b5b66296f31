//! When two pods are the same to the scheduler.

use std::hash::{DefaultHasher, Hash, Hasher};

use typed::api::core::v1::{Affinity, Container, NodeSelectorTerm, Pod, PodAffinityTerm, PodSpec};
use typed::meta::{LabelSelector, OwnerReference};

/// A hash of (nearly) everything that [`alike`] compares.
pub(super) fn fingerprint(pod: &Pod) -> u64 {
    let mut state = DefaultHasher::new();
    pod.metadata.namespace.hash(&mut state);
    pod.metadata.labels.hash(&mut state);
    controller(pod).map(|owner| (&owner.kind, &owner.name)).hash(&mut state);
    let Some(spec) = &pod.spec else { return state.finish() };
    spec.node_selector.hash(&mut state);
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        container.image.hash(&mut state);
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        for (name, amount) in requests.into_iter().flatten() {
            (name, &amount.0).hash(&mut state);
        }
    }
    for volume in spec.volumes.iter().flatten() {
        volume.persistent_volume_claim.as_ref().map(|claim| &claim.claim_name).hash(&mut state);
        volume.ephemeral.as_ref().map(|_| &pod.metadata.name).hash(&mut state);
    }
    for constraint in spec.topology_spread_constraints.iter().flatten() {
        (&constraint.topology_key, constraint.max_skew).hash(&mut state);
        selector(constraint.label_selector.as_ref(), &mut state);
    }
    if let Some(affinity) = &spec.affinity {
        affinities(affinity, &mut state);
    }
    state.finish()
}

fn selector(selector: Option<&LabelSelector>, state: &mut DefaultHasher) {
    let Some(selector) = selector else { return };
    selector.match_labels.hash(state);
    for expression in selector.match_expressions.iter().flatten() {
        (&expression.key, &expression.operator, &expression.values).hash(state);
    }
}

fn affinities(affinity: &Affinity, state: &mut DefaultHasher) {
    if let Some(nodes) = &affinity.node_affinity {
        let required = nodes.required_during_scheduling_ignored_during_execution.iter();
        required.flat_map(|selector| &selector.node_selector_terms).for_each(|term| node_term(term, state));
        for term in nodes.preferred_during_scheduling_ignored_during_execution.iter().flatten() {
            term.weight.hash(state);
            node_term(&term.preference, state);
        }
    }
    if let Some(together) = &affinity.pod_affinity {
        let required = together.required_during_scheduling_ignored_during_execution.iter().flatten();
        required.for_each(|term| pod_term(term, state));
        let preferred = together.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        preferred.for_each(|term| pod_term(&term.pod_affinity_term, state));
    }
    if let Some(apart) = &affinity.pod_anti_affinity {
        let required = apart.required_during_scheduling_ignored_during_execution.iter().flatten();
        required.for_each(|term| pod_term(term, state));
        let preferred = apart.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        preferred.for_each(|term| pod_term(&term.pod_affinity_term, state));
    }
}

fn node_term(term: &NodeSelectorTerm, state: &mut DefaultHasher) {
    for expression in term.match_expressions.iter().chain(&term.match_fields).flatten() {
        (&expression.key, &expression.operator, &expression.values).hash(state);
    }
}

fn pod_term(term: &PodAffinityTerm, state: &mut DefaultHasher) {
    (&term.topology_key, &term.namespaces).hash(state);
    selector(term.label_selector.as_ref(), state);
    selector(term.namespace_selector.as_ref(), state);
}

/// Whether the two pods have the same shape.
pub(super) fn alike(a: &Pod, b: &Pod) -> bool {
    let owner = |pod| controller(pod).map(|owner: &OwnerReference| (&owner.api_version, &owner.kind, &owner.name));
    a.metadata.namespace == b.metadata.namespace
        && a.metadata.labels == b.metadata.labels
        && owner(a) == owner(b)
        && match (&a.spec, &b.spec) {
            (Some(one), Some(other)) => specs(one, other) && volumes(a, one, b, other),
            (one, other) => one.is_none() && other.is_none(),
        }
}

fn specs(a: &PodSpec, b: &PodSpec) -> bool {
    a.node_selector == b.node_selector
        && a.affinity == b.affinity
        && a.tolerations == b.tolerations
        && a.topology_spread_constraints == b.topology_spread_constraints
        && a.overhead == b.overhead
        && a.resources == b.resources
        && a.resource_claims == b.resource_claims
        && (a.host_network, a.host_users) == (b.host_network, b.host_users)
        && containers(&a.containers, &b.containers)
        && containers(
            a.init_containers.as_deref().unwrap_or_default(),
            b.init_containers.as_deref().unwrap_or_default(),
        )
}

fn containers(a: &[Container], b: &[Container]) -> bool {
    let same = |(a, b): (&Container, &Container)| {
        a.image == b.image
            && a.resources == b.resources
            && a.ports == b.ports
            && a.restart_policy == b.restart_policy
            && a.restart_policy_rules == b.restart_policy_rules
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Claims made for the pod carry its name, so such pods are alike only to themselves.
fn volumes(a: &Pod, one: &PodSpec, b: &Pod, other: &PodSpec) -> bool {
    let own_claims = one.volumes.iter().flatten().any(|volume| volume.ephemeral.is_some());
    one.volumes == other.volumes && (!own_claims || a.metadata.name == b.metadata.name)
}

/// The owner that controls the pod.
pub(crate) fn controller(pod: &Pod) -> Option<&OwnerReference> {
    pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}
