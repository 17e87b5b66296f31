//! What is known of every node for one shape of pod, kept from one decision to the next.
//!
//! Filters and scores that depend only on the shape and the node's own row ([`Reach::Node`]) are computed when a node
//! changed since the shape was last looked at. A thousand pods of one template thus cost one full pass and then one node
//! each.

use std::collections::HashMap;

use crate::framework::{Cycle, Memory, Overlay, Reach, Refusal};
use crate::ids::NodeIx;
use crate::profile::{Framework, PluginBits};

/// Memory for the tables of a profile; when it is used up, the table not used for longest goes first.
const TABLES_BYTES_MAX: usize = 32 << 20;
/// What a table needs per node: a verdict and a sum. Raw scores come on top where there are any.
const NODE_BYTES: usize = 6;
/// Tables kept in any case, and at most.
const TABLES_RANGE: (usize, usize) = (16, 4096);

/// The sum of nodes that were refused or do not exist.
pub(crate) const REFUSED: i32 = i32::MIN;

/// One shape's view of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Table {
    position: Option<u64>,
    used: u64,
    filters: PluginBits,
    /// By slot: 0 for nodes that passed and slots without a node, else one more than the refusal's place in `known`.
    verdicts: Vec<u16>,
    known: Vec<Refusal>,
    /// By slot: the weighted sum of scores that need no normalisation, or [`REFUSED`].
    pub(crate) sums: Vec<i32>,
    summed: Vec<usize>,
    /// Raw scores that need normalisation.
    pub(crate) raw: Vec<Raw>,
}

/// Raw scores of one plugin; no room is taken while all are zero.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) seat: usize,
    pub(crate) scores: Vec<i32>,
    /// How many scores differ from zero.
    pub(crate) nonzero: usize,
}

impl Raw {
    fn set(&mut self, slots: usize, node: NodeIx, score: i32) {
        if self.scores.len() < slots {
            if score == 0 && self.nonzero == 0 {
                return;
            }
            self.scores.resize(slots, 0);
        }
        let before = std::mem::replace(&mut self.scores[node.0], score);
        self.nonzero = self.nonzero + usize::from(score != 0) - usize::from(before != 0);
    }
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
        let affordable = TABLES_BYTES_MAX / (NODE_BYTES * cycle.snapshot.nodes.slots().max(1));
        let most = affordable.clamp(TABLES_RANGE.0, TABLES_RANGE.1);
        if !self.by_shape.contains_key(&shape) && self.by_shape.len() >= most {
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
        self.verdicts.resize(slots, 0);
        self.sums.resize(slots, REFUSED);
        match position.and_then(|position| changes.since(position)) {
            Some(changed) => changed.for_each(|node| self.compute(framework, cycle, memory, node)),
            None => {
                self.known.clear();
                self.choose_scorers(framework, cycle, memory);
                (0..slots).for_each(|slot| self.compute(framework, cycle, memory, NodeIx(slot)));
            }
        }
        self.position = Some(changes.now());
    }

    fn choose_scorers(&mut self, framework: &Framework, cycle: &Cycle<'_>, memory: &mut Memory) {
        self.summed.clear();
        self.raw.clear();
        for (place, seat) in framework.seats.iter().enumerate() {
            let local = seat.scores && seat.plugin.reach() == Reach::Node;
            if !local || !seat.plugin.pre_score(cycle, memory, &[]) {
                continue;
            }
            if seat.plugin.normalizes() {
                self.raw.push(Raw { seat: place, scores: Vec::new(), nonzero: 0 });
            } else {
                self.summed.push(place);
            }
        }
    }

    fn compute(&mut self, framework: &Framework, cycle: &Cycle<'_>, memory: &Memory, node: NodeIx) {
        let live = cycle.snapshot.nodes.row(node).live();
        let refusal = if live { refusal(framework, cycle, memory, (node, self.filters)) } else { None };
        let passed = live && refusal.is_none();
        self.verdicts[node.0] = refusal.map_or(0, |refusal| self.number(refusal));
        let score = |&place: &usize| {
            let seat = &framework.seats[place];
            seat.weight * seat.plugin.score(cycle, memory, node)
        };
        self.sums[node.0] = if passed { small(self.summed.iter().map(score).sum()) } else { REFUSED };
        for raw in &mut self.raw {
            let score = if passed { framework.seats[raw.seat].plugin.score(cycle, memory, node) } else { 0 };
            raw.set(self.verdicts.len(), node, small(score));
        }
    }

    /// One more than the refusal's place among those known.
    fn number(&mut self, refusal: Refusal) -> u16 {
        let place = self.known.iter().position(|known| *known == refusal).unwrap_or_else(|| {
            self.known.push(refusal);
            self.known.len() - 1
        });
        u16::try_from(place + 1).unwrap_or(u16::MAX)
    }

    /// The nodes that were refused, and why.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = (NodeIx, Refusal)> {
        let numbered = self.verdicts.iter().enumerate().filter(|(_, number)| **number > 0);
        numbered.filter_map(|(slot, number)| Some((NodeIx(slot), *self.known.get(usize::from(*number) - 1)?)))
    }
}

/// Scores are sums of a few products of 100 and a weight of at most 100.
fn small(score: i64) -> i32 {
    i32::try_from(score).unwrap_or(i32::MAX)
}

fn refusal(
    framework: &Framework,
    cycle: &Cycle<'_>,
    memory: &Memory,
    (node, filters): (NodeIx, PluginBits),
) -> Option<Refusal> {
    run_filters(framework, cycle, memory, (node, filters, Overlay::NONE), |reach| reach == Reach::Node)
}

/// The first refusal among the plugins in `filters` whose reach `wanted` accepts.
pub(crate) fn run_filters(
    framework: &Framework,
    cycle: &Cycle<'_>,
    memory: &Memory,
    (node, filters, overlay): (NodeIx, PluginBits, Overlay<'_>),
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
