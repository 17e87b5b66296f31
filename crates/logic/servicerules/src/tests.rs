//! The laws that plans owe, on a packet filter made of maps that is as strict as the kernel's, and the cost of changes.

use std::collections::{BTreeMap, BTreeSet};

use nftables::{Bytes, Change, Element, Family, Name, Value, Verdict};
use typed::api::core::v1::{Service, ServicePort, ServiceSpec};
use typed::api::discovery::v1::{Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForZone};
use typed::meta::ObjectMeta;

use crate::{Facts, Model, Range, ServiceName};

/// Maps by family and name.
type Maps = BTreeMap<(Family, String), BTreeMap<(Bytes, Option<Bytes>), Option<Value>>>;

/// What the kernel would hold.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kernel {
    maps: Maps,
    chains: BTreeSet<(Family, Name)>,
}

impl Kernel {
    fn commit(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::TableDelete(table) => {
                    self.maps.retain(|(family, _), _| *family != table.family);
                    self.chains.retain(|(family, _)| *family != table.family);
                }
                Change::ChainAdd(table, chain) => _ = self.chains.insert((table.family, chain.name.clone())),
                Change::SetAdd(table, set) => {
                    _ = self.maps.insert((table.family, set.name.to_string()), BTreeMap::new());
                }
                Change::ElementsAdd(table, set, elements) => {
                    elements.iter().for_each(|element| self.put(table.family, set, element));
                }
                Change::ElementsDelete(table, set, elements) => {
                    let map = self.maps.get_mut(&(table.family, set.to_string())).expect("the set exists");
                    for element in elements {
                        let key = (element.key.clone(), element.key_end.clone());
                        assert!(map.remove(&key).is_some(), "{set} has no element {element:?} to delete");
                    }
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, family: Family, set: &Name, element: &Element) {
        if let Some(Value::Verdict(Verdict::Goto(chain) | Verdict::Jump(chain))) = &element.value {
            assert!(self.chains.contains(&(family, chain.clone())), "{set} leads to {chain}, which does not exist");
        }
        let map = self.maps.get_mut(&(family, set.to_string())).expect("the set exists");
        let key = (element.key.clone(), element.key_end.clone());
        let old = map.insert(key, element.value.clone());
        assert!(old.is_none_or(|old| old == element.value), "{set} has another value for {element:?}");
    }

    /// The maps, with endpoints as sets: which index one has depends on the past.
    fn normal(&self) -> Maps {
        let mut maps = self.maps.clone();
        for ((_, name), map) in &mut maps {
            if name != "endpoints" {
                continue;
            }
            let mut lists: BTreeMap<Bytes, Vec<(u32, Option<Value>)>> = BTreeMap::new();
            for ((key, _), value) in std::mem::take(map) {
                let (service_port, index) = key.split_at(key.len() - 4);
                let index = u32::from_ne_bytes(index.try_into().unwrap());
                let list = [service_port, &[u8::from(index >= 1 << 31)]].concat();
                lists.entry(Bytes::from_slice(&list)).or_default().push((index & !(1 << 31), value));
            }
            for (list, mut endpoints) in lists {
                endpoints.sort();
                let indices: Vec<u32> = endpoints.iter().map(|(index, _)| *index).collect();
                let count = u32::try_from(indices.len()).unwrap();
                assert_eq!(indices, (0..count).collect::<Vec<_>>(), "indices have no holes");
                endpoints.sort_by(|left, right| left.1.cmp(&right.1));
                for (place, (_, value)) in (0_u32..).zip(endpoints) {
                    let key = [&list[..], &place.to_be_bytes()].concat();
                    map.insert((Bytes::from_slice(&key), None), value);
                }
            }
        }
        maps
    }
}

/// Repeatable chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.below(count) == 0
    }
}

fn facts() -> Facts {
    Facts {
        node_name: "here".to_owned(),
        zone: Some("zone-a".to_owned()),
        pod_ranges: vec!["10.1.0.0/16".parse().unwrap()],
        ..Facts::default()
    }
}

fn metadata(name: &str, service: Option<&str>) -> ObjectMeta {
    let labels = service.map(|service| [("kubernetes.io/service-name".to_owned(), service.to_owned())].into());
    ObjectMeta { namespace: Some("default".to_owned()), name: Some(name.to_owned()), labels, ..ObjectMeta::default() }
}

fn name(name: &str) -> ServiceName {
    ServiceName { namespace: "default".to_owned(), name: name.to_owned() }
}

fn service(index: u32, change: impl FnOnce(&mut ServiceSpec)) -> Service {
    let port = |protocol: &str, port: i32| ServicePort {
        name: Some(format!("{protocol}-{port}")),
        port,
        protocol: Some(protocol.to_owned()),
        ..ServicePort::default()
    };
    let mut spec = ServiceSpec {
        cluster_ips: Some(vec![format!("10.96.0.{index}"), format!("fd00:96::{index}")]),
        ports: Some(vec![port("TCP", 80), port("UDP", 53)]),
        ..ServiceSpec::default()
    };
    change(&mut spec);
    Service { metadata: metadata(&format!("s{index}"), None), spec: Some(spec), ..Service::default() }
}

