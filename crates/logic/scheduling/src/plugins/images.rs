//! ImageLocality: prefers nodes that have the pod's images already, the more so the larger and the more spread they are.

use crate::event::Event;
use crate::framework::{Cycle, Memory as Remembered, NODE_SCORE_MAX, Plugin, Reach, Waking};
use crate::ids::NodeIx;

/// Images below this size do not matter.
const THRESHOLD_BYTES: i64 = 23 << 20;
/// A container's images above this size matter no more than that.
const CONTAINER_BYTES_MAX: i64 = 1000 << 20;

/// The pod's images that some node has: number and size scaled by spread.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    known: Vec<(usize, i64)>,
}

#[derive(Debug)]
pub(crate) struct ImageLocality;

impl Plugin for ImageLocality {
    fn name(&self) -> &'static str {
        "ImageLocality"
    }

    fn reach(&self) -> Reach {
        Reach::Cluster
    }

    fn pre_score(&self, cycle: &Cycle<'_>, memory: &mut Remembered, _: &[NodeIx]) -> bool {
        let total = cycle.snapshot.nodes.live;
        let scaled = |name: &String| {
            let number = cycle.snapshot.images.find(name)?;
            let image = cycle.snapshot.images.get(number);
            let spread = image.nodes as f64 / total as f64;
            Some((number, truncate(image.size_bytes as f64 * spread)))
        };
        memory.images.known.clear();
        memory.images.known.extend(cycle.shape.images.iter().filter_map(scaled));
        !memory.images.known.is_empty()
    }

    fn score(&self, cycle: &Cycle<'_>, memory: &Remembered, node: NodeIx) -> i64 {
        let on_node = |&&(image, _): &&(usize, i64)| cycle.snapshot.images.get(image).is_on(node);
        let sum: i64 = memory.images.known.iter().filter(on_node).map(|&(_, bytes)| bytes).sum();
        let containers = i64::try_from(cycle.shape.images.len()).unwrap_or(i64::MAX);
        let most = CONTAINER_BYTES_MAX * containers;
        NODE_SCORE_MAX * (sum.clamp(THRESHOLD_BYTES, most) - THRESHOLD_BYTES) / (most - THRESHOLD_BYTES)
    }

    fn wakes(&self, _: &Waking<'_>, _: &Event) -> bool {
        false
    }
}

#[expect(clippy::cast_possible_truncation, reason = "image sizes are far below 2^53 bytes; the fraction is dropped")]
fn truncate(bytes: f64) -> i64 {
    bytes as i64
}
