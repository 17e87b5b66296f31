//! Inter-pod affinity of a pod, compiled to matchers and pairs.

use typed::api::core::v1::{PodAffinityTerm, PodSpec, WeightedPodAffinityTerm};

use crate::ids::{MatcherIx, PairIx};
use crate::selector::Selector;
use crate::snapshot::Snapshot;
use crate::snapshot::relations::{MatcherKey, Question, Role};

/// A pod's own affinity terms.
#[derive(Debug, Default)]
pub(crate) struct Affinities {
    /// Required affinity: pods that match *all* terms, seen through each term's topology key.
    pub(crate) required: Option<(MatcherIx, Vec<PairIx>)>,
    /// Required anti-affinity, each term by itself.
    pub(crate) forbidden: Vec<PairIx>,
    /// Preferred terms with weights, negative for anti-affinity.
    pub(crate) preferred: Vec<(PairIx, i64)>,
    /// What other pods meet of this pod once it stands on a node.
    pub(crate) owned: Vec<(PairIx, Role)>,
    /// Whether the pod has any affinity or anti-affinity stanza, required or preferred.
    pub(crate) any: bool,
}

/// Compiles `spec.affinity`; every matcher asked for is added to `held`.
pub(super) fn compile(
    spec: &PodSpec,
    namespace: &str,
    snapshot: &mut Snapshot,
    held: &mut Vec<MatcherIx>,
) -> Affinities {
    let Some(affinity) = &spec.affinity else { return Affinities::default() };
    let mut terms = Terms { namespace, snapshot, held };
    let mut compiled = Affinities::default();
    if let Some(together) = &affinity.pod_affinity {
        compiled.any = true;
        let required = together.required_during_scheduling_ignored_during_execution.as_deref().unwrap_or_default();
        compiled.required = terms.conjunction(required);
        for term in required {
            compiled.owned.push((terms.pair(term), Role::Hard));
        }
        let preferred = together.preferred_during_scheduling_ignored_during_execution.as_deref();
        terms.prefer(preferred.unwrap_or_default(), 1, &mut compiled);
    }
    if let Some(apart) = &affinity.pod_anti_affinity {
        compiled.any = true;
        for term in apart.required_during_scheduling_ignored_during_execution.iter().flatten() {
            let pair = terms.pair(term);
            compiled.forbidden.push(pair);
            compiled.owned.push((pair, Role::Anti));
        }
        let preferred = apart.preferred_during_scheduling_ignored_during_execution.as_deref();
        terms.prefer(preferred.unwrap_or_default(), -1, &mut compiled);
    }
    compiled
}

struct Terms<'a> {
    namespace: &'a str,
    snapshot: &'a mut Snapshot,
    held: &'a mut Vec<MatcherIx>,
}

impl Terms<'_> {
    fn matcher(&mut self, questions: Vec<Question>) -> MatcherIx {
        let matcher = self.snapshot.relations.hold_matcher(MatcherKey { questions, live_only: false });
        self.held.push(matcher);
        matcher
    }

    fn pair(&mut self, term: &PodAffinityTerm) -> PairIx {
        let matcher = self.matcher(vec![question(term, self.namespace)]);
        self.snapshot.pair(matcher, &term.topology_key)
    }

    fn conjunction(&mut self, terms: &[PodAffinityTerm]) -> Option<(MatcherIx, Vec<PairIx>)> {
        if terms.is_empty() {
            return None;
        }
        let questions = terms.iter().map(|term| question(term, self.namespace)).collect();
        let matcher = self.matcher(questions);
        let pairs = terms.iter().map(|term| self.snapshot.pair(matcher, &term.topology_key)).collect();
        Some((matcher, pairs))
    }

    fn prefer(&mut self, terms: &[WeightedPodAffinityTerm], sign: i64, into: &mut Affinities) {
        for weighted in terms {
            let weight = sign * i64::from(weighted.weight);
            let pair = self.pair(&weighted.pod_affinity_term);
            into.preferred.push((pair, weight));
            into.owned.push((pair, Role::Soft(weight)));
        }
    }
}

/// Without namespaces and namespace selector, a term speaks of the pod's own namespace.
fn question(term: &PodAffinityTerm, own_namespace: &str) -> Question {
    let mut namespaces = term.namespaces.clone().unwrap_or_default();
    namespaces.sort_unstable();
    let namespace_selector = term.namespace_selector.as_ref().map(|selector| Selector::new(Some(selector)));
    if namespaces.is_empty() && namespace_selector.is_none() {
        namespaces.push(own_namespace.to_owned());
    }
    Question { namespaces, namespace_selector, selector: Selector::new(term.label_selector.as_ref()) }
}
