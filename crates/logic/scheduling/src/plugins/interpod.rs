//! InterPodAffinity: pods that want, or do not want, to stand beside other pods.
//!
//! Every test is a look-up in a counter by the node's domain; no pod is walked.

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory as Remembered, NODE_SCORE_MAX, Overlay, Plugin, PreFilter, Reach};
use crate::framework::{Verdict, Waking, Why};
use crate::ids::{LabelSetIx, MatcherIx, NodeIx, PairIx};
use crate::shape::Shape;
use crate::snapshot::relations::Role;

#[derive(Debug)]
pub(crate) struct InterPodAffinity {
    /// What a required term of a pod on a node is worth to a pod it matches.
    pub(crate) hard_weight: i64,
    /// Leaves the preferences of pods on nodes out when the pod itself has no affinity.
    pub(crate) ignores_preferred_of_existing: bool,
}

/// The counters a decision looks at.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Terms of pods on nodes that forbid this pod beside them.
    forbidding: Vec<PairIx>,
    /// The first pod of a group that wants to stand together matches itself and nobody else.
    first_of_group: bool,
    /// Counters to add up with a weight, and which of their tallies.
    scoring: Vec<(PairIx, Role, i64)>,
}

impl InterPodAffinity {
    /// Pods of the overlay that `count` counts, removed ones negative, in the node's domain of `pair`.
    fn shift(cycle: &Cycle<'_>, overlay: Overlay<'_>, count: impl Fn(&Shape, LabelSetIx) -> i64) -> i64 {
        let gone = overlay.removed.iter().map(|&pod| {
            let placed = cycle.snapshot.pod(pod);
            count(&placed.subject.shape, cycle.snapshot.label_set(pod))
        });
        let come = overlay.added.iter().map(|pod| count(&pod.shape, pod.shape.label_set));
        come.sum::<i64>() - gone.sum::<i64>()
    }

    /// Matching pods in the node's domain.
    fn matching(cycle: &Cycle<'_>, pair: PairIx, node: NodeIx, overlay: Overlay<'_>) -> i64 {
        let relations = &cycle.snapshot.relations;
        let pair = relations.pair(pair);
        let domain = cycle.snapshot.columns.domain(pair.column, node);
        let shift = |_: &Shape, set| i64::from(domain != 0 && relations.matches(pair.matcher, set));
        pair.matched.at(domain) + Self::shift(cycle, overlay, shift)
    }

