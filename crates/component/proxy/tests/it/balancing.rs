//! Cluster IPs: balancing, hairpins, affinity, refusal, in both families.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use proxy::Rules;

use crate::host::{Network4, address};
use crate::objects::{State, facts, service, slice};

pub(crate) const CLUSTER_IPS: [&str; 2] = ["10.96.0.7", "fd00:96::7"];

pub(crate) fn front(addresses: [&str; 2], ipv4: bool, port: u16) -> SocketAddr {
    let text = addresses[usize::from(!ipv4)];
    (text.parse::<std::net::IpAddr>().unwrap(), port).into()
}

pub(crate) fn rules(network: &Network4) -> Rules {
    network.node.inside(|| Rules::open(facts())).unwrap()
}

#[test]
fn spreads_connections_over_all_endpoints() {
    let network = Network4::new();
    let mut rules = rules(&network);
    rules.model().service_set(&service("web", CLUSTER_IPS, |_| {}));
    for ipv4 in [true, false] {
        let both = ["pod-a", "pod-b"].map(|role| (address(role, ipv4), true, State::Ready));
        rules.model().slice_set(&slice("web", &both));
    }
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        let to = front(CLUSTER_IPS, ipv4, 80);
        for (who, from) in [("remote", &network.remote), ("node", &network.node), ("pod", &network.pod_a)] {
            let mut answers: BTreeMap<String, usize> = BTreeMap::new();
            for _ in 0..40 {
                let (name, _) = from.ask(to).unwrap_or_else(|kind| panic!("{who} to {to}: {kind}"));
                *answers.entry(name).or_default() += 1;
            }
            // A fair coin gives the same side 40 times in 2^39 runs.
            assert_eq!(answers.len(), 2, "{who} to {to} reached only {answers:?}");
        }
    }
}

#[test]
fn keeps_the_address_of_pods_and_masquerades_others() {
    let network = Network4::new();
    let mut rules = rules(&network);
    rules.model().service_set(&service("web", CLUSTER_IPS, |_| {}));
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &[(address("pod-a", ipv4), true, State::Ready)]));
    }
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        let to = front(CLUSTER_IPS, ipv4, 80);
        let node_side = if ipv4 { "10.1.1.1" } else { "fd00:1:1::1" };
        let seen = |host: &crate::host::Host| host.ask(to).unwrap().1;
        assert_eq!(seen(&network.pod_b), address("pod-b", ipv4).to_string(), "a pod keeps its address");
        assert_eq!(seen(&network.remote), node_side, "a client from outside is masqueraded");
        assert_eq!(seen(&network.pod_a), node_side, "a pod that reaches itself is masqueraded");
    }
}

#[test]
fn refuses_without_endpoints_and_on_other_ports() {
    let network = Network4::new();
    let mut rules = rules(&network);
    rules.model().service_set(&service("web", CLUSTER_IPS, |_| {}));
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        for host in [&network.pod_a, &network.node] {
            let to = front(CLUSTER_IPS, ipv4, 80);
            assert_eq!(host.ask(to), Err(ErrorKind::ConnectionRefused), "{to} has no endpoints");
            let stray = front(CLUSTER_IPS, ipv4, 81);
            assert_eq!(host.ask(stray), Err(ErrorKind::ConnectionRefused), "{stray} has no Service");
        }
    }
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &[(address("pod-b", ipv4), true, State::Terminating)]));
    }
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        let (name, _) = network.pod_a.ask(front(CLUSTER_IPS, ipv4, 80)).unwrap();
        assert_eq!(name, "b", "an endpoint on its way out is better than none");
    }
}

#[test]
fn affinity_keeps_a_client_with_its_endpoint_until_that_is_gone() {
    let network = Network4::new();
    let mut rules = rules(&network);
    let sticky = service("web", CLUSTER_IPS, |spec| spec.session_affinity = Some("ClientIP".to_owned()));
    rules.model().service_set(&sticky);
    for ipv4 in [true, false] {
        let all = ["pod-a", "pod-b", "remote"].map(|role| (address(role, ipv4), role != "remote", State::Ready));
        rules.model().slice_set(&slice("web", &all));
    }
    rules.sync().unwrap();
    for ipv4 in [true, false] {
        let to = front(CLUSTER_IPS, ipv4, 80);
        let (first, _) = network.client.ask(to).unwrap();
        for _ in 0..20 {
            assert_eq!(network.client.ask(to).unwrap().0, first, "the client stays with {first}");
        }
        let roles = [("a", "pod-a"), ("b", "pod-b"), ("remote", "remote")];
        let others = roles.iter().filter(|(name, _)| *name != first);
        let rest: Vec<_> = others.map(|(_, role)| (address(role, ipv4), *role != "remote", State::Ready)).collect();
        rules.model().slice_set(&slice("web", &rest));
        rules.sync().unwrap();
        let (second, _) = network.client.ask(to).unwrap();
        assert_ne!(second, first, "{first} is no endpoint any more");
        for _ in 0..10 {
            assert_eq!(network.client.ask(to).unwrap().0, second, "the client stays with {second}");
        }
    }
}

#[test]
fn udp_clients_leave_an_endpoint_that_is_gone() {
    let network = Network4::new();
    let mut rules = rules(&network);
    rules.model().service_set(&service("web", CLUSTER_IPS, |_| {}));
    for ipv4 in [true, false] {
        rules.model().slice_set(&slice("web", &[(address("pod-a", ipv4), true, State::Ready)]));
        rules.sync().unwrap();
        let to = front(CLUSTER_IPS, ipv4, 80);
        let any: SocketAddr = if ipv4 { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
        let socket = network.client.inside(|| UdpSocket::bind(any)).unwrap();
        assert_eq!(network.client.ask_udp(&socket, to).as_deref(), Ok("a"));
        rules.model().slice_set(&slice("web", &[(address("pod-b", ipv4), true, State::Ready)]));
        let synced = rules.sync().unwrap();
        assert_eq!(synced.forgotten, 1, "the flow of {to}");
        assert_eq!(network.client.ask_udp(&socket, to).as_deref(), Ok("b"), "the same socket moves on");
    }
}
