//! What is known of every node for one shape of pod, kept from one decision to the next.
//!
//! Filters and scores that depend only on the shape and the node's own row ([`Reach::Node`]) are computed when a node
//! changed since the shape was last looked at. A thousand pods of one template thus cost one full pass and then one node
//! each.

use std::collections::HashMap;

use crate::framework::{Cycle, Memory, Overlay, Reach, Refusal};
use crate::ids::NodeIx;
use crate::profile::{Framework, PluginBits};

/// Shapes for which tables are kept; the one not used for longest goes first. A table of 5,000 nodes is about 300 KB.
const TABLES_MAX: usize = 64;

/// The sum of nodes that were refused or do not exist.
pub(crate) const REFUSED: i64 = i64::MIN;

/// One shape's view of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    position: Option<u64>,
    used: u64,
    filters: PluginBits,
    /// By slot; `None` for nodes that passed and for slots without a node.
    pub(crate) verdicts: Vec<Option<Refusal>>,
    /// By slot: the weighted sum of scores that need no normalisation, or [`REFUSED`].
    pub(crate) sums: Vec<i64>,
    summed: Vec<usize>,
    /// Raw scores that need normalisation.
    pub(crate) raw: Vec<Raw>,
}

/// Raw scores of one plugin.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) seat: usize,
    pub(crate) scores: Vec<i64>,
    /// How many scores differ from zero.
    pub(crate) nonzero: usize,
}

/// All tables of a profile, by shape.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    by_shape: HashMap<u64, Table>,
    clock: u64,
}

impl Tables {
    /// The shape's table, brought up to date. `filters` are the plugins that have something to say about the shape.
    pub(crate) fn of(
        &mut self,
        framework: &Framework,
        cycle: &Cycle<'_>,
        memory: &mut Memory,
        filters: PluginBits,
    ) -> &Table {
        self.clock += 1;
        let shape = cycle.shape.id;
        if !self.by_shape.contains_key(&shape) && self.by_shape.len() >= TABLES_MAX {
            let oldest = self.by_shape.iter().min_by_key(|(id, table)| (table.used, **id)).map(|(id, _)| *id);
            oldest.map(|oldest| self.by_shape.remove(&oldest));
        }
        let table = self.by_shape.entry(shape).or_default();
        table.used = self.clock;
        table.refresh(framework, cycle, memory, filters);
        table
    }
}

impl Table {
    fn refresh(&mut self, framework: &Framework, cycle: &Cycle<'_>, memory: &mut Memory, filters: PluginBits) {
        let changes = cycle.snapshot.changes();
        let slots = cycle.snapshot.nodes.slots();
        let position = self.position.filter(|_| self.filters == filters);
        self.filters = filters;
        self.verdicts.resize(slots, None);
        self.sums.resize(slots, REFUSED);
        self.raw.iter_mut().for_each(|raw| raw.scores.resize(slots, 0));
        match position.and_then(|position| changes.since(position)) {
            Some(changed) => changed.for_each(|node| self.compute(framework, cycle, memory, node)),
            None => {
                self.choose_scorers(framework, cycle, memory, slots);
                (0..slots).for_each(|slot| self.compute(framework, cycle, memory, NodeIx(slot)));
            }
        }
        self.position = Some(changes.now());
    }

    fn choose_scorers(&mut self, framework: &Framework, cycle: &Cycle<'_>, memory: &mut Memory, slots: usize) {
        self.summed.clear();
        self.raw.clear();
        for (place, seat) in framework.seats.iter().enumerate() {
            let local = seat.scores && seat.plugin.reach() == Reach::Node;
            if !local || !seat.plugin.pre_score(cycle, memory, &[]) {
                continue;
            }
            if seat.plugin.normalizes() {
                self.raw.push(Raw { seat: place, scores: vec![0; slots], nonzero: 0 });
            } else {
                self.summed.push(place);
            }
        }
    }

    fn compute(&mut self, framework: &Framework, cycle: &Cycle<'_>, memory: &Memory, node: NodeIx) {
        let live = cycle.snapshot.nodes.row(node).live();
        let verdict = if live { refusal(framework, cycle, memory, (node, self.filters)) } else { None };
        self.verdicts[node.0] = verdict;
        let passed = live && verdict.is_none();
        let score = |&place: &usize| {
            let seat = &framework.seats[place];
            seat.weight * seat.plugin.score(cycle, memory, node)
        };
        self.sums[node.0] = if passed { self.summed.iter().map(score).sum() } else { REFUSED };
        for raw in &mut self.raw {
            let score = if passed { framework.seats[raw.seat].plugin.score(cycle, memory, node) } else { 0 };
            let before = std::mem::replace(&mut raw.scores[node.0], score);
            raw.nonzero = raw.nonzero + usize::from(score != 0) - usize::from(before != 0);
        }
    }
}

fn refusal(
    framework: &Framework,
    cycle: &Cycle<'_>,
    memory: &Memory,
    (node, filters): (NodeIx, PluginBits),
) -> Option<Refusal> {
    run_filters(framework, cycle, memory, (node, filters), Overlay::NONE, |reach| reach == Reach::Node)
}

/// The first refusal among the plugins in `filters` whose reach `wanted` accepts.
pub(crate) fn run_filters(
    framework: &Framework,
    cycle: &Cycle<'_>,
    memory: &Memory,
    (node, filters): (NodeIx, PluginBits),
    overlay: Overlay<'_>,
    wanted: impl Fn(Reach) -> bool,
) -> Option<Refusal> {
    let mut left = filters;
    while left != 0 {
        let place = left.trailing_zeros();
        left &= left - 1;
        let plugin = &framework.seats[place as usize].plugin;
        if !wanted(plugin.reach()) {
            continue;
        }
        if let Some((code, why)) = plugin.filter(cycle, memory, node, overlay) {
            let plugin = u8::try_from(place).expect("a profile has at most 32 plugins");
            return Some(Refusal { plugin, code, why });
        }
    }
    None
}