fn slice(index: u32, part: &str, endpoints: Vec<Endpoint>) -> EndpointSlice {
    let port = |protocol: &str, name: &str| EndpointPort {
        name: Some(name.to_owned()),
        port: Some(8080),
        protocol: Some(protocol.to_owned()),
        ..EndpointPort::default()
    };
    let service = format!("s{index}");
    EndpointSlice {
        address_type: "IPv4".to_owned(),
        metadata: metadata(&format!("{service}-{part}"), Some(&service)),
        endpoints: Some(endpoints),
        ports: Some(vec![port("TCP", "TCP-80"), port("UDP", "UDP-53")]),
    }
}

fn endpoint(last: u32, node: &str, ready: bool) -> Endpoint {
    let conditions = EndpointConditions { ready: Some(ready), serving: Some(true), terminating: Some(!ready) };
    Endpoint {
        addresses: vec![format!("10.1.{}.{}", last / 256, last % 256)],
        node_name: Some(node.to_owned()),
        conditions: Some(conditions),
        ..Endpoint::default()
    }
}

fn any_service(chance: &mut Chance, index: u32) -> Service {
    let local = |chance: &mut Chance| chance.one_in(2).then(|| "Local".to_owned());
    service(index, |spec| {
        spec.internal_traffic_policy = local(chance);
        spec.external_traffic_policy = local(chance);
        spec.session_affinity = chance.one_in(3).then(|| "ClientIP".to_owned());
        if chance.one_in(2) {
            spec.type_ = Some("NodePort".to_owned());
            for (offset, port) in (0..).zip(spec.ports.iter_mut().flatten()) {
                port.node_port = Some(30_000 + i32::try_from(index).unwrap() * 2 + offset);
            }
        }
        if chance.one_in(3) {
            spec.external_ips = Some(vec![format!("203.0.113.{index}")]);
        }
        if chance.one_in(5) {
            spec.cluster_ips = Some(vec!["None".to_owned()]);
        }
    })
}

fn any_slice(chance: &mut Chance, index: u32, part: &str) -> EndpointSlice {
    let count = chance.below(5);
    let endpoints = (0..count).map(|_| {
        let (last, ready) = (chance.below(8), !chance.one_in(4));
        endpoint(last, if last % 2 == 0 { "here" } else { "there" }, ready)
    });
    let mut seen = BTreeSet::new();
    let endpoints = endpoints.filter(|endpoint| seen.insert(endpoint.addresses[0].clone())).collect();
    slice(index, part, endpoints)
}

/// Objects by name, as the API server has them.
#[derive(Default)]
struct Objects {
    services: BTreeMap<u32, Service>,
    slices: BTreeMap<(u32, &'static str), EndpointSlice>,
}

impl Objects {
    fn change(&mut self, chance: &mut Chance, model: &mut Model) {
        let index = 1 + chance.below(4);
        let part = ["a", "b"][usize::try_from(chance.below(2)).unwrap()];
        match chance.below(6) {
            0 => {
                self.services.remove(&index);
                model.service_remove(&name(&format!("s{index}")));
            }
            1 | 2 => {
                let service = any_service(chance, index);
                model.service_set(&service);
                self.services.insert(index, service);
            }
            3 => {
                self.slices.remove(&(index, part));
                model.slice_remove("default", &format!("s{index}-{part}"));
            }
            _ => {
                let slice = any_slice(chance, index, part);
                model.slice_set(&slice);
                self.slices.insert((index, part), slice);
            }
        }
    }

