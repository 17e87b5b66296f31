//! What pods can reach, and as whom.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use netlink::route::{LinkKind, Network, NewLink, Request};
use podnet::config::range;
use podnet::peers::{Peer, Way, Ways, overlay};

use crate::host::{Host, Node};

/// A cable between two hosts, with an address at each end.
fn cable(near: &Host, far: &Host, name: &str, ends: [(&str, &str, u8); 2]) {
    let link = NewLink {
        name: name.to_owned(),
        kind: LinkKind::Veth {
            peer: "eth0".to_owned(),
            peer_index: None,
            peer_mac: [2, 0, 0, 0, 0, 9],
            peer_namespace: Some(far.namespace.as_fd().as_raw_fd()),
        },
        mtu: None,
        mac: None,
        master: None,
    };
    for host in [near, far] {
        host.inside(|| netlink::sysctl_write("net/ipv6/conf/default/accept_dad", "0")).unwrap();
    }
    let (mut near, mut far) = (near.namespace.routing().unwrap(), far.namespace.routing().unwrap());
    near.apply(&[Request::LinkAdd(link)]).unwrap();
    let near_link = near.link(name).unwrap().unwrap().index;
    let far_link = far.link("eth0").unwrap().unwrap().index;
    far.apply(&[Request::LinkUp(far_link)]).unwrap();
    for (own, other, prefix) in ends {
        let network = |text: &str| Network { address: text.parse().unwrap(), prefix };
        near.apply(&[Request::AddressAdd(near_link, network(own))]).unwrap();
        far.apply(&[Request::AddressAdd(far_link, network(other))]).unwrap();
    }
}

const ENDS: [(&str, &str, u8); 2] = [("192.168.9.1", "192.168.9.2", 24), ("fd00:9::1", "fd00:9::2", 64)];

/// Other software may switch bridge filtering on, and kubeadm's documentation asks for it.
fn bridge_filtering(node: &Node, on: bool) {
    let value = if on { "1" } else { "0" };
    for name in ["net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"] {
        node.host.inside(|| {
            if netlink::sysctl_read(name).is_ok() {
                netlink::sysctl_write(name, value).unwrap();
            }
        });
    }
}

#[test]
fn pods_reach_each_other_the_node_and_the_world() {
    for filtering in [true, false] {
        let node = Node::new();
        bridge_filtering(&node, filtering);
        reach(&node);
    }
}

fn reach(node: &Node) {
    let world = Host::new("world");
    cable(&node.host, &world, "world", ENDS);
    world.serve("world", 80);
    node.host.serve("node", 81);
    let (a, a_addresses) = node.pod("a", "");
    let (b, b_addresses) = node.pod("b", "");
    b.serve("b", 80);
    for (family, outside) in [(0, "192.168.9.2"), (1, "fd00:9::2")] {
        let own = a_addresses[family];
        assert_eq!(a.ask((b_addresses[family], 80).into()), Ok(format!("b {own}")), "a pod to its neighbour");
        let gateway: IpAddr = ["10.244.7.1", "fd00:244:7::1"][family].parse().unwrap();
        assert_eq!(a.ask((gateway, 81).into()), Ok(format!("node {own}")), "a pod to its node");
        let masqueraded = ["192.168.9.1", "fd00:9::1"][family];
        let seen = a.ask((outside.parse::<IpAddr>().unwrap(), 80).into());
        assert_eq!(seen, Ok(format!("world {masqueraded}")), "a pod to the world");
        assert_eq!(node.host.ask((b_addresses[family], 80).into()), Ok(format!("b {gateway}")), "the node to a pod");
    }
}

#[test]
fn host_ports_lead_to_the_pod() {
    for filtering in [true, false] {
        let node = Node::new();
        bridge_filtering(&node, filtering);
        reach_host_ports(&node);
    }
}

