//! Ten thousand Services.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use env::time::Instant;

use crate::balancing::rules;
use crate::host::{Network4, address};
use crate::objects::{State, service, slice};

const SERVICES: u32 = 10_000;
/// Generous for a debug build on a busy machine; a chain per endpoint takes ten times as long.
const LOAD_MS_MAX: u128 = 4_000;
const ADD_MS_MAX: u128 = 100;

fn cluster_ip(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 100, 0, 0)) + index)
}

#[test]
fn ten_thousand_services_load_at_once_and_one_more_at_no_cost() {
    let network = Network4::new();
    let mut rules = rules(&network);
    let one = |rules: &mut proxy::Rules, index: u32| {
        let name = format!("web-{index}");
        let ip = cluster_ip(index).to_string();
        let mut wanted = service(&name, [&ip, ""], |spec| spec.cluster_ips = Some(vec![ip.clone()]));
        wanted.spec.iter_mut().for_each(|spec| spec.ports.iter_mut().for_each(|ports| ports.truncate(1)));
        rules.model().service_set(&wanted);
        let both = ["pod-a", "pod-b"].map(|role| (address(role, true), true, State::Ready));
        rules.model().slice_set(&slice(&name, &both));
    };
    for index in 0..SERVICES {
        one(&mut rules, index);
    }
    let start = Instant::now();
    let synced = rules.sync().unwrap();
    let answered = network.pod_a.ask(SocketAddr::new(IpAddr::V4(cluster_ip(SERVICES - 1)), 80));
    let loaded = start.elapsed();
    assert!(answered.is_ok(), "the last Service gave {answered:?}");
    let mut added = Vec::new();
    for index in SERVICES..SERVICES + 20 {
        let start = Instant::now();
        one(&mut rules, index);
        rules.sync().unwrap();
        added.push(start.elapsed());
    }
    added.sort_unstable();
    println!("loaded {SERVICES} in {loaded:?} ({} bytes); one more: median {:?}", synced.bytes, added[10]);
    assert!(loaded.as_millis() < LOAD_MS_MAX, "loading took {loaded:?}");
    assert!(added[10].as_millis() < ADD_MS_MAX, "adding one took {:?}", added[10]);
    assert_eq!(rules.sync().unwrap().bytes, 0, "a synchronized model has nothing to do");
}

#[test]
fn many_endpoints_load_in_few_transactions() {
    let network = Network4::new();
    let mut model = servicerules::Model::new(crate::objects::facts());
    let (services, endpoints) = (5_000, 50);
    for index in 0..services {
        let name = format!("web-{index}");
        let ip = cluster_ip(index).to_string();
        model.service_set(&service(&name, [&ip, ""], |spec| {
            spec.cluster_ips = Some(vec![ip.clone()]);
            spec.ports.iter_mut().for_each(|ports| ports.truncate(1));
        }));
        let first = u32::from(Ipv4Addr::new(10, 4, 0, 0)) + index * endpoints;
        let all = (first..first + endpoints).map(|address| (IpAddr::V4(address.into()), false, State::Ready));
        model.slice_set(&slice(&name, &all.collect::<Vec<_>>()));
    }
    let start = Instant::now();
    let plan = model.plan();
    let planned = start.elapsed();
    let mut filter = network.node.inside(netlink::PacketFilter::open).unwrap();
    let committed = filter.commit(&plan.changes).unwrap();
    let loaded = start.elapsed();
    println!(
        "{services} services with {endpoints} endpoints: planned {planned:?}, in the kernel {loaded:?}, {committed:?}"
    );
    let elements = filter.elements(&servicerules::TABLE4, "endpoints").unwrap().len();
    assert_eq!(u32::try_from(elements), Ok(services * endpoints));
}
