//! One decision: which node a pod goes to, or why it can go nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::framework::{Code, Cycle, Memory, Overlay, PreFilter, Reach, Refusal};
use crate::ids::NodeIx;
use crate::nomination::Nominations;
use crate::profile::{Framework, PluginBits, histogram, reasons};
use crate::random::Random;
use crate::shape::Subject;
use crate::snapshot::Snapshot;
use crate::storage::VolumeStep;
use crate::table::{REFUSED, Table, Tables, run_filters};

/// Clusters up to this size are always searched whole.
const NODES_SEARCHED_MIN: usize = 100;

/// What a decision reads besides the pod and the cluster.
pub(crate) struct Desk<'a> {
    pub(crate) framework: &'a Framework,
    pub(crate) nominations: &'a Nominations,
    pub(crate) tables: &'a mut Tables,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) random: &'a mut Random,
}

/// Vectors that keep their room from decision to decision.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) memory: Memory,
    feasible: Vec<NodeIx>,
    totals: Vec<i64>,
    scores: Vec<i64>,
    late: Vec<(NodeIx, Refusal)>,
    start: usize,
}

/// A node for the pod.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) node: NodeIx,
    pub(crate) steps: Vec<VolumeStep>,
}

/// Why the pod fits nowhere.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    pub(crate) nodes: usize,
    /// Plugins that refused.
    pub(crate) plugins: PluginBits,
    /// Plugins that have something to say about the pod, for trying again with pods removed.
    pub(crate) filters: PluginBits,
    /// Refusals by node; nodes that are not listed were excluded beforehand.
    pub(crate) refusals: Vec<(NodeIx, Refusal)>,
    /// What PreFilter said about all nodes.
    pub(crate) pre_filter: Option<String>,
    /// What is said about nodes that are not listed.
    pub(crate) excluded: Option<String>,
}

/// The result of a decision.
pub(crate) type Outcome = Result<Placement, Diagnosis>;

impl Diagnosis {
    /// Upstream's sentence, e.g. `0/3 nodes are available: 3 Insufficient cpu.`
    pub(crate) fn message(&self, snapshot: &Snapshot, post_filter: &str) -> String {
        if self.nodes == 0 {
            return "no nodes available to schedule pods".to_owned();
        }
        let mut message = format!("0/{} nodes are available:", self.nodes);
        if let Some(why) = &self.pre_filter {
            message.push_str(&format!(" {why}."));
        } else {
            let histogram = self.histogram(snapshot);
            if !histogram.is_empty() {
                message.push_str(&format!(" {histogram}."));
            }
        }
        if !post_filter.is_empty() {
            message.push_str(&format!(" {post_filter}"));
        }
        message
    }

    fn histogram(&self, snapshot: &Snapshot) -> String {
        let mut by_refusal: Vec<(Refusal, usize)> = Vec::new();
        for (_, refusal) in &self.refusals {
            match by_refusal.iter_mut().find(|(known, _)| known == refusal) {
                Some((_, count)) => *count += 1,
                None => by_refusal.push((*refusal, 1)),
            }
        }
        let mut counts = BTreeMap::new();
        for (refusal, count) in by_refusal {
            reasons(refusal.why, snapshot).into_iter().for_each(|reason| *counts.entry(reason).or_default() += count);
        }
        if let Some(excluded) = &self.excluded {
            *counts.entry(excluded.clone()).or_default() += self.nodes - self.refusals.len();
        }
        counts.retain(|_, count| *count > 0);
        histogram(&counts)
    }
}

/// Decides where the pod goes.
pub(crate) fn decide(desk: &mut Desk<'_>, cycle: &Cycle<'_>) -> Outcome {
    let (filters, only) = pre_filter(desk, cycle)?;
    if let Some(node) = nominated_node(desk, cycle, filters) {
        return Ok(place(desk, cycle, node));
    }
    filter(desk, cycle, filters, only.as_deref())?;
    let node = if let [node] = desk.scratch.feasible[..] {
        node
    } else {
        score(desk, cycle, only.is_some(), filters);
        best(desk)
    };
    Ok(place(desk, cycle, node))
}

