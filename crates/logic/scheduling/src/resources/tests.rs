//! What a pod holds while it is being resized.

use std::collections::BTreeMap;

use typed::api::core::v1::{PodCondition, PodStatus};

use super::*;

fn requirements(cpu: &str) -> Option<ResourceRequirements> {
    let requests = (!cpu.is_empty()).then(|| BTreeMap::from([("cpu".to_owned(), Quantity(cpu.to_owned()))]));
    Some(ResourceRequirements { requests, ..Default::default() })
}

/// A pod whose container asks for `asked`, was granted `granted` and has `actual`; and the same as a whole.
fn pod(container: [&str; 3], whole: [&str; 3]) -> Pod {
    let list = |cpu: &str| requirements(cpu).and_then(|it| it.requests);
    let asks = Container { name: "c".to_owned(), resources: requirements(container[0]), ..Default::default() };
    let status = ContainerStatus {
        name: "c".to_owned(),
        allocated_resources: list(container[1]),
        resources: (!container[2].is_empty()).then(|| requirements(container[2])).flatten(),
        ..Default::default()
    };
    Pod {
        spec: Some(PodSpec { containers: vec![asks], resources: requirements(whole[0]), ..Default::default() }),
        status: Some(PodStatus {
            container_statuses: Some(vec![status]),
            allocated_resources: list(whole[1]),
            resources: requirements(whole[2]),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn the_most_counts() {
    let none = ["", "", ""];
    let check = |what: &str, pod: &Pod, expected: i64| {
        let mut nodes = Nodes::default();
        assert_eq!(Usage::held(pod, &mut nodes).amount(CPU), expected, "{what}");
    };
    check("nothing is told yet", &pod(["1", "", ""], none), 1000);
    check("it grows", &pod(["3", "1", "1"], none), 3000);
    check("it was granted, and is not in force yet", &pod(["1", "3", "1"], none), 3000);
    check("it shrinks", &pod(["1", "1", "3"], none), 3000);
    check("as a whole", &pod(["1", "1", "1"], ["2", "2", "4"]), 4000);
    check("what is summed up is not asked as a whole", &pod(["1", "1", "1"], ["", "4", "4"]), 1000);
    let mut impossible = pod(["9", "1", "2"], none);
    let condition = PodCondition {
        type_: "PodResizePending".to_owned(),
        reason: Some("Infeasible".to_owned()),
        ..Default::default()
    };
    impossible.status.as_mut().expect("a status").conditions = Some(vec![condition]);
    check("what cannot be is not asked for", &impossible, 2000);
}
