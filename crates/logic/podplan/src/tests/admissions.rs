//! Which pods a node turns away.

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, ContainerPort, Pod, PodSpec, ResourceRequirements};
use typed::resource::Quantity;

use crate::admission::{Room, refuses};

fn pod(cpu: &str, selector: &[(&str, &str)], priority: i32) -> Pod {
    let requests = (!cpu.is_empty()).then(|| BTreeMap::from([("cpu".to_owned(), Quantity(cpu.to_owned()))]));
    let resources = Some(ResourceRequirements { requests, ..Default::default() });
    let selector: BTreeMap<String, String> =
        selector.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let spec = PodSpec {
        containers: vec![Container { resources, ..Default::default() }],
        node_selector: Some(selector),
        priority: Some(priority),
        ..Default::default()
    };
    Pod { spec: Some(spec), ..Default::default() }
}

#[test]
fn a_node_takes_what_it_has_room_for() {
    let labels = BTreeMap::from([("disk".to_owned(), "fast".to_owned())]);
    let here = [pod("500m", &[], 0), pod("", &[], 0)];
    let room = |pressure, pods_max, labels| Room {
        name: "n",
        labels,
        cpu_milli: 1000,
        memory_bytes: 1 << 30,
        pods_max,
        pods: here.iter().collect(),
        pressure,
    };
    let check = |what: &str, pod: &Pod, room: &Room<'_>, expected: &str| {
        let verdict = refuses(pod, room).map(|verdict| format!("{} {}", verdict.reason, verdict.message));
        assert_eq!(verdict.unwrap_or_default(), expected, "{what}");
    };
    let calm = room([false; 3], 10, Some(&labels));
    check("it fits exactly", &pod("500m", &[("disk", "fast")], 0), &calm, "");
    check(
        "too much",
        &pod("600m", &[], 0),
        &calm,
        "OutOfcpu Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 500, capacity: 1000",
    );
    check(
        "one too many",
        &pod("", &[], 0),
        &room([false; 3], 2, None),
        "OutOfpods Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2",
    );
    check(
        "elsewhere",
        &pod("", &[("disk", "slow")], 0),
        &calm,
        "NodeAffinity Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    );
    check("labels that are not known", &pod("", &[("disk", "slow")], 0), &room([false; 3], 10, None), "");
    let short = room([true, false, false], 10, None);
    check("a promise", &pod("1m", &[], 0), &short, "");
    check(
        "no promise",
        &pod("", &[], 0),
        &short,
        "Evicted Pod was rejected: The node had condition: [MemoryPressure]. ",
    );
    check("critical", &pod("9", &[], 2_000_001_000), &room([true; 3], 1, Some(&labels)), "");
}

#[test]
fn a_port_of_the_node_is_given_once() {
    let with = |address: &str, protocol: &str, number: i32| {
        let mut pod = pod("", &[], 0);
        let port = ContainerPort {
            host_ip: Some(address.to_owned()),
            protocol: Some(protocol.to_owned()),
            host_port: Some(number),
            ..Default::default()
        };
        let spec = pod.spec.as_mut().expect("a spec");
        spec.containers[0].ports = Some(vec![port]);
        pod
    };
    let here = with("", "TCP", 80);
    let local = with("127.0.0.1", "TCP", 81);
    let cases = [
        (with("", "TCP", 80), true, "the same port"),
        (with("10.0.0.1", "TCP", 80), true, "the other has it on all addresses"),
        (with("", "TCP", 81), true, "the other has it on one address"),
        (with("127.0.0.2", "TCP", 81), false, "the other has another address"),
        (with("", "UDP", 80), false, "another protocol"),
        (with("", "TCP", 0), false, "no port of the node at all"),
    ];
    let room = Room { name: "n", pods_max: 10, pods: vec![&here, &local], ..Room::default() };
    for (pod, refused, why) in cases {
        let verdict = refuses(&pod, &room).map(|verdict| verdict.reason);
        assert_eq!(verdict, refused.then(|| "NodePorts".to_owned()), "{why}");
    }
}
