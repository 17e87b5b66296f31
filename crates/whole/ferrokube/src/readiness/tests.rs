//! Nodes and what they are said to be.

use typed::api::core::v1::{Node, NodeCondition, NodeSpec, NodeStatus};

use super::{is_ready, takes_pods};

fn node(conditions: &[(&str, &str, &str)], unschedulable: bool) -> Node {
    let condition = |(type_, status, message): &(&str, &str, &str)| NodeCondition {
        type_: (*type_).to_owned(),
        status: (*status).to_owned(),
        reason: Some("Reason".to_owned()),
        message: Some((*message).to_owned()),
        ..NodeCondition::default()
    };
    let conditions = Some(conditions.iter().map(condition).collect());
    Node {
        spec: Some(NodeSpec { unschedulable: Some(unschedulable), ..NodeSpec::default() }),
        status: Some(NodeStatus { conditions, ..NodeStatus::default() }),
        ..Node::default()
    }
}

#[test]
fn a_node_says_what_keeps_pods_away() {
    let ready = ("Ready", "True", "");
    let full = ("DiskPressure", "True", "kubelet has disk pressure");
    let cases: [(Node, Result<(), &str>); 4] = [
        (node(&[ready, ("DiskPressure", "False", "")], false), Ok(())),
        (node(&[ready, full], false), Err("takes no new pods: DiskPressure (kubelet has disk pressure)")),
        (node(&[ready], true), Err("takes no new pods: it is cordoned (kubectl uncordon)")),
        (
            node(&[ready, full], true),
            Err("takes no new pods: DiskPressure (kubelet has disk pressure), it is cordoned (kubectl uncordon)"),
        ),
    ];
    for (node, expected) in cases {
        assert_eq!(is_ready(&node), Ok(()));
        assert_eq!(takes_pods(&node), expected.map_err(str::to_owned));
    }
}

#[test]
fn a_node_that_is_not_ready_says_why() {
    assert_eq!(is_ready(&node(&[("Ready", "False", "no network")], false)), Err("Reason no network".to_owned()));
    assert_eq!(is_ready(&node(&[], false)), Err("it has no condition Ready".to_owned()));
}