/// All nodes on which the pod fits, with their scores.
pub(crate) fn explain(desk: &mut Desk<'_>, cycle: &Cycle<'_>) -> Result<Vec<(NodeIx, i64)>, Diagnosis> {
    let (filters, only) = pre_filter(desk, cycle)?;
    filter(desk, cycle, filters, only.as_deref())?;
    score(desk, cycle, only.is_some(), filters);
    Ok(desk.scratch.feasible.iter().copied().zip(desk.scratch.totals.iter().copied()).collect())
}

/// Fills `scratch.feasible`, or tells why no node will do.
fn filter(
    desk: &mut Desk<'_>,
    cycle: &Cycle<'_>,
    filters: PluginBits,
    only: Option<&[NodeIx]>,
) -> Result<(), Diagnosis> {
    let nodes = cycle.snapshot.nodes.live;
    let found = match only {
        Some(named) => filter_named(desk, cycle, filters, named),
        None => filter_all(desk, cycle, filters),
    };
    if let Err(refusals) = found {
        let plugins = refusals.iter().fold(0, |bits, (_, refusal)| bits | 1 << refusal.plugin);
        let (plugins, excluded) = match only {
            Some(_) if refusals.len() < nodes => {
                let bit = bit_of(desk.framework, "NodeAffinity");
                (plugins | bit, Some(format!("node(s) didn't satisfy plugin(s) [{}]", "NodeAffinity")))
            }
            _ => (plugins, None),
        };
        return Err(Diagnosis { nodes, plugins, filters, refusals, excluded, pre_filter: None });
    }
    Ok(())
}

fn bit_of(framework: &Framework, name: &str) -> PluginBits {
    framework.seats.iter().position(|seat| seat.plugin.name() == name).map_or(0, |place| 1 << place)
}

/// The plugins with something to filter, and the only nodes that can pass, if some plugin named them.
type PreFiltered = (PluginBits, Option<Vec<NodeIx>>);

fn pre_filter(desk: &mut Desk<'_>, cycle: &Cycle<'_>) -> Result<PreFiltered, Diagnosis> {
    if cycle.snapshot.nodes.live == 0 {
        return Err(Diagnosis::default());
    }
    let (mut filters, mut only): PreFiltered = (0, None);
    for (place, seat) in desk.framework.seats.iter().enumerate().filter(|(_, seat)| seat.filters) {
        match seat.plugin.pre_filter(cycle, &mut desk.scratch.memory) {
            PreFilter::Skip => {}
            PreFilter::Go => filters |= 1 << place,
            PreFilter::Only(nodes) => {
                filters |= 1 << place;
                only = Some(match only {
                    None => nodes,
                    Some(before) => before.into_iter().filter(|node| nodes.contains(node)).collect(),
                });
            }
            PreFilter::Refuse(_, why) => {
                let nodes = cycle.snapshot.nodes.live;
                return Err(Diagnosis { nodes, plugins: 1 << place, pre_filter: Some(why), ..Diagnosis::default() });
            }
        }
    }
    if let Some(nodes) = &mut only {
        nodes.retain(|&node| cycle.snapshot.nodes.row(node).live());
        nodes.sort_unstable();
        nodes.dedup();
    }
    Ok((filters, only))
}

/// The node that an earlier preemption made room on, if the pod fits there now.
fn nominated_node(desk: &Desk<'_>, cycle: &Cycle<'_>, filters: PluginBits) -> Option<NodeIx> {
    let node = cycle.snapshot.nodes.find(cycle.subject.nominated()?)?;
    let fits = cycle.snapshot.nodes.row(node).live()
        && check(desk.framework, cycle, (&desk.scratch.memory, desk.nominations), (node, filters), &[]).is_none();
    fits.then_some(node)
}

