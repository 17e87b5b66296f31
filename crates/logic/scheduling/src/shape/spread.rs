//! Topology spread constraints, compiled; and the default ones that a pod without constraints gets.

use typed::api::core::v1::TopologySpreadConstraint;

use crate::ids::{ColumnIx, MatcherIx, PairIx};
use crate::selector::{Labels, Selector};
use crate::snapshot::Snapshot;
use crate::snapshot::relations::{MatcherKey, Question};

/// The label that tells nodes apart.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";

/// One compiled constraint.
#[derive(Clone, Debug)]
pub(crate) struct SpreadConstraint {
    pub(crate) max_skew: i64,
    pub(crate) min_domains: i64,
    /// `DoNotSchedule`; otherwise `ScheduleAnyway`.
    pub(crate) hard: bool,
    pub(crate) column: ColumnIx,
    pub(crate) per_host: bool,
    pub(crate) matcher: MatcherIx,
    pub(crate) pair: PairIx,
    /// Whether nodes outside the pod's node affinity are left out of the count.
    pub(crate) honors_affinity: bool,
    /// Whether nodes with taints that the pod does not tolerate are left out of the count.
    pub(crate) honors_taints: bool,
    /// Whether the pod itself counts.
    pub(crate) counts_itself: bool,
}

/// Compiles a pod's own constraints.
pub(super) fn compile(
    constraints: &[TopologySpreadConstraint],
    namespace: &str,
    labels: &Labels,
    snapshot: &mut Snapshot,
) -> Vec<SpreadConstraint> {
    let compile_one = |constraint: &TopologySpreadConstraint| {
        let mut selector = Selector::new(constraint.label_selector.as_ref());
        for key in constraint.match_label_keys.iter().flatten() {
            if let Some(value) = labels.get(key) {
                selector.require(key, value);
            }
        }
        build(constraint, namespace, (selector, labels), snapshot)
    };
    constraints.iter().map(compile_one).collect()
}

/// Compiles the cluster's default constraints for pods that `selector` groups.
pub(crate) fn default_constraints(
    constraints: &[TopologySpreadConstraint],
    namespace: &str,
    group: (&Selector, &Labels),
    snapshot: &mut Snapshot,
) -> Vec<SpreadConstraint> {
    let (selector, labels) = group;
    let compile_one =
        |constraint: &TopologySpreadConstraint| build(constraint, namespace, (selector.clone(), labels), snapshot);
    constraints.iter().map(compile_one).collect()
}

fn build(
    constraint: &TopologySpreadConstraint,
    namespace: &str,
    group: (Selector, &Labels),
    snapshot: &mut Snapshot,
) -> SpreadConstraint {
    let (selector, labels) = group;
    let counts_itself = selector.matches(labels);
    let question = Question { namespaces: vec![namespace.to_owned()], namespace_selector: None, selector };
    let matcher = snapshot.relations.hold_matcher(MatcherKey { questions: vec![question], live_only: true });
    let pair = snapshot.pair(matcher, &constraint.topology_key);
    SpreadConstraint {
        max_skew: i64::from(constraint.max_skew),
        min_domains: i64::from(constraint.min_domains.unwrap_or(1)),
        hard: constraint.when_unsatisfiable == "DoNotSchedule",
        column: snapshot.relations.pair(pair).column,
        per_host: constraint.topology_key == HOSTNAME,
        matcher,
        pair,
        honors_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
        honors_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        counts_itself,
    }
}
