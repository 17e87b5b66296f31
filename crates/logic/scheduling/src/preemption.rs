//! PostFilter: whom to move out of the way of a more important pod.
//!
//! On each candidate node all less important pods are imagined away. If the pod fits then, as many of them as possible are
//! given their place back, the more important ones and those protected by a disruption budget first. Among the nodes, the
//! one is taken whose victims weigh least.
//! Source of the rules: upstream's preemption documentation, "Pod Priority and Preemption".

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use typed::api::core::v1::Pod;
use typed::api::policy::v1::PodDisruptionBudget;

use crate::decision::{Diagnosis, Scratch, check, code_of};
use crate::framework::{Code, Cycle};
use crate::ids::{NodeIx, PodIx};
use crate::nomination::Nominations;
use crate::profile::{Framework, PluginBits, histogram, may_yield, reasons};
use crate::random::Random;
use crate::selector::Selector;
use crate::shape::Subject;

/// A node and the pods that must leave it.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) node: NodeIx,
    /// Most important first.
    pub(crate) victims: Vec<PodIx>,
    budgets_violated: usize,
}

/// What preemption comes to.
#[derive(Debug)]
pub(crate) enum Preemption {
    /// These pods leave, and the pod is nominated to their node.
    Evict(Candidate),
    /// No use; the nomination the pod may have is withdrawn.
    Futile(String),
    /// Not now; the nomination stays.
    Wait(String),
}

/// What preemption reads.
pub(crate) struct Grounds<'a> {
    pub(crate) framework: &'a Framework,
    pub(crate) nominations: &'a Nominations,
    pub(crate) budgets: &'a BTreeMap<String, Arc<PodDisruptionBudget>>,
    pub(crate) now: Timestamp,
}

/// Looks for a node on which less important pods can make room.
pub(crate) fn preempt(
    grounds: &Grounds<'_>,
    cycle: &Cycle<'_>,
    diagnosis: &Diagnosis,
    (scratch, random): (&Scratch, &mut Random),
) -> Preemption {
    if let Some(why) = ineligible(grounds, cycle, diagnosis) {
        return Preemption::Wait(why.to_owned());
    }
    let hopeful = |(node, refusal): &(NodeIx, crate::framework::Refusal)| may_yield(refusal.code).then_some(*node);
    let nodes: Vec<NodeIx> = diagnosis.refusals.iter().filter_map(hopeful).collect();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let candidates = if nodes.is_empty() {
        Vec::new()
    } else {
        let offset = random.below(nodes.len());
        dry_run(grounds, cycle, (scratch, diagnosis.filters), (&nodes, offset), &mut counts)
    };
    match cheapest(cycle, candidates, grounds.now) {
        Some(candidate) => Preemption::Evict(candidate),
        None => {
            let told: usize = nodes.len();
            let rest = diagnosis.nodes - told;
            if rest > 0 {
                *counts.entry("Preemption is not helpful for scheduling".to_owned()).or_default() += rest;
            }
            Preemption::Futile(format!("0/{} nodes are available: {}.", diagnosis.nodes, histogram(&counts)))
        }
    }
}

/// Why the pod may not preempt others now.
fn ineligible(grounds: &Grounds<'_>, cycle: &Cycle<'_>, diagnosis: &Diagnosis) -> Option<&'static str> {
    let spec = cycle.subject.object.spec.as_ref()?;
    if spec.preemption_policy.as_deref() == Some("Never") {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    let name = grounds.nominations.node_of(&cycle.subject.uid).or_else(|| cycle.subject.nominated())?;
    let node = cycle.snapshot.nodes.find(name)?;
    if code_of(diagnosis, node) == Code::Unresolvable {
        return None;
    }
    let leaving = |&pod: &PodIx| {
        let victim = &cycle.snapshot.pod(pod).subject;
        victim.priority < cycle.subject.priority && leaves_by_preemption(&victim.object)
    };
    let waits = cycle.snapshot.nodes.row(node).pods.iter().any(leaving);
    waits.then_some("not eligible due to a terminating pod on the nominated node.")
}

fn leaves_by_preemption(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let target = conditions.into_iter().flatten().find(|condition| condition.type_ == "DisruptionTarget");
    pod.metadata.deletion_timestamp.is_some()
        && target.is_some_and(|condition| {
            condition.status == "True" && condition.reason.as_deref() == Some("PreemptionByScheduler")
        })
}

/// Tries nodes from `offset` on until enough candidates are found; counts why the others will not do.
fn dry_run(
    grounds: &Grounds<'_>,
    cycle: &Cycle<'_>,
    (scratch, filters): (&Scratch, PluginBits),
    (nodes, offset): (&[NodeIx], usize),
    counts: &mut BTreeMap<String, usize>,
) -> Vec<Candidate> {
    let total = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    let wanted = (total * grounds.framework.candidates_percent_min / 100).max(grounds.framework.candidates_min);
    let wanted = usize::try_from(wanted.clamp(1, total)).unwrap_or(1);
    let (mut gentle, mut violating) = (Vec::new(), Vec::new());
    for &node in nodes[offset..].iter().chain(&nodes[..offset]) {
        if !gentle.is_empty() && gentle.len() + violating.len() >= wanted {
            break;
        }
        match victims_on(grounds, cycle, (scratch, filters), node) {
            Ok(candidate) if candidate.budgets_violated == 0 => gentle.push(candidate),
            Ok(candidate) => violating.push(candidate),
            Err(why) => why.into_iter().for_each(|reason| *counts.entry(reason).or_default() += 1),
        }
    }
    gentle.append(&mut violating);
    gentle
}

