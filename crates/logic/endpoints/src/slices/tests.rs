//! EndpointSlices: membership, families, packing, hints.

use std::collections::BTreeSet;

use plan::{Key, Plan, View, meta};
use rehearsal::{Playhouse, at, laws_hold, script, settle};
use typed::api::core::v1::{Pod, Service};
use typed::api::discovery::v1::EndpointSlice;

use super::{World, plan};

pub(crate) const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default, labels: {tier: front}}
spec:
  clusterIP: 10.0.0.1
  ipFamilies: [IPv4]
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, protocol: TCP}]
";

pub(crate) fn pod(number: usize) -> String {
    let ip = format!("10.1.{}.{}", number / 250, number % 250 + 1);
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: web-{number:03}, namespace: default, labels: {{app: web}}}}
spec: {{nodeName: n1, containers: [{{name: main, ports: [{{name: http, containerPort: 8080, protocol: TCP}}]}}]}}
status:
  phase: Running
  podIPs: [{{ip: {ip}}}, {{ip: 'fd00::{number:x}'}}]
  conditions: [{{type: Ready, status: 'True'}}]
"
    )
}

const NODE: &str = "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}}";

fn cluster(service: &str, pods: usize) -> Playhouse {
    let mut house = Playhouse::read(at(0), service);
    house.add_yaml(NODE);
    (0..pods).for_each(|number| house.add_yaml(&pod(number)));
    house
}

fn actor(house: &Playhouse, _now: jiff::Timestamp) -> Vec<Plan> {
    let world = World { services: house, pods: house, nodes: house, slices: house };
    let services: &dyn View<Service> = house;
    services.all().iter().map(|service| plan(&Key::of(service.as_ref()), &world)).collect()
}