    /// What a model that sees everything at once, slices first, has the kernel hold.
    fn afresh(&self) -> Kernel {
        let mut model = Model::new(facts());
        self.slices.values().for_each(|slice| model.slice_set(slice));
        self.services.values().for_each(|service| model.service_set(service));
        let mut kernel = Kernel::default();
        kernel.commit(&model.plan().changes);
        kernel
    }
}

#[test]
fn any_history_ends_where_a_fresh_start_does() {
    for seed in 0..60 {
        let mut chance = Chance(seed);
        let (mut model, mut kernel, mut objects) = (Model::new(facts()), Kernel::default(), Objects::default());
        for step in 0..60 {
            objects.change(&mut chance, &mut model);
            if chance.one_in(2) {
                continue;
            }
            kernel.commit(&model.plan().changes);
            assert_eq!(model.plan().changes, [], "seed {seed}, step {step}: a plan applied leaves nothing to plan");
            assert_eq!(kernel.normal(), objects.afresh().normal(), "seed {seed}, step {step}");
        }
        model.restart();
        kernel.commit(&model.plan().changes);
        assert_eq!(kernel.normal(), objects.afresh().normal(), "seed {seed}: made anew");
    }
}

fn elements(changes: &[Change]) -> usize {
    let count = |change: &Change| match change {
        Change::ElementsAdd(_, _, elements) | Change::ElementsDelete(_, _, elements) => elements.len(),
        _ => 0,
    };
    changes.iter().map(count).sum()
}

#[test]
fn changes_cost_what_they_concern() {
    let mut model = Model::new(facts());
    model.plan();
    let one_port = |spec: &mut ServiceSpec| {
        spec.ports.iter_mut().for_each(|ports| ports.truncate(1));
        spec.cluster_ips.iter_mut().for_each(|ips| ips.truncate(1));
    };
    let ready = |lasts: &mut dyn Iterator<Item = u32>| lasts.map(|last| endpoint(last, "there", true)).collect();
    model.slice_set(&slice(1, "a", ready(&mut (0..2))));
    model.service_set(&service(1, one_port));
    assert_eq!(elements(&model.plan().changes), 4, "two endpoints, a front, a cluster IP");
    model.service_set(&service(1, one_port));
    assert_eq!(model.plan().changes, [], "the same again is no change");
    model.slice_set(&slice(1, "a", ready(&mut (0..1_000))));
    model.plan();
    model.slice_set(&slice(1, "a", ready(&mut (0..1_000).filter(|last| *last != 500))));
    let gone = elements(&model.plan().changes);
    assert_eq!(gone, 5, "one endpoint goes, the last takes its place, and the front's count changes");
    model.slice_set(&slice(1, "a", ready(&mut (0..1_000).filter(|last| *last != 600))));
    assert_eq!(elements(&model.plan().changes), 2, "one endpoint in another's place");
}

#[test]
fn the_first_who_claims_a_front_keeps_it() {
    let mut model = Model::new(facts());
    let mut kernel = Kernel::default();
    let shared = |index| service(index, |spec| spec.external_ips = Some(vec!["203.0.113.9".to_owned()]));
    for index in [2, 1] {
        model.slice_set(&slice(index, "a", vec![endpoint(index, "there", true)]));
        model.service_set(&shared(index));
        kernel.commit(&model.plan().changes);
    }
    let holder = |kernel: &Kernel| {
        let aliases = &kernel.maps[&(Family::Ip4, "aliases".to_owned())];
        let cluster_ips: BTreeSet<u8> =
            aliases.values().map(|value| if let Some(Value::Data(bytes)) = value { bytes[3] } else { 0 }).collect();
        cluster_ips.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(holder(&kernel), [2]);
    model.service_remove(&name("s2"));
    kernel.commit(&model.plan().changes);
    assert_eq!(holder(&kernel), [1], "who waited gets it");
    model.service_remove(&name("s1"));
    kernel.commit(&model.plan().changes);
    assert!(holder(&kernel).is_empty());
}

#[test]
fn hints_are_followed_when_all_have_them() {
    let hinted = |last, zone: Option<&str>| {
        let zones = zone.map(|zone| vec![ForZone { name: zone.to_owned() }]);
        Endpoint {
            hints: Some(EndpointHints { for_zones: zones, ..EndpointHints::default() }),
            ..endpoint(last, "there", true)
        }
    };
    let cases = [
        (vec![hinted(1, Some("zone-a")), hinted(2, Some("zone-b"))], 1),
        (vec![hinted(1, Some("zone-a")), hinted(2, None)], 2),
        (vec![hinted(1, Some("zone-b")), hinted(2, Some("zone-b"))], 2),
    ];
    for (endpoints, expected) in cases {
        let mut model = Model::new(facts());
        let mut kernel = Kernel::default();
        let text = format!("{:?}", endpoints.iter().map(|endpoint| &endpoint.hints).collect::<Vec<_>>());
        model.slice_set(&slice(1, "a", endpoints));
        model.service_set(&service(1, |spec| spec.ports.iter_mut().for_each(|ports| ports.truncate(1))));
        kernel.commit(&model.plan().changes);
        assert_eq!(kernel.maps[&(Family::Ip4, "endpoints".to_owned())].len(), expected, "{text}");
    }
}

#[test]
fn health_checks_count_ready_endpoints_here() {
    let mut model = Model::new(facts());
    let checked = service(1, |spec| spec.health_check_node_port = Some(32_000));
    model.service_set(&checked);
    let endpoints = vec![endpoint(1, "here", true), endpoint(2, "here", false), endpoint(3, "there", true)];
    model.slice_set(&slice(1, "a", endpoints));
    let checks = model.health_checks();
    assert_eq!((checks.len(), checks[0].port, checks[0].local_endpoints), (1, 32_000, 1));
}

#[test]
fn address_ranges() {
    let cases = [
        ("10.1.2.3/8", Some(("10.0.0.0", "10.255.255.255"))),
        ("10.1.2.3", Some(("10.1.2.3", "10.1.2.3"))),
        ("0.0.0.0/0", Some(("0.0.0.0", "255.255.255.255"))),
        ("fd00::1/64", Some(("fd00::", "fd00::ffff:ffff:ffff:ffff"))),
        ("10.0.0.0/33", None),
        ("banana", None),
        ("10.0.0.0/", None),
    ];
    for (text, expected) in cases {
        let ends = text.parse::<Range>().ok().map(Range::ends);
        let expected = expected.map(|(first, last)| (first.parse().unwrap(), last.parse().unwrap()));
        assert_eq!(ends, expected, "{text}");
    }
}