/// The fewest and least important pods whose removal lets the pod fit on the node.
fn victims_on(
    grounds: &Grounds<'_>,
    cycle: &Cycle<'_>,
    (scratch, filters): (&Scratch, PluginBits),
    node: NodeIx,
) -> Result<Candidate, Vec<String>> {
    let row = cycle.snapshot.nodes.row(node);
    let lowest = row.priorities.first_key_value().map(|(priority, _)| *priority);
    if lowest.is_none_or(|lowest| lowest >= cycle.subject.priority) {
        return Err(vec!["No preemption victims found for incoming pod".to_owned()]);
    }
    let less_important = |pod: &&PodIx| cycle.snapshot.pod(**pod).subject.priority < cycle.subject.priority;
    let mut potential: Vec<PodIx> = row.pods.iter().filter(less_important).copied().collect();
    potential.sort_by_key(|&pod| importance(&cycle.snapshot.pod(pod).subject, grounds.now));
    let against = |removed: &[PodIx]| {
        check(grounds.framework, cycle, (&scratch.memory, grounds.nominations), (node, filters), removed)
    };
    if let Some(refusal) = against(&potential) {
        return Err(reasons(refusal.why, cycle.snapshot));
    }
    let (protected, free) = by_budget(cycle, &potential, grounds.budgets);
    let mut removed = potential;
    let mut budgets_violated = 0;
    for (pods, counts) in [(protected, 1), (free, 0)] {
        for pod in pods {
            let without: Vec<PodIx> = removed.iter().copied().filter(|&other| other != pod).collect();
            if against(&without).is_none() {
                removed = without;
            } else {
                budgets_violated += counts;
            }
        }
    }
    Ok(Candidate { node, victims: removed, budgets_violated })
}

/// Orders pods by importance, the most important first: priority, then the longer life.
fn importance(subject: &Subject, now: Timestamp) -> (Reverse<i32>, Timestamp) {
    (Reverse(subject.priority), started(subject, now))
}

fn started(subject: &Subject, now: Timestamp) -> Timestamp {
    let start = subject.object.status.as_ref().and_then(|status| status.start_time.as_ref());
    start.map_or(now, |time| time.0)
}

/// Splits pods, in their order, into those whose removal would violate a budget and the others.
fn by_budget(
    cycle: &Cycle<'_>,
    pods: &[PodIx],
    budgets: &BTreeMap<String, Arc<PodDisruptionBudget>>,
) -> (Vec<PodIx>, Vec<PodIx>) {
    let read = |budget: &Arc<PodDisruptionBudget>| {
        let selector = Selector::new(budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()));
        let allowed = budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0);
        (Arc::clone(budget), selector, allowed)
    };
    let mut budgets: Vec<_> = budgets.values().map(read).filter(|(_, selector, _)| !selector.is_everything()).collect();
    pods.iter().partition(|&&pod| {
        let subject = &cycle.snapshot.pod(pod).subject;
        let mut violated = false;
        for (budget, selector, allowed) in &mut budgets {
            let disrupted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
            let covers = !subject.shape.labels.is_empty()
                && budget.metadata.namespace.as_deref() == Some(subject.namespace())
                && selector.matches(&subject.shape.labels)
                && !disrupted.is_some_and(|disrupted| disrupted.contains_key(subject.name()));
            if covers {
                *allowed -= 1;
                violated |= *allowed < 0;
            }
        }
        violated
    })
}

/// The candidate whose victims weigh least: fewest violated budgets, lowest highest priority, lowest sum of priorities,
/// fewest pods, latest start of the most important ones.
fn cheapest(cycle: &Cycle<'_>, candidates: Vec<Candidate>, now: Timestamp) -> Option<Candidate> {
    let cost = |candidate: &Candidate| {
        let subjects = || candidate.victims.iter().map(|&pod| &cycle.snapshot.pod(pod).subject);
        let highest = subjects().map(|subject| subject.priority).max();
        // Shifted above zero, so that many pods of negative priority do not look cheaper than few.
        let sum: i64 = subjects().map(|subject| i64::from(subject.priority) + (i64::from(i32::MAX) + 1)).sum();
        let top = subjects().filter(|subject| Some(subject.priority) == highest);
        let earliest = top.map(|subject| started(subject, now)).min();
        (candidate.budgets_violated, highest, sum, candidate.victims.len(), Reverse(earliest))
    };
    candidates.into_iter().min_by_key(cost)
}