fn reach_host_ports(node: &Node) {
    let world = Host::new("world");
    cable(&node.host, &world, "world", ENDS);
    let mappings = r#","runtimeConfig":{"portMappings":[
        {"hostPort":8081,"containerPort":80,"protocol":"TCP"},
        {"hostPort":8082,"containerPort":80,"protocol":"tcp","hostIP":"127.0.0.1"},
        {"hostPort":0,"containerPort":9,"protocol":"udp"}]}"#;
    let (pod, _) = node.pod("a", mappings);
    pod.serve("a", 80);
    let reached = |host: &Host, text: &str| host.ask(text.parse::<SocketAddr>().unwrap()).is_ok();
    for address in ["192.168.9.1:8081", "[fd00:9::1]:8081"] {
        assert!(reached(&world, address), "the world to {address}");
        assert!(reached(&node.host, address), "the node to {address}");
        assert!(reached(&pod, address), "the pod to itself by {address}");
    }
    assert!(reached(&node.host, "127.0.0.1:8081"), "the node's loopback");
    assert!(reached(&node.host, "127.0.0.1:8082"), "a port of the loopback alone");
    assert!(!reached(&node.host, "192.168.9.1:8082"), "it is the loopback's alone");
    assert_eq!(node.call("DEL", "a", Some(&pod), mappings).code, 0);
    assert!(!reached(&node.host, "192.168.9.1:8081"), "the mapping ends with the pod");
}

#[test]
fn nodes_reach_each_others_pods_directly_and_through_the_overlay() {
    for tunnelled in [false, true] {
        let (left, right) = (Node::new(), Host::new("right"));
        cable(&left.host, &right, "world", ENDS);
        right.inside(|| {
            netlink::sysctl_write("net/ipv4/ip_forward", "1").unwrap();
            netlink::sysctl_write("net/ipv6/conf/all/forwarding", "1").unwrap();
        });
        let far = ["10.244.8.0/24", "fd00:244:8::/64"].map(|text| range(text).unwrap());
        let near = crate::host::RANGES.map(|text| range(text).unwrap());
        join(&left.host, (&near, "192.168.9.1"), Peer { pod_ranges: far.to_vec(), hosts: hosts(1) }, tunnelled);
        join(&right, (&far, "192.168.9.2"), Peer { pod_ranges: near.to_vec(), hosts: hosts(0) }, tunnelled);
        // The far node stands for its pods: it has an address of its range on loopback.
        let mut routing = right.namespace.routing().unwrap();
        let pods = ["10.244.8.9", "fd00:244:8::9"].map(|text| text.parse::<IpAddr>().unwrap());
        routing.apply(&[Request::LinkUp(1)]).unwrap();
        routing.apply(&pods.map(|pod| Request::AddressAdd(1, Network::host(pod)))).unwrap();
        right.serve("far", 80);
        let (pod, own) = left.pod("a", "");
        for family in [0, 1] {
            let answer = pod.ask((pods[family], 80).into());
            let expected = Ok(format!("far {}", own[family]));
            assert_eq!(answer, expected, "a pod to another node's, tunnelled: {tunnelled}");
        }
    }
}

fn hosts(end: usize) -> Vec<IpAddr> {
    let pick = |(near, far, _): (&str, &str, u8)| if end == 0 { near.parse() } else { far.parse() };
    ENDS.map(|ends| pick(ends).unwrap()).to_vec()
}

fn join(host: &Host, (own, address): (&[Network], &str), peer: Peer, tunnelled: bool) {
    host.inside(|| {
        let way = if tunnelled {
            Way::Overlay { link: overlay(address.parse().unwrap(), own, None).unwrap(), ipv4: true }
        } else {
            Way::Direct
        };
        let mut ways = Ways::new(way);
        let requests = ways.plan(std::slice::from_ref(&peer));
        netlink::Routing::open().unwrap().apply(&requests).unwrap();
        assert_eq!(ways.plan(&[peer]), [], "planned once, nothing is left to do");
        let removal = ways.plan(&[]);
        netlink::Routing::open().unwrap().apply(&removal).unwrap();
        netlink::Routing::open().unwrap().apply(&requests).unwrap();
    });
}

#[test]
fn cleanup_leaves_nothing() {
    let node = Node::new();
    let (_pod, _) = node.pod("a", "");
    node.host.inside(|| overlay("192.168.9.1".parse().unwrap(), &[], None)).unwrap();
    node.host.inside(podnet::node::cleanup).unwrap();
    let links = node.host.namespace.routing().unwrap().links().unwrap();
    let names: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["lo"]);
    node.host.inside(podnet::node::cleanup).unwrap();
}

#[test]
fn the_runtime_gets_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = podnet::node::conflist_write(folder.path(), &crate::host::node_network()).unwrap();
    let list: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(list["plugins"][0]["type"], podnet::PLUGIN);
    assert_eq!(list["plugins"][0]["ranges"][0], "10.244.7.0/24");
    podnet::node::conflist_remove(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
