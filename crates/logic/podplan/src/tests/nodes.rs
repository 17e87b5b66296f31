//! What a node says of itself.

use std::collections::BTreeMap;

use typed::api::core::v1::{Node, NodeSystemInfo};

use super::{now, seconds};
use crate::eviction::{HARD_DEFAULTS, Reading, Signal};
use crate::node::{self, Facts};

fn facts() -> Facts {
    Facts {
        name: "n".to_owned(),
        host_name: "n".to_owned(),
        ips: vec!["192.0.2.1".to_owned()],
        cpus: 4,
        memory_bytes: 8 << 30,
        storage_bytes: 100 << 30,
        pods_max: 110,
        reserved: BTreeMap::from([("cpu".to_owned(), 250), ("memory".to_owned(), 1 << 30)]),
        system: NodeSystemInfo {
            operating_system: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            ..Default::default()
        },
        readings: BTreeMap::from([(Signal::Memory, Reading { available: 1 << 30, capacity: 8 << 30 })]),
        ..Facts::default()
    }
}

fn conditions(node: &Node) -> Vec<String> {
    let status = node.status.as_ref().and_then(|status| status.conditions.as_ref()).expect("conditions");
    status.iter().map(|it| format!("{} {} {}", it.type_, it.status, it.reason.clone().unwrap_or_default())).collect()
}

#[test]
fn a_node_is_described() {
    let node = node::node(&facts(), &HARD_DEFAULTS, None, now());
    let status = node.status.clone().expect("a status");
    let amount = |name: &str| status.allocatable.as_ref().and_then(|all| all.get(name)).map(|it| it.0.clone());
    assert_eq!((amount("cpu").as_deref(), amount("memory").as_deref()), (Some("3750m"), Some("7340032Ki")));
    assert_eq!(
        conditions(&node),
        [
            "MemoryPressure False KubeletHasSufficientMemory",
            "DiskPressure False KubeletHasNoDiskPressure",
            "PIDPressure False KubeletHasSufficientPID",
            "Ready True KubeletReady",
        ]
    );
    let labels = node.metadata.labels.expect("labels");
    assert_eq!(labels.get("kubernetes.io/hostname").map(String::as_str), Some("n"));
    assert_eq!(labels.get("beta.kubernetes.io/arch").map(String::as_str), Some("amd64"));
}

#[test]
fn heartbeats_are_no_change_and_pressure_is() {
    let first = node::node(&facts(), &HARD_DEFAULTS, None, now()).status.expect("a status");
    let later = node::node(&facts(), &HARD_DEFAULTS, Some(&first), seconds(10)).status.expect("a status");
    assert!(!node::changed(&first, &later));
    let mut short = facts();
    short.readings.insert(Signal::Memory, Reading { available: 50 << 20, capacity: 8 << 30 });
    short.problems.push("container runtime is down".to_owned());
    let pressed = node::node(&short, &HARD_DEFAULTS, Some(&first), seconds(20));
    assert_eq!(conditions(&pressed)[0], "MemoryPressure True KubeletHasInsufficientMemory");
    assert_eq!(conditions(&pressed)[3], "Ready False KubeletNotReady");
    assert!(node::changed(&first, &pressed.status.expect("a status")));
}

#[test]
fn what_changes_is_told() {
    let status = |conditions: &str| {
        let condition = |word: &str| {
            let (type_, status) = word.split_once('=').expect("a status");
            let (type_, status) = (type_.to_owned(), status.to_owned());
            typed::api::core::v1::NodeCondition { type_, status, ..Default::default() }
        };
        let conditions = conditions.split_whitespace().map(condition).collect();
        typed::api::core::v1::NodeStatus { conditions: Some(conditions), ..Default::default() }
    };
    let calm = "MemoryPressure=False DiskPressure=False PIDPressure=False";
    let (ready, unready) = (format!("{calm} Ready=True"), format!("{calm} Ready=False"));
    let disk = ready.replace("DiskPressure=False", "DiskPressure=True");
    let all = "NodeHasSufficientMemory NodeHasNoDiskPressure NodeHasSufficientPID";
    let cases = [
        (None, &ready, all),
        (None, &unready, all),
        (Some(&unready), &ready, "NodeReady"),
        (Some(&ready), &unready, "NodeNotReady"),
        (Some(&ready), &ready, ""),
        (Some(&ready), &disk, "NodeHasDiskPressure"),
        (Some(&disk), &ready, "NodeHasNoDiskPressure"),
    ];
    for (before, after, expected) in cases {
        let before = before.map(|before| status(before));
        let told = node::transitions(before.as_ref(), &status(after));
        assert_eq!(told.join(" "), expected, "{before:?} {after}");
    }
}