/// All filters on one node with `removed` pods imagined away: first with the pods that are nominated there and are at least
/// as important, then without them, because they may never arrive.
pub(crate) fn check(
    framework: &Framework,
    cycle: &Cycle<'_>,
    (memory, nominations): (&Memory, &Nominations),
    (node, filters): (NodeIx, PluginBits),
    removed: &[crate::ids::PodIx],
) -> Option<Refusal> {
    let added: Vec<Arc<Subject>> = nominations.at(cycle.snapshot.nodes.name(node), cycle.subject);
    if !added.is_empty() {
        let overlay = Overlay { removed, added: &added };
        let refusal = run_filters(framework, cycle, memory, (node, filters, overlay), |_| true);
        if refusal.is_some() {
            return refusal;
        }
    }
    run_filters(framework, cycle, memory, (node, filters, Overlay { removed, added: &[] }), |_| true)
}

/// Fills `scratch.feasible` from the named nodes, or tells why none of them will do.
fn filter_named(
    desk: &mut Desk<'_>,
    cycle: &Cycle<'_>,
    filters: PluginBits,
    named: &[NodeIx],
) -> Result<(), Vec<(NodeIx, Refusal)>> {
    let mut refusals = Vec::new();
    desk.scratch.feasible.clear();
    for &node in named {
        match check(desk.framework, cycle, (&desk.scratch.memory, desk.nominations), (node, filters), &[]) {
            Some(refusal) => refusals.push((node, refusal)),
            None => desk.scratch.feasible.push(node),
        }
    }
    if desk.scratch.feasible.is_empty() { Err(refusals) } else { Ok(()) }
}

/// Fills `scratch.feasible` from all nodes, or tells why each of them will not do.
fn filter_all(desk: &mut Desk<'_>, cycle: &Cycle<'_>, filters: PluginBits) -> Result<(), Vec<(NodeIx, Refusal)>> {
    let (framework, nominations) = (desk.framework, desk.nominations);
    let table = desk.tables.of(framework, cycle, &mut desk.scratch.memory, filters);
    let wide = wide_filters(framework, filters);
    let Scratch { memory, feasible, late, start, .. } = &mut *desk.scratch;
    let reserved = reserved_nodes(framework, cycle, (memory, nominations), filters);
    feasible.clear();
    late.clear();
    let wanted = nodes_wanted(framework.percentage_of_nodes, cycle.snapshot.nodes.live);
    let slots = table.sums.len();
    let first = if wanted < cycle.snapshot.nodes.live { *start % slots } else { 0 };
    let mut looked_at = 0;
    for slot in (first..slots).chain(0..first) {
        if feasible.len() == wanted {
            break;
        }
        looked_at += 1;
        if table.sums[slot] == REFUSED {
            continue;
        }
        let node = NodeIx(slot);
        let refusal = match reserved.get(&node) {
            Some(refusal) => Some(*refusal),
            None if wide == 0 => None,
            None => run_filters(framework, cycle, memory, (node, wide, Overlay::NONE), |_| true),
        };
        match refusal {
            Some(refusal) => late.push((node, refusal)),
            None => feasible.push(node),
        }
    }
    *start = first + looked_at;
    if !feasible.is_empty() {
        return Ok(());
    }
    let mut refusals = Vec::with_capacity(cycle.snapshot.nodes.live);
    refusals.extend(table.refusals().chain(late.iter().copied()));
    Err(refusals)
}

fn wide_filters(framework: &Framework, filters: PluginBits) -> PluginBits {
    let wide = |place: &usize| filters >> place & 1 == 1 && framework.seats[*place].plugin.reach() == Reach::Cluster;
    (0..framework.seats.len()).filter(wide).fold(0, |bits, place| bits | 1 << place)
}

/// Nodes that would do, were they not promised to pods at least as important.
fn reserved_nodes(
    framework: &Framework,
    cycle: &Cycle<'_>,
    (memory, nominations): (&Memory, &Nominations),
    filters: PluginBits,
) -> BTreeMap<NodeIx, Refusal> {
    let promised = nominations.nodes().filter_map(|name| cycle.snapshot.nodes.find(name));
    let live = promised.filter(|&node| cycle.snapshot.nodes.row(node).live());
    let refused = live.filter_map(|node| {
        let refusal = check(framework, cycle, (memory, nominations), (node, filters), &[])?;
        Some((node, refusal))
    });
    refused.collect()
}