    fn meets_required(
        cycle: &Cycle<'_>,
        required: &(MatcherIx, Vec<PairIx>),
        node: NodeIx,
        (overlay, first_of_group): (Overlay<'_>, bool),
    ) -> bool {
        let (matcher, pairs) = required;
        let domain = |pair: &PairIx| cycle.snapshot.columns.domain(cycle.snapshot.relations.pair(*pair).column, node);
        if !pairs.iter().all(|pair| domain(pair) != 0) {
            return false;
        }
        let relations = &cycle.snapshot.relations;
        let beside = |pair: &PairIx| Self::matching(cycle, *pair, node, overlay) > 0;
        let joined = overlay.added.iter().any(|pod| relations.matches(*matcher, pod.shape.label_set));
        pairs.iter().all(beside) || (first_of_group && !joined)
    }

    fn forbidden_by_existing(cycle: &Cycle<'_>, pair: PairIx, node: NodeIx, overlay: Overlay<'_>) -> bool {
        let counters = cycle.snapshot.relations.pair(pair);
        let domain = cycle.snapshot.columns.domain(counters.column, node);
        if domain == 0 {
            return false;
        }
        let owns = |shape: &Shape, _| {
            let terms = shape.owned().iter().filter(|&&(owned, role)| owned == pair && role == Role::Anti);
            i64::try_from(terms.count()).unwrap_or(0)
        };
        counters.anti.at(domain) + Self::shift(cycle, overlay, owns) > 0
    }
}

/// Terms of pods that are only imagined on the node, and that forbid this pod.
fn forbidden_by_added(cycle: &Cycle<'_>, node: NodeIx, overlay: Overlay<'_>) -> bool {
    let relations = &cycle.snapshot.relations;
    let forbids = |&(pair, role): &(PairIx, Role)| {
        let counters = relations.pair(pair);
        role == Role::Anti
            && cycle.snapshot.columns.domain(counters.column, node) != 0
            && relations.matches(counters.matcher, cycle.shape.label_set)
    };
    overlay.added.iter().any(|pod| pod.shape.owned().iter().any(forbids))
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn reach(&self) -> Reach {
        Reach::Cluster
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, memory: &mut Remembered) -> PreFilter {
        let memory = &mut memory.affinity;
        let relations = &cycle.snapshot.relations;
        let affinity = &cycle.shape.affinity;
        let forbidding = relations.pairs_matching(cycle.shape.label_set).filter(|(_, pair)| !pair.anti.is_empty());
        memory.forbidding.clear();
        memory.forbidding.extend(forbidding.map(|(id, _)| id));
        memory.first_of_group = affinity.required.as_ref().is_some_and(|(matcher, pairs)| {
            pairs.iter().all(|&pair| relations.pair(pair).matched.is_empty())
                && relations.matches(*matcher, cycle.shape.label_set)
        });
        let silent = memory.forbidding.is_empty() && affinity.required.is_none() && affinity.forbidden.is_empty();
        if silent { PreFilter::Skip } else { PreFilter::Go }
    }

    fn filter(&self, cycle: &Cycle<'_>, memory: &Remembered, node: NodeIx, overlay: Overlay<'_>) -> Verdict {
        let (memory, affinity) = (&memory.affinity, &cycle.shape.affinity);
        if let Some(required) = &affinity.required
            && !Self::meets_required(cycle, required, node, (overlay, memory.first_of_group))
        {
            return Some((Code::Unresolvable, Why::Text("node(s) didn't match pod affinity rules")));
        }
        let beside = |&pair: &PairIx| Self::matching(cycle, pair, node, overlay) > 0;
        if affinity.forbidden.iter().any(beside) {
            return Some((Code::Unschedulable, Why::Text("node(s) didn't match pod anti-affinity rules")));
        }
        let mut existing = memory.forbidding.iter();
        if existing.any(|&pair| Self::forbidden_by_existing(cycle, pair, node, overlay))
            || forbidden_by_added(cycle, node, overlay)
        {
            let why = "node(s) didn't satisfy existing pods anti-affinity rules";
            return Some((Code::Unschedulable, Why::Text(why)));
        }
        None
    }

    fn pre_score(&self, cycle: &Cycle<'_>, memory: &mut Remembered, _: &[NodeIx]) -> bool {
        let scoring = &mut memory.affinity.scoring;
        scoring.clear();
        let affinity = &cycle.shape.affinity;
        let relations = &cycle.snapshot.relations;
        let own = affinity.preferred.iter().filter(|(pair, _)| !relations.pair(*pair).matched.is_empty());
        scoring.extend(own.map(|&(pair, weight)| (pair, Role::Anti, weight)));
        if self.ignores_preferred_of_existing && affinity.preferred.is_empty() {
            return !scoring.is_empty();
        }
        for (id, pair) in relations.pairs_matching(cycle.shape.label_set) {
            if !pair.hard.is_empty() && self.hard_weight > 0 {
                scoring.push((id, Role::Hard, self.hard_weight));
            }
            if !pair.soft.is_empty() {
                scoring.push((id, Role::Soft(1), 1));
            }
        }
        !scoring.is_empty()
    }

    fn score(&self, cycle: &Cycle<'_>, memory: &Remembered, node: NodeIx) -> i64 {
        let value = |&(pair, tally, weight): &(PairIx, Role, i64)| {
            let pair = cycle.snapshot.relations.pair(pair);
            let domain = cycle.snapshot.columns.domain(pair.column, node);
            let tally = match tally {
                Role::Anti => &pair.matched,
                Role::Hard => &pair.hard,
                Role::Soft(_) => &pair.soft,
            };
            weight * tally.at(domain)
        };
        memory.affinity.scoring.iter().map(value).sum()
    }

    fn normalize(&self, _: &Remembered, scores: &mut [i64]) {
        let highest = scores.iter().copied().max().unwrap_or(0).max(0);
        let lowest = scores.iter().copied().min().unwrap_or(0).min(0);
        let range = highest - lowest;
        for score in scores {
            *score = if range > 0 { fraction_of_max(*score - lowest, range) } else { 0 };
        }
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        let relations = &waking.snapshot.relations;
        let affinity = &waking.shape.affinity;
        match event {
            Event::Placed(aspects, subject) => {
                let set = subject.shape.label_set;
                let wanted = || affinity.required.as_ref().is_some_and(|(matcher, _)| relations.matches(*matcher, set));
                let unwanted =
                    || affinity.forbidden.iter().any(|&pair| relations.matches(relations.pair(pair).matcher, set));
                let forbade = || {
                    subject.shape.owned().iter().any(|&(pair, role)| {
                        role == Role::Anti && relations.matches(relations.pair(pair).matcher, waking.shape.label_set)
                    })
                };
                aspects.labels
                    || (aspects.added && wanted())
                    || (aspects.deleted && (unwanted() || forbade() || wanted()))
            }
            Event::Node(aspects, _) => aspects.added || aspects.labels,
            Event::Target | Event::Namespace => true,
            _ => false,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the result is between 0 and 100; the fraction is dropped")]
fn fraction_of_max(part: i64, whole: i64) -> i64 {
    (NODE_SCORE_MAX as f64 * (part as f64 / whole as f64)) as i64
}
