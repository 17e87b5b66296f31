//! Node ports, load balancers, external addresses, and the traffic policies.

use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::balancing::{CLUSTER_IPS, front, rules};
use crate::host::{Network4, address};
use crate::objects::{State, balanced, node_port, service, slice};

const NODE_IPS: [&str; 2] = ["192.168.9.1", "fd00:9::1"];
const BALANCER_IPS: [&str; 2] = ["203.0.113.5", "2001:db8::5"];
const EXTERNAL_IPS: [&str; 2] = ["203.0.113.6", "2001:db8::6"];

fn everywhere(ipv4: bool) -> [(std::net::IpAddr, bool, State); 2] {
    ["pod-a", "remote"].map(|role| (address(role, ipv4), role != "remote", State::Ready))
}

#[test]
fn all_fronts_of_a_balanced_service_answer() {
    let network = Network4::new();
    let mut rules = rules(&network);
    let wanted = service("web", CLUSTER_IPS, |spec| {
        node_port(spec, 30_080);
        spec.external_ips = Some(EXTERNAL_IPS.map(str::to_owned).to_vec());
    });
    rules.model().service_set(&balanced(wanted, &BALANCER_IPS));
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &everywhere(ipv4)));
    }
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        let fronts: [SocketAddr; 3] =
            [front(NODE_IPS, ipv4, 30_080), front(BALANCER_IPS, ipv4, 80), front(EXTERNAL_IPS, ipv4, 80)];
        for to in fronts {
            for from in [&network.client, &network.pod_b, &network.node] {
                let (_, seen) = from.ask(to).unwrap_or_else(|kind| panic!("{to}: {kind}"));
                assert_ne!(seen, address("client", ipv4).to_string(), "{to} masquerades, so that answers return");
            }
        }
    }
    let loopback = SocketAddr::from(([127, 0, 0, 1], 30_080));
    assert_eq!(network.node.ask(loopback), Err(ErrorKind::ConnectionRefused), "node ports are not on loopback");
}

#[test]
fn local_policy_keeps_the_client_and_uses_local_endpoints() {
    let network = Network4::new();
    let mut rules = rules(&network);
    let wanted = service("web", CLUSTER_IPS, |spec| {
        node_port(spec, 30_080);
        spec.external_traffic_policy = Some("Local".to_owned());
    });
    rules.model().service_set(&balanced(wanted, &BALANCER_IPS));
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &everywhere(ipv4)));
    }
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        for to in [front(NODE_IPS, ipv4, 30_080), front(BALANCER_IPS, ipv4, 80)] {
            for _ in 0..8 {
                let expected = ("a".to_owned(), address("client", ipv4).to_string());
                assert_eq!(network.client.ask(to), Ok(expected), "{to} from outside");
            }
            let inside = (0..24).map(|_| network.pod_b.ask(to).unwrap().0).filter(|name| name == "remote").count();
            assert!(
                (1..24).contains(&inside),
                "pods get all endpoints of {to}, not {inside} of 24 times the remote one"
            );
            assert!(network.node.ask(to).is_ok(), "{to} from the node itself");
        }
    }
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &[(address("remote", ipv4), false, State::Ready)]));
    }
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        let to = front(BALANCER_IPS, ipv4, 80);
        assert_eq!(network.client.ask(to), Err(ErrorKind::TimedOut), "{to} has no local endpoint");
        assert_eq!(network.pod_b.ask(to).unwrap().0, "remote", "pods still reach {to}");
    }
}

#[test]
fn internal_local_policy_uses_local_endpoints_only() {
    let network = Network4::new();
    let mut rules = rules(&network);
    let wanted = service("web", CLUSTER_IPS, |spec| spec.internal_traffic_policy = Some("Local".to_owned()));
    rules.model().service_set(&wanted);
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &everywhere(ipv4)));
    }
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        for _ in 0..8 {
            assert_eq!(network.pod_b.ask(front(CLUSTER_IPS, ipv4, 80)).unwrap().0, "a");
        }
    }
}

#[test]
fn source_ranges_guard_the_balancer_address_alone() {
    let network = Network4::new();
    let mut rules = rules(&network);
    let guarded = |ranges: &[&str]| {
        let ranges = ranges.iter().map(|range| (*range).to_owned()).collect();
        let wanted = service("web", CLUSTER_IPS, |spec| {
            node_port(spec, 30_080);
            spec.load_balancer_source_ranges = Some(ranges);
        });
        balanced(wanted, &BALANCER_IPS)
    };
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &everywhere(ipv4)));
    }
    let cases: [(&[&str], bool); 3] =
        [(&["198.51.100.0/24", "fd00:8::/32"], false), (&["192.168.0.0/16", "fd00:9::/64"], true), (&[], true)];
    for (ranges, passes) in cases {
        rules.model().service_set(&guarded(ranges));
        rules.sync().unwrap();
        for ipv4 in [true, false] {
            let answered = network.client.ask(front(BALANCER_IPS, ipv4, 80));
            assert_eq!(answered.is_ok(), passes, "{ranges:?} gave {answered:?}");
            assert!(network.client.ask(front(NODE_IPS, ipv4, 30_080)).is_ok(), "node ports are not guarded");
        }
    }
}

#[test]
fn foreign_changes_are_repaired() {
    let network = Network4::new();
    let mut rules = rules(&network);
    rules.model().service_set(&service("web", CLUSTER_IPS, |spec| node_port(spec, 30_080)));
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &everywhere(ipv4)));
    }
    rules.sync().unwrap();
    assert!(!rules.repair().unwrap().rebuilt, "nobody has changed anything");
    let mut foreign = network.node.inside(netlink::PacketFilter::open).unwrap();
    let elements = foreign.elements(&servicerules::TABLE4, "services").unwrap();
    let keys = elements.iter().map(|element| nftables::Element::key(nftables::Bytes::from_slice(&element.key)));
    let theft = nftables::Change::ElementsDelete(servicerules::TABLE4, "services".into(), keys.take(1).collect());
    foreign.commit(&[theft]).unwrap();
    assert!(rules.repair().unwrap().rebuilt, "an element is missing");
    foreign.commit(&nftables::Change::remove(&servicerules::TABLE6)).unwrap();
    assert!(rules.repair().unwrap().rebuilt, "a table is missing");
    assert!(!rules.repair().unwrap().rebuilt, "all is well again");
    assert!(network.pod_b.ask(front(CLUSTER_IPS, false, 80)).is_ok());
}

#[test]
fn a_refused_difference_makes_everything_anew() {
    let network = Network4::new();
    let mut rules = rules(&network);
    rules.sync().unwrap();
    network.node.inside(proxy::Rules::remove_all).unwrap();
    rules.model().service_set(&service("web", CLUSTER_IPS, |_| {}));
    rules.model().slice_set(&slice("web", &everywhere(true)));
    assert!(rules.sync().unwrap().rebuilt, "the tables were gone");
    assert!(network.pod_b.ask(front(CLUSTER_IPS, true, 80)).is_ok());
}

#[test]
fn removal_leaves_no_table() {
    let network = Network4::new();
    let mut rules = rules(&network);
    rules.sync().unwrap();
    let tables = || {
        network.node.inside(|| {
            let mut filter = netlink::PacketFilter::open().unwrap();
            [servicerules::TABLE4, servicerules::TABLE6].map(|table| filter.table_exists(&table).unwrap())
        })
    };
    assert_eq!(tables(), [true, true]);
    network.node.inside(proxy::Rules::remove_all).unwrap();
    assert_eq!(tables(), [false, false]);
    network.node.inside(proxy::Rules::remove_all).unwrap();
}
