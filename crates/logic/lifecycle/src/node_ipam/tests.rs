//! Ranges for nodes.

use plan::{Action, Plan, View};
use rehearsal::{Playhouse, at, script};
use typed::api::core::v1::Node;

use super::Allocator;

fn give(allocator: &mut Allocator, house: &mut Playhouse, name: &str) -> (Plan, Vec<String>) {
    house.add_yaml(&format!("{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}}}"));
    let plan = allocator.plan(&house.expect::<Node>("", name));
    house.play(&plan);
    let ranges = house.expect::<Node>("", name).spec.clone().and_then(|spec| spec.pod_cidrs).unwrap_or_default();
    (plan, ranges)
}

#[test]
fn each_node_gets_one_range_of_each_family() {
    let mut allocator = Allocator::new(&[("10.244.0.0/16", 24), ("fd00:1::/48", 64)]).unwrap();
    let mut house = Playhouse::at(at(0));
    assert_eq!(give(&mut allocator, &mut house, "n1").1, ["10.244.0.0/24", "fd00:1::/64"]);
    assert_eq!(give(&mut allocator, &mut house, "n2").1, ["10.244.1.0/24", "fd00:1:0:1::/64"]);
    assert!(allocator.plan(&house.expect::<Node>("", "n1")).is_idle(), "a range once given stands");
}

#[test]
fn the_nodes_are_the_record() {
    let mut first = Allocator::new(&[("10.0.0.0/22", 24)]).unwrap();
    let mut house = Playhouse::at(at(0));
    for name in ["n1", "n2", "n3"] {
        give(&mut first, &mut house, name);
    }
    let mut second = Allocator::new(&[("10.0.0.0/22", 24)]).unwrap();
    let nodes: &dyn View<Node> = &house;
    nodes.all().iter().for_each(|node| second.observe(node));
    assert_eq!(give(&mut second, &mut house, "n4").1, ["10.0.3.0/24"]);
    let (plan, ranges) = give(&mut second, &mut house, "n5");
    assert_eq!((script(&plan).as_str(), ranges.len(), plan.events[0].say.reason), ("", 0, "CIDRNotAvailable"));
    second.forget(&house.expect::<Node>("", "n2"));
    let plan = second.plan(&house.expect::<Node>("", "n5"));
    assert!(matches!(plan.actions().next(), Some(Action::Update { .. })));
}

#[test]
fn what_was_not_written_is_the_next_again_and_what_was_given_back_rests() {
    let mut allocator = Allocator::new(&[("10.244.0.0/16", 24)]).unwrap();
    let mut house = Playhouse::at(at(0));
    house.add_yaml("{apiVersion: v1, kind: Node, metadata: {name: n1}}");
    let plan = allocator.plan(&house.expect::<Node>("", "n1"));
    let Some(Action::Update { object: plan::Object::Node(planned), .. }) = plan.actions().next() else {
        panic!("{plan:?}")
    };
    allocator.retract(planned);
    assert_eq!(give(&mut allocator, &mut house, "n1").1, ["10.244.0.0/24"]);
    allocator.forget(&house.expect::<Node>("", "n1"));
    assert_eq!(give(&mut allocator, &mut house, "n2").1, ["10.244.1.0/24"]);
}

#[test]
fn impossible_cuts_are_refused() {
    for (range, prefix) in [("10.0.0.0/24", 16), ("10.0.0.0/8", 25), ("nonsense", 24), ("10.0.0.0/33", 33)] {
        assert!(Allocator::new(&[(range, prefix)]).is_err(), "{range} /{prefix}");
    }
}
