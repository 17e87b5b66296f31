//! PodTopologySpread: keeps a group of pods even across zones, hosts or any other topology.
//!
//! Counts come from the matchers' per-node counters. When every node takes part (no node affinity to honour, no label
//! missing), the per-domain counters are used as they are; otherwise one pass adds up the nodes that take part.

use crate::event::Event;
use crate::framework::{Code, Cycle, Memory as Remembered, NODE_SCORE_MAX, Overlay, Plugin, PreFilter, Reach};
use crate::framework::{Verdict, Waking, Why};
use crate::ids::NodeIx;
use crate::plugins::taints::tolerates_node;
use crate::shape::SpreadConstraint;
use crate::snapshot::Snapshot;

/// A domain in which no node takes part.
const ABSENT: i64 = -1;
/// Marks nodes that lack a label of a preference.
const NOT_SCORED: i64 = -1;

/// Counts made by PreFilter and PreScore.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    hard: Vec<Counts>,
    soft: Vec<Counts>,
    weights: Vec<f64>,
    needs_all_labels: bool,
}

/// Matching pods by domain; [`ABSENT`] where no node takes part.
#[derive(Debug, Default)]
struct Counts {
    by_domain: Vec<i64>,
    lowest: i64,
    domains: i64,
}

#[derive(Debug)]
pub(crate) struct PodTopologySpread;

fn hard<'a>(cycle: &Cycle<'a>) -> impl Iterator<Item = &'a SpreadConstraint> {
    cycle.spread.iter().filter(|constraint| constraint.hard)
}

fn soft<'a>(cycle: &Cycle<'a>) -> impl Iterator<Item = &'a SpreadConstraint> {
    cycle.spread.iter().filter(|constraint| !constraint.hard)
}

/// Whether the node has the labels of all constraints.
fn has_labels<'a>(
    snapshot: &Snapshot,
    node: NodeIx,
    mut constraints: impl Iterator<Item = &'a SpreadConstraint>,
) -> bool {
    constraints.all(|constraint| snapshot.columns.domain(constraint.column, node) != 0)
}

/// Whether the constraint's inclusion policies count the node.
fn included(cycle: &Cycle<'_>, constraint: &SpreadConstraint, node: NodeIx) -> bool {
    (!constraint.honors_affinity || cycle.shape.admits_node(cycle.snapshot, node))
        && (!constraint.honors_taints || tolerates_node(cycle.shape, cycle.snapshot, node))
}

/// Whether every live node takes part in all constraints.
fn all_take_part<'a>(cycle: &Cycle<'_>, mut constraints: impl Iterator<Item = &'a SpreadConstraint>) -> bool {
    constraints.all(|constraint| {
        cycle.snapshot.columns.get(constraint.column).population()[0] == 0
            && (!constraint.honors_affinity || cycle.shape.admits_any_node())
            && !constraint.honors_taints
    })
}

impl Counts {
    fn clear(&mut self, domains: usize) {
        self.by_domain.clear();
        self.by_domain.resize(domains, ABSENT);
    }

    /// Takes the incrementally kept counters.
    fn take_over(&mut self, cycle: &Cycle<'_>, constraint: &SpreadConstraint) {
        let matched = &cycle.snapshot.relations.pair(constraint.pair).matched;
        let population = cycle.snapshot.columns.get(constraint.column).population();
        self.clear(population.len());
        for (domain, &nodes) in population.iter().enumerate().skip(1) {
            if nodes > 0 {
                self.by_domain[domain] = matched.at(domain);
            }
        }
    }

    fn add(&mut self, domain: usize, pods: u32) {
        let count = &mut self.by_domain[domain];
        *count = (*count).max(0) + i64::from(pods);
    }

    fn summarise(&mut self) {
        let present = || self.by_domain.iter().copied().filter(|&count| count != ABSENT);
        let (lowest, domains) =
            present().fold((i64::MAX, 0), |(lowest, domains), count| (lowest.min(count), domains + 1));
        (self.lowest, self.domains) = (lowest, domains);
    }

