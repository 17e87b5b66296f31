//! The scheduling framework: extension points as one trait, profiles as tables of plugins.
//!
//! | point | where | what a plugin gives |
//! |---|---|---|
//! | PreEnqueue | [`Plugin::gate`] | a reason to keep a pod out of the queue |
//! | QueueSort | [`crate::queue`] | priority, then age; the one order there is |
//! | PreFilter | [`Plugin::pre_filter`] | skip, refuse everywhere, or narrow to named nodes; remembers what Filter needs |
//! | Filter | [`Plugin::filter`] | a refusal of one node |
//! | PostFilter | [`crate::preemption`] | victims and a nominated node |
//! | PreScore, Score, NormalizeScore | [`Plugin::pre_score`], [`Plugin::score`], [`Plugin::normalize`] | a preference |
//! | Reserve, PreBind | [`Plugin::reserve`] | steps that must be done before the pod is bound, as data |
//! | Permit | — | no default plugin waits, so every pod is permitted |
//! | Bind, PostBind | [`crate::Output::Bind`] | carried out by whoever executes the plan |
//! | queueing hints | [`Plugin::wakes`] | whether an event may have made room for a refused pod |
//!
//! Filter and Score take an [`Overlay`]: pods to imagine added to or removed from the node in question. Preemption and
//! nominated pods are evaluated that way, so the snapshot is never copied nor changed and changed back.

use std::fmt;
use std::sync::Arc;

use crate::event::Event;
use crate::ids::{NodeIx, PodIx};
use crate::shape::{Shape, SpreadConstraint, Subject};
use crate::snapshot::Snapshot;
use crate::storage::{Storage, VolumeStep};

/// The best score a plugin gives.
pub(crate) const NODE_SCORE_MAX: i64 = 100;

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Code {
    /// Removing pods may help.
    Unschedulable,
    /// Removing pods cannot help.
    Unresolvable,
}

/// Why a node is refused, without allocation; the words are made when somebody reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Why {
    /// One fixed sentence.
    Text(&'static str),
    /// A set of resources, one bit per column.
    Lacking(u64),
    /// A set of the volume binder's reasons.
    Volumes(u8),
}

/// A node's refusal by the plugin at a place in the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Refusal {
    pub(crate) plugin: u8,
    pub(crate) code: Code,
    pub(crate) why: Why,
}

/// What a filter says of one node; `None` is consent.
pub(crate) type Verdict = Option<(Code, Why)>;

/// What PreFilter says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PreFilter {
    /// There is nothing to filter for this pod.
    Skip,
    /// Filter every node.
    Go,
    /// Filter, but only these nodes can pass.
    Only(Vec<NodeIx>),
    /// No node can pass.
    Refuse(Code, String),
}

/// On what a plugin's filter and raw score depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The pod's shape and the node's own row: results are kept per shape and node until the node changes.
    Node,
    /// Other nodes or other objects as well: computed for each decision.
    Cluster,
}

/// What plugins see of a decision.
#[derive(Clone, Copy)]
pub(crate) struct Cycle<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) storage: &'a Storage,
    pub(crate) subject: &'a Subject,
    pub(crate) shape: &'a Shape,
    /// The pod's own spread constraints, or the default ones.
    pub(crate) spread: &'a [SpreadConstraint],
    /// Whether `spread` are the built-in defaults.
    pub(crate) system_spread: bool,
}

/// Pods imagined away from or onto the node in question.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overlay<'a> {
    pub(crate) removed: &'a [PodIx],
    pub(crate) added: &'a [Arc<Subject>],
}

impl Overlay<'_> {
    pub(crate) const NONE: Overlay<'static> = Overlay { removed: &[], added: &[] };

    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// What plugins remember between the points of one decision. Reused, so that its vectors keep their room.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) spread: crate::plugins::spread::Memory,
    pub(crate) affinity: crate::plugins::interpod::Memory,
    pub(crate) images: crate::plugins::images::Memory,
    pub(crate) volumes: crate::plugins::volume_binding::Memory,
}

/// A plugin of the scheduler.
pub(crate) trait Plugin: fmt::Debug + Send + Sync {
    /// The name that configuration and users know.
    fn name(&self) -> &'static str;

    fn reach(&self) -> Reach {
        Reach::Node
    }

    /// PreEnqueue: why the pod may not be queued yet.
    fn gate(&self, _subject: &Subject) -> Option<String> {
        None
    }

    /// PreFilter. A plugin that filters answers [`PreFilter::Go`] for pods that it has something to say about.
    fn pre_filter(&self, _cycle: &Cycle<'_>, _memory: &mut Memory) -> PreFilter {
        PreFilter::Skip
    }

    /// Filter.
    fn filter(&self, _cycle: &Cycle<'_>, _memory: &Memory, _node: NodeIx, _overlay: Overlay<'_>) -> Verdict {
        None
    }

    /// PreScore: whether the plugin has a preference among `feasible`.
    fn pre_score(&self, _cycle: &Cycle<'_>, _memory: &mut Memory, _feasible: &[NodeIx]) -> bool {
        false
    }

    /// Score, before normalisation.
    fn score(&self, _cycle: &Cycle<'_>, _memory: &Memory, _node: NodeIx) -> i64 {
        0
    }

    /// Scores of many nodes; `out` is as long as `nodes`.
    fn score_all(&self, cycle: &Cycle<'_>, memory: &Memory, nodes: &[NodeIx], out: &mut Vec<i64>) {
        out.clear();
        out.extend(nodes.iter().map(|&node| self.score(cycle, memory, node)));
    }

    /// NormalizeScore: brings raw scores into 0 to 100.
    fn normalize(&self, _memory: &Memory, _scores: &mut [i64]) {}

    /// Whether [`Plugin::normalize`] changes anything; if not, raw scores can be summed at once.
    fn normalizes(&self) -> bool {
        false
    }

    /// Queueing hint: whether `event` may let a pod pass that this plugin refused.
    fn wakes(&self, waking: &Waking<'_>, event: &Event) -> bool;

    /// Reserve: what must be done before the pod is bound to `node`.
    fn reserve(&self, _cycle: &Cycle<'_>, _memory: &Memory, _node: NodeIx) -> Vec<VolumeStep> {
        Vec::new()
    }
}

/// What a queueing hint sees.
#[derive(Clone, Copy)]
pub(crate) struct Waking<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) shape: &'a Shape,
}

/// Raw scores scaled so that the highest is 100; `reverse` makes the highest raw score the worst.
pub(crate) fn scale(scores: &mut [i64], reverse: bool) {
    let highest = scores.iter().copied().max().unwrap_or(0);
    if highest == 0 {
        if reverse {
            scores.fill(NODE_SCORE_MAX);
        }
        return;
    }
    for score in scores {
        let scaled = NODE_SCORE_MAX * *score / highest;
        *score = if reverse { NODE_SCORE_MAX - scaled } else { scaled };
    }
}
