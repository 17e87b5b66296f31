//! Steps with overlap.

use plan::{Key, meta};
use rehearsal::{Playhouse, at};
use typed::api::core::v1::Node;

use super::{ANNOTATION, plan};

#[test]
fn the_step_changes_only_when_it_must() {
    let mut house = Playhouse::read(at(0), "{apiVersion: v1, kind: Node, metadata: {name: n1}}");
    for (count, seconds) in [(1, "0"), (100, "0"), (101, "15"), (95, "15"), (89, "0"), (501, "30"), (20_000, "600")] {
        house.play(&plan(&Key::cluster("n1"), &house, count));
        let node = house.expect::<Node>("", "n1");
        assert_eq!(meta::annotation(&node.metadata, ANNOTATION), Some(seconds), "{count} nodes");
    }
}