    fn lowest_with(&self, domain: usize, count: i64) -> i64 {
        let others = self.by_domain.iter().enumerate().filter(|&(other, &count)| other != domain && count != ABSENT);
        others.map(|(_, &count)| count).min().unwrap_or(i64::MAX).min(count)
    }
}

fn count_hard(cycle: &Cycle<'_>, counts: &mut Vec<Counts>) {
    counts.resize_with(hard(cycle).count(), Counts::default);
    if all_take_part(cycle, hard(cycle)) {
        for (constraint, counts) in hard(cycle).zip(counts.iter_mut()) {
            counts.take_over(cycle, constraint);
        }
    } else {
        for (constraint, counts) in hard(cycle).zip(counts.iter_mut()) {
            counts.clear(cycle.snapshot.columns.get(constraint.column).population().len());
        }
        for node in cycle.snapshot.live_nodes() {
            if !has_labels(cycle.snapshot, node, hard(cycle)) {
                continue;
            }
            for (constraint, counts) in hard(cycle).zip(counts.iter_mut()) {
                if included(cycle, constraint, node) {
                    let pods = cycle.snapshot.relations.per_node(constraint.matcher)[node.0];
                    counts.add(cycle.snapshot.columns.domain(constraint.column, node), pods);
                }
            }
        }
    }
    counts.iter_mut().for_each(Counts::summarise);
}

/// How many matching pods the overlay adds to the node.
fn overlaid(cycle: &Cycle<'_>, constraint: &SpreadConstraint, node: NodeIx, overlay: Overlay<'_>) -> i64 {
    if overlay.is_empty() || !included(cycle, constraint, node) {
        return 0;
    }
    let relations = &cycle.snapshot.relations;
    let gone =
        overlay.removed.iter().filter(|&&pod| relations.matches(constraint.matcher, cycle.snapshot.label_set(pod)));
    let come = overlay.added.iter().filter(|pod| relations.matches(constraint.matcher, pod.shape.label_set));
    i64::try_from(come.count()).unwrap_or(0) - i64::try_from(gone.count()).unwrap_or(0)
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn reach(&self) -> Reach {
        Reach::Cluster
    }

    fn pre_filter(&self, cycle: &Cycle<'_>, memory: &mut Remembered) -> PreFilter {
        if hard(cycle).next().is_none() {
            return PreFilter::Skip;
        }
        count_hard(cycle, &mut memory.spread.hard);
        PreFilter::Go
    }

    fn filter(&self, cycle: &Cycle<'_>, memory: &Remembered, node: NodeIx, overlay: Overlay<'_>) -> Verdict {
        for (constraint, counts) in hard(cycle).zip(&memory.spread.hard) {
            let domain = cycle.snapshot.columns.domain(constraint.column, node);
            if domain == 0 {
                let why = "node(s) didn't match pod topology spread constraints (missing required label)";
                return Some((Code::Unresolvable, Why::Text(why)));
            }
            let shift = overlaid(cycle, constraint, node, overlay);
            let counted = counts.by_domain.get(domain).copied().unwrap_or(ABSENT);
            let matching = if counted == ABSENT { 0 } else { counted + shift };
            let lowest = if shift == 0 { counts.lowest } else { counts.lowest_with(domain, matching) };
            let lowest = if counts.domains < constraint.min_domains { 0 } else { lowest };
            let skew = matching + i64::from(constraint.counts_itself) - lowest.min(i64::MAX / 2);
            if skew > constraint.max_skew {
                let why = "node(s) didn't match pod topology spread constraints";
                return Some((Code::Unschedulable, Why::Text(why)));
            }
        }
        None
    }

    fn pre_score(&self, cycle: &Cycle<'_>, memory: &mut Remembered, feasible: &[NodeIx]) -> bool {
        if soft(cycle).next().is_none() {
            return false;
        }
        let memory = &mut memory.spread;
        memory.needs_all_labels = !cycle.system_spread;
        count_soft(cycle, memory, feasible);
        true
    }

    fn score(&self, cycle: &Cycle<'_>, memory: &Remembered, node: NodeIx) -> i64 {
        let memory = &memory.spread;
        if memory.needs_all_labels && !has_labels(cycle.snapshot, node, soft(cycle)) {
            return NOT_SCORED;
        }
        let mut score = 0.0;
        for ((constraint, counts), weight) in soft(cycle).zip(&memory.soft).zip(&memory.weights) {
            let domain = cycle.snapshot.columns.domain(constraint.column, node);
            if domain == 0 {
                continue;
            }
            let count = if constraint.per_host {
                i64::from(cycle.snapshot.relations.per_node(constraint.matcher)[node.0])
            } else {
                counts.by_domain[domain].max(0)
            };
            score += count as f64 * weight + (constraint.max_skew - 1) as f64;
        }
        round(score)
    }

    fn normalize(&self, _: &Remembered, scores: &mut [i64]) {
        let scored = || scores.iter().copied().filter(|&score| score != NOT_SCORED);
        let (lowest, highest) = (scored().min().unwrap_or(0), scored().max().unwrap_or(0));
        for score in scores {
            *score = match *score {
                NOT_SCORED => 0,
                _ if highest == 0 => NODE_SCORE_MAX,
                score => NODE_SCORE_MAX * (highest + lowest - score) / highest,
            };
        }
    }

    fn normalizes(&self) -> bool {
        true
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        match event {
            Event::Placed(aspects, subject) if aspects.added || aspects.deleted || aspects.labels => {
                aspects.labels
                    || waking.shape.spread.is_empty()
                    || waking.shape.spread.iter().any(|constraint| {
                        waking.snapshot.relations.matches(constraint.matcher, subject.shape.label_set)
                    })
            }
            Event::Node(aspects, _) => aspects.added || aspects.deleted || aspects.labels || aspects.taints,
            Event::Target => true,
            _ => false,
        }
    }
}