fn sizes(house: &Playhouse) -> Vec<usize> {
    let slices: &dyn View<EndpointSlice> = house;
    let mut sizes: Vec<usize> = slices.all().iter().map(|slice| slice.endpoints.iter().flatten().count()).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn a_ready_pod_is_an_endpoint() {
    let house = laws_hold(&cluster(SERVICE, 1), at(1), &[&actor]);
    let slices: &dyn View<EndpointSlice> = &house;
    let slice = &slices.all()[0];
    assert_eq!(meta::label(&slice.metadata, "tier"), Some("front"));
    assert_eq!(meta::label(&slice.metadata, "kubernetes.io/service-name"), Some("web"));
    assert_eq!(meta::annotation(&slice.metadata, crate::backend::LAST_CHANGE), Some(at(0).to_string().as_str()));
    let port = &slice.ports.as_ref().unwrap()[0];
    assert_eq!((port.name.as_deref(), port.port), (Some("http"), Some(8080)));
    let endpoint = &slice.endpoints.as_ref().unwrap()[0];
    assert_eq!((endpoint.addresses[0].as_str(), endpoint.zone.as_deref()), ("10.1.0.1", Some("z1")));
    assert_eq!(endpoint.conditions.as_ref().unwrap().ready, Some(true));
}

#[test]
fn a_service_without_pods_keeps_an_empty_slice() {
    let mut house = laws_hold(&cluster(SERVICE, 0), at(1), &[&actor]);
    assert_eq!(sizes(&house), [0]);
    house.add_yaml(&pod(0));
    settle(&mut house, at(1), &[&actor]);
    house.vanish::<Pod>("default", "web-000");
    settle(&mut house, at(1), &[&actor]);
    assert_eq!(sizes(&house), [0]);
}

#[test]
fn dual_stack_has_a_slice_for_each_family() {
    let mut house = laws_hold(&cluster(&SERVICE.replace("[IPv4]", "[IPv4, IPv6]"), 2), at(1), &[&actor]);
    let types = |house: &Playhouse| -> BTreeSet<String> {
        let slices: &dyn View<EndpointSlice> = house;
        slices.all().iter().map(|slice| slice.address_type.clone()).collect()
    };
    assert_eq!(types(&house), BTreeSet::from(["IPv4".to_owned(), "IPv6".to_owned()]));
    house.change::<Service>("default", "web", |service| {
        service.spec.as_mut().unwrap().ip_families = Some(vec!["IPv6".into()]);
    });
    settle(&mut house, at(1), &[&actor]);
    assert_eq!(types(&house), BTreeSet::from(["IPv6".to_owned()]));
}

#[test]
fn a_thousand_pods_take_ten_slices_and_one_change_takes_one_write() {
    let mut house = laws_hold(&cluster(SERVICE, 1000), at(1), &[&actor]);
    assert_eq!(sizes(&house), [100; 10]);
    house.change::<Pod>("default", "web-500", |pod| pod.status.as_mut().unwrap().conditions = None);
    let plan = actor(&house, at(1)).remove(0);
    assert_eq!(plan.actions().count(), 1, "{}", script(&plan));
    house.play(&plan);
    house.vanish::<Pod>("default", "web-500");
    settle(&mut house, at(1), &[&actor]);
    house.add_yaml(&pod(1000));
    let plan = actor(&house, at(1)).remove(0);
    assert!(
        script(&plan).starts_with("update EndpointSlice"),
        "a gap is filled before a slice is made: {}",
        script(&plan)
    );
}

#[test]
fn terminating_pods_serve_but_are_not_ready() {
    let mut house = cluster(SERVICE, 1);
    house.delete::<Pod>("default", "web-000", plan::Propagation::Background);
    settle(&mut house, at(1), &[&actor]);
    let slices: &dyn View<EndpointSlice> = &house;
    let conditions = slices.all()[0].endpoints.as_ref().unwrap()[0].conditions.clone().unwrap();
    assert_eq!((conditions.ready, conditions.serving, conditions.terminating), (Some(false), Some(true), Some(true)));
}

#[test]
fn near_endpoints_are_hinted() {
    for (wish, zones, nodes) in [("PreferClose", 1, 0), ("PreferSameZone", 1, 0), ("PreferSameNode", 1, 1)] {
        let text = SERVICE.replace("ipFamilies", &format!("trafficDistribution: {wish}\n  ipFamilies"));
        let house = laws_hold(&cluster(&text, 1), at(1), &[&actor]);
        let slices: &dyn View<EndpointSlice> = &house;
        let hints = slices.all()[0].endpoints.as_ref().unwrap()[0].hints.clone().unwrap();
        let count = (hints.for_zones.iter().flatten().count(), hints.for_nodes.iter().flatten().count());
        assert_eq!(count, (zones, nodes), "{wish}");
    }
}

#[test]
fn services_without_selector_and_lost_views_are_left_alone() {
    let mut house = laws_hold(&cluster(SERVICE, 1), at(1), &[&actor]);
    house.vanish::<Service>("default", "web");
    let world = World { services: &house, pods: &house, nodes: &house, slices: &house };
    assert!(plan(&Key::new("default", "web"), &world).is_idle());
}

#[test]
fn only_changes_that_endpoints_show_wake_a_service() {
    let house = cluster(SERVICE, 1);
    let pod = house.expect::<Pod>("default", "web-000");
    let mut restarted = pod.as_ref().clone();
    restarted.status.as_mut().unwrap().start_time = Some(typed::meta::Time(at(5)));
    let mut unready = pod.as_ref().clone();
    unready.status.as_mut().unwrap().conditions = None;
    let wakes = |old: Option<&Pod>, new: Option<&Pod>| crate::services_to_wake(old, new, &house).len();
    assert_eq!(wakes(Some(&pod), Some(&restarted)), 0);
    assert_eq!(wakes(Some(&pod), Some(&unready)), 1);
    assert_eq!((wakes(None, Some(&pod)), wakes(Some(&pod), None)), (1, 1));
}

#[test]
fn whoever_selects_a_pod_is_found_by_its_labels() {
    let mut house = Playhouse::read(at(0), "");
    let services = [
        ("all", "{}"),
        ("by-app", "{app: web}"),
        ("by-both", "{app: web, zone: a}"),
        ("by-more", "{app: web, zone: b}"),
        ("by-zone", "{zone: a}"),
        ("other", "{app: db}"),
    ];
    for (name, selector) in services {
        let service = "{apiVersion: v1, kind: Service, metadata: {namespace: default, name: ";
        house.add_yaml(&format!("{service}{name}}}, spec: {{selector: {selector}}}}}"));
    }
    house.add_yaml(
        "{apiVersion: v1, kind: Service, metadata: {namespace: default, name: none}, spec: {ports: [{port: 1}]}}",
    );
    house.add_yaml(
        "{apiVersion: v1, kind: Service, metadata: {namespace: far, name: far}, spec: {selector: {app: web}}}",
    );
    let labelled = |pairs: &[(&str, &str)]| {
        let mut pod = Pod::default();
        pod.metadata.namespace = Some("default".to_owned());
        pod.metadata.labels =
            Some(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        pod
    };
    let (web, moved, bare) = (labelled(&[("app", "web"), ("zone", "a")]), labelled(&[("app", "db")]), labelled(&[]));
    let woken = |old: Option<&Pod>, new: Option<&Pod>| {
        let keys = crate::services_to_wake(old, new, &house);
        keys.into_iter().map(|key| key.name.to_string()).collect::<Vec<String>>()
    };
    assert_eq!(woken(None, Some(&web)), ["all", "by-app", "by-both", "by-zone"]);
    assert_eq!(woken(Some(&web), Some(&moved)), ["all", "by-app", "by-both", "by-zone", "other"], "old and new");
    assert_eq!(woken(None, Some(&bare)), ["all"]);
}