fn nodes_wanted(percentage: i32, nodes: usize) -> usize {
    match usize::try_from(percentage) {
        Ok(percentage @ 1..=99) if nodes > NODES_SEARCHED_MIN => (nodes * percentage / 100).max(NODES_SEARCHED_MIN),
        _ => nodes,
    }
}

/// Fills `scratch.totals` with the scores of `scratch.feasible`.
fn score(desk: &mut Desk<'_>, cycle: &Cycle<'_>, named: bool, filters: PluginBits) {
    let framework = desk.framework;
    if named {
        score_directly(framework, cycle, desk.scratch);
    } else {
        let table = desk.tables.of(framework, cycle, &mut desk.scratch.memory, filters);
        score_from_table(framework, table, desk.scratch);
        score_wide(framework, cycle, desk.scratch, |reach| reach == Reach::Cluster);
    }
}

/// The node with the highest total; equally good ones are drawn by lot.
fn best(desk: &mut Desk<'_>) -> NodeIx {
    let totals = &desk.scratch.totals;
    let best = totals.iter().copied().max().expect("there are feasible nodes");
    let ties = totals.iter().filter(|&&total| total == best).count();
    let drawn = desk.random.below(ties);
    let winner = totals.iter().enumerate().filter(|(_, total)| **total == best).nth(drawn);
    desk.scratch.feasible[winner.expect("as many ties as were counted").0]
}

fn score_directly(framework: &Framework, cycle: &Cycle<'_>, scratch: &mut Scratch) {
    scratch.totals.clear();
    scratch.totals.resize(scratch.feasible.len(), 0);
    score_wide(framework, cycle, scratch, |_| true);
}

fn score_from_table(framework: &Framework, table: &Table, scratch: &mut Scratch) {
    let Scratch { feasible, totals, scores, memory, .. } = scratch;
    totals.clear();
    totals.extend(feasible.iter().map(|node| i64::from(table.sums[node.0])));
    for raw in table.raw.iter().filter(|raw| raw.nonzero > 0) {
        scores.clear();
        scores.extend(feasible.iter().map(|node| i64::from(raw.scores[node.0])));
        let seat = &framework.seats[raw.seat];
        seat.plugin.normalize(memory, scores);
        totals.iter_mut().zip(scores.iter()).for_each(|(total, score)| *total += seat.weight * score);
    }
}

fn score_wide(framework: &Framework, cycle: &Cycle<'_>, scratch: &mut Scratch, wanted: impl Fn(Reach) -> bool) {
    let Scratch { feasible, totals, scores, memory, .. } = scratch;
    for seat in framework.seats.iter().filter(|seat| seat.scores && wanted(seat.plugin.reach())) {
        if !seat.plugin.pre_score(cycle, memory, feasible) {
            continue;
        }
        seat.plugin.score_all(cycle, memory, feasible, scores);
        seat.plugin.normalize(memory, scores);
        totals.iter_mut().zip(scores.iter()).for_each(|(total, score)| *total += seat.weight * score);
    }
}

fn place(desk: &Desk<'_>, cycle: &Cycle<'_>, node: NodeIx) -> Placement {
    let memory = &desk.scratch.memory;
    let steps = desk.framework.seats.iter().flat_map(|seat| seat.plugin.reserve(cycle, memory, node)).collect();
    Placement { node, steps }
}

/// The code of a node's refusal; nodes that are not listed cannot be helped.
pub(crate) fn code_of(diagnosis: &Diagnosis, node: NodeIx) -> Code {
    let listed = diagnosis.refusals.iter().find(|(other, _)| *other == node);
    listed.map_or(Code::Unresolvable, |(_, refusal)| refusal.code)
}
