//! NodeResourcesBalancedAllocation: prefers nodes whose resources would be used to about the same degree.

use crate::event::Event;
use crate::framework::{Cycle, Memory, NODE_SCORE_MAX, Plugin, Waking};
use crate::ids::{Dim, NodeIx};
use crate::resources::PODS;

#[derive(Debug)]
pub(crate) struct BalancedAllocation {
    pub(crate) resources: Vec<Dim>,
}

/// Fractions looked at; more resources than that cannot be configured sensibly.
const FRACTIONS_MAX: usize = 16;

impl Plugin for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn pre_score(&self, cycle: &Cycle<'_>, _: &mut Memory, _: &[NodeIx]) -> bool {
        self.resources.iter().any(|&dim| cycle.shape.usage.amount(dim) > 0)
    }

    fn score(&self, cycle: &Cycle<'_>, _: &Memory, node: NodeIx) -> i64 {
        let nodes = &cycle.snapshot.nodes;
        let (mut fractions, mut count) = ([0.0_f64; FRACTIONS_MAX], 0);
        for &dim in self.resources.iter().take(FRACTIONS_MAX) {
            let amount = cycle.shape.usage.amount(dim);
            let allocatable = nodes.allocatable[dim.0][node.0];
            if allocatable == 0 || (amount == 0 && dim > PODS) {
                continue;
            }
            let requested = nodes.requested[dim.0][node.0] + amount;
            fractions[count] = (requested as f64 / allocatable as f64).min(1.0);
            count += 1;
        }
        let fractions = &fractions[..count];
        let deviation = match fractions {
            [] | [_] => 0.0,
            [one, other] => ((one - other) / 2.0).abs(),
            many => {
                let mean = many.iter().sum::<f64>() / many.len() as f64;
                (many.iter().map(|fraction| (fraction - mean).powi(2)).sum::<f64>() / many.len() as f64).sqrt()
            }
        };
        score_of(deviation)
    }

    fn wakes(&self, _: &Waking<'_>, _: &Event) -> bool {
        false
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the score is between 0 and 100; the fraction is dropped")]
fn score_of(deviation: f64) -> i64 {
    ((1.0 - deviation) * NODE_SCORE_MAX as f64) as i64
}