fn count_soft(cycle: &Cycle<'_>, memory: &mut Memory, feasible: &[NodeIx]) {
    let snapshot = cycle.snapshot;
    memory.soft.resize_with(soft(cycle).count(), Counts::default);
    let qualifies = |node: NodeIx| !memory.needs_all_labels || has_labels(snapshot, node, soft(cycle));
    let qualified = feasible.iter().filter(|&&node| qualifies(node)).count();
    memory.weights.clear();
    let whole = all_take_part(cycle, soft(cycle));
    for (constraint, counts) in soft(cycle).zip(&mut memory.soft) {
        let column = snapshot.columns.get(constraint.column);
        let mut size = qualified;
        if !constraint.per_host {
            counts.clear(column.population().len());
            for &node in feasible.iter().filter(|&&node| qualifies(node)) {
                counts.by_domain[column.domain(node)] = 0;
            }
            size = counts.by_domain.iter().filter(|&&count| count != ABSENT).count();
            if whole {
                let matched = &snapshot.relations.pair(constraint.pair).matched;
                let entries = counts.by_domain.iter_mut().enumerate();
                entries.filter(|(_, count)| **count != ABSENT).for_each(|(domain, count)| *count = matched.at(domain));
            } else {
                count_included(cycle, constraint, counts, &qualifies);
            }
        }
        memory.weights.push(((size + 2) as f64).ln());
    }
}

fn count_included(
    cycle: &Cycle<'_>,
    constraint: &SpreadConstraint,
    counts: &mut Counts,
    qualifies: &dyn Fn(NodeIx) -> bool,
) {
    let column = cycle.snapshot.columns.get(constraint.column);
    let pods = cycle.snapshot.relations.per_node(constraint.matcher);
    for node in cycle.snapshot.live_nodes() {
        let domain = column.domain(node);
        if counts.by_domain[domain] != ABSENT && qualifies(node) && included(cycle, constraint, node) {
            counts.add(domain, pods[node.0]);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "counts times logarithms are far below 2^63")]
fn round(score: f64) -> i64 {
    score.round() as i64
}
