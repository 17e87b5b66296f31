//! NodeResourcesFit: the node has what the pod asks for; scores by how full it becomes.

use crate::config::UtilizationPoint;
use crate::event::Event;
use crate::framework::{Code, Cycle, Memory, NODE_SCORE_MAX, Overlay, Plugin, PreFilter, Verdict, Waking, Why};
use crate::ids::{Dim, NodeIx};
use crate::resources::{CPU, MEMORY, PODS};
use crate::snapshot::Snapshot;

/// A resource's column and weight.
pub(crate) type Weighted = (Dim, i64);

/// How a node is scored by what is requested of it.
#[derive(Debug)]
pub(crate) enum Strategy {
    Least,
    Most,
    Ratio(Vec<UtilizationPoint>),
}

#[derive(Debug)]
pub(crate) struct NodeResourcesFit {
    pub(crate) strategy: Strategy,
    pub(crate) resources: Vec<Weighted>,
    /// Extended resources that an extender manages.
    pub(crate) ignored: Vec<String>,
    pub(crate) ignored_groups: Vec<String>,
}

impl NodeResourcesFit {
    fn ignores(&self, name: &str) -> bool {
        let group = name.split_once('/').map(|(group, _)| group);
        self.ignored.iter().any(|ignored| ignored == name)
            || group.is_some_and(|group| self.ignored_groups.iter().any(|ignored| ignored == group))
    }

    fn skips(&self, snapshot: &Snapshot, dim: Dim) -> bool {
        let all_counted = self.ignored.is_empty() && self.ignored_groups.is_empty();
        !all_counted && dim > PODS && self.ignores(snapshot.nodes.dims.name(dim))
    }
}

/// What the overlay adds to a resource's requests on the node.
fn shift(cycle: &Cycle<'_>, dim: Dim, overlay: Overlay<'_>) -> i64 {
    let removed = overlay.removed.iter().map(|&pod| &cycle.snapshot.pod(pod).subject.usage);
    let added = overlay.added.iter().map(|subject| &subject.usage);
    added.map(|usage| usage.amount(dim)).sum::<i64>() - removed.map(|usage| usage.amount(dim)).sum::<i64>()
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn pre_filter(&self, _: &Cycle<'_>, _: &mut Memory) -> PreFilter {
        PreFilter::Go
    }

    fn filter(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx, overlay: Overlay<'_>) -> Verdict {
        let nodes = &cycle.snapshot.nodes;
        let (mut lacking, mut code) = (0_u64, Code::Unschedulable);
        let more = i64::try_from(overlay.added.len()).unwrap_or(0) - i64::try_from(overlay.removed.len()).unwrap_or(0);
        if nodes.requested[PODS.0][node.0] + more + 1 > nodes.allocatable[PODS.0][node.0] {
            lacking |= 1 << PODS.0;
        }
        for &(dim, amount) in &cycle.shape.usage.requests {
            let allocatable = nodes.allocatable[dim.0][node.0];
            let mut used = nodes.requested[dim.0][node.0];
            if !overlay.is_empty() {
                used += shift(cycle, dim, overlay);
            }
            if amount > allocatable - used && !self.skips(cycle.snapshot, dim) {
                lacking |= 1 << dim.0;
                if amount > allocatable {
                    code = Code::Unresolvable;
                }
            }
        }
        (lacking != 0).then_some((code, Why::Lacking(lacking)))
    }

    fn pre_score(&self, _: &Cycle<'_>, _: &mut Memory, _: &[NodeIx]) -> bool {
        true
    }

    fn score(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx) -> i64 {
        match &self.strategy {
            Strategy::Least => average(cycle, &self.resources, node, |requested, allocatable| {
                if requested > allocatable { 0 } else { (allocatable - requested) * NODE_SCORE_MAX / allocatable }
            }),
            Strategy::Most => average(cycle, &self.resources, node, |requested, allocatable| {
                requested.min(allocatable) * NODE_SCORE_MAX / allocatable
            }),
            Strategy::Ratio(points) => ratio(cycle, &self.resources, points, node),
        }
    }

    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool {
        match event {
            Event::Placed(aspects, _) => aspects.deleted || aspects.scaled_down,
            Event::Node(aspects, diff) if aspects.added || aspects.allocatable => {
                let name = diff.new.as_ref().and_then(|node| node.metadata.name.as_deref());
                let node = name.and_then(|name| waking.snapshot.nodes.find(name));
                let nodes = &waking.snapshot.nodes;
                let has_room = |node: NodeIx| {
                    let mut requests = waking.shape.usage.requests.iter();
                    requests.all(|&(dim, amount)| {
                        amount <= nodes.allocatable[dim.0][node.0] || self.skips(waking.snapshot, dim)
                    })
                };
                node.is_some_and(has_room)
            }
            Event::Target => true,
            _ => false,
        }
    }
}

/// What would be requested of a resource with the pod on the node, and what there is; `None` for what does not count.
///
/// CPU and memory are taken with the assumed minimum per container. A further resource counts only for pods that ask
/// for it.
pub(super) fn requested_with(cycle: &Cycle<'_>, dim: Dim, node: NodeIx) -> Option<(i64, i64)> {
    let nodes = &cycle.snapshot.nodes;
    let usage = &cycle.shape.usage;
    let allocatable = nodes.allocatable[dim.0][node.0];
    if allocatable == 0 {
        return None;
    }
    if dim == CPU || dim == MEMORY {
        return Some((nodes.nonzero[dim.0][node.0] + usage.nonzero[dim.0], allocatable));
    }
    let amount = usage.amount(dim);
    (amount > 0 || dim < PODS).then(|| (nodes.requested[dim.0][node.0] + amount, allocatable))
}

fn average(cycle: &Cycle<'_>, resources: &[Weighted], node: NodeIx, score: impl Fn(i64, i64) -> i64) -> i64 {
    let (mut sum, mut weights) = (0, 0);
    for &(dim, weight) in resources {
        let Some((requested, allocatable)) = requested_with(cycle, dim, node) else { continue };
        sum += score(requested, allocatable) * weight;
        weights += weight;
    }
    if weights == 0 { 0 } else { sum / weights }
}

fn ratio(cycle: &Cycle<'_>, resources: &[Weighted], shape: &[UtilizationPoint], node: NodeIx) -> i64 {
    let (mut sum, mut weights) = (0, 0);
    for &(dim, weight) in resources {
        let Some((requested, allocatable)) = requested_with(cycle, dim, node) else { continue };
        let utilization = if requested > allocatable { 100 } else { requested * 100 / allocatable };
        let score = interpolate(shape, utilization);
        if score > 0 {
            sum += score * weight;
            weights += weight;
        }
    }
    if weights == 0 { 0 } else { (2 * sum + weights) / (2 * weights) }
}

/// The score at `utilization` on the line through the points; scores of points are 0 to 10 and are scaled to 100.
fn interpolate(shape: &[UtilizationPoint], utilization: i64) -> i64 {
    let scaled = |point: &UtilizationPoint| i64::from(point.score) * 10;
    let Some(first) = shape.first() else { return 0 };
    let mut before = first;
    for point in shape {
        if utilization <= i64::from(point.utilization) {
            let width = i64::from(point.utilization) - i64::from(before.utilization);
            if width == 0 {
                return scaled(point);
            }
            let offset = utilization - i64::from(before.utilization);
            return scaled(before) + (scaled(point) - scaled(before)) * offset / width;
        }
        before = point;
    }
    scaled(before)
}
