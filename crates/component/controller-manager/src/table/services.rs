//! Services: where their traffic goes.

use endpoints::{legacy, mirror, services_to_wake, slices};
use informer::Changed;
use plan::{Key, meta};
use typed::api::core::v1::{Endpoints, Node, Pod, Service};
use typed::api::discovery::v1::EndpointSlice;
use workqueue::Controller;

use crate::controller::{Site, Wakes as _};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const ZONE: &str = "topology.kubernetes.io/zone";

pub(super) fn slices(site: &Site<'_>) -> Controller {
    let (services, pods) = (site.informers.of::<Service>(), site.informers.of::<Pod>());
    let (nodes, all) = (site.informers.of::<Node>(), site.informers.of::<EndpointSlice>());
    pods.index_labels();
    let (own, of_pod, of_node) = (services.clone(), services.clone(), services.clone());
    let (by_pod, by_slice, by_node) = (pods.clone(), all.clone(), nodes.clone());
    site.controller(move |key, _moment| {
        let world = slices::World { services: &*services, pods: &*pods, nodes: &*nodes, slices: &*all };
        slices::plan(key, &world)
    })
    .workers(5)
    .on_own(&own)
    .on(&by_pod, move |changed| services_to_wake(changed.old.as_deref(), changed.new.as_deref(), &*of_pod))
    .on(&by_slice, service_of_slice)
    .on(&by_node, move |changed| {
        let zone = |node: &Node| meta::label(&node.metadata, ZONE).map(str::to_owned);
        let moved = changed.old.as_deref().map(zone) != changed.new.as_deref().map(zone);
        let woken = if moved { of_node.all() } else { Vec::new() };
        woken.iter().map(|service| Key::of(service.as_ref())).collect::<Vec<Key>>()
    })
}

pub(super) fn endpoints(site: &Site<'_>) -> Controller {
    let (services, pods, all) =
        (site.informers.of::<Service>(), site.informers.of::<Pod>(), site.informers.of::<Endpoints>());
    pods.index_labels();
    let (own, of_pod, by_pod, by_name) = (services.clone(), services.clone(), pods.clone(), all.clone());
    site.controller(move |key, _moment| {
        legacy::plan(key, &legacy::World { services: &*services, pods: &*pods, endpoints: &*all })
    })
    .workers(5)
    .on_own(&own)
    .on_own(&by_name)
    .on(&by_pod, move |changed| services_to_wake(changed.old.as_deref(), changed.new.as_deref(), &*of_pod))
}

pub(super) fn mirrored_slices(site: &Site<'_>) -> Controller {
    let (services, all) = (site.informers.of::<Service>(), site.informers.of::<EndpointSlice>());
    let endpoints = site.informers.of::<Endpoints>();
    let (own, by_service, by_slice) = (endpoints.clone(), services.clone(), all.clone());
    site.controller(move |key, _moment| {
        mirror::plan(key, &mirror::World { services: &*services, endpoints: &*endpoints, slices: &*all })
    })
    .workers(5)
    .on_own(&own)
    .on_own(&by_service)
    .on(&by_slice, service_of_slice)
}

/// The name that a slice, its Service and its Endpoints share.
fn service_of_slice(changed: &Changed<EndpointSlice>) -> Option<Key> {
    let about = &changed.latest()?.metadata;
    Some(Key::new(meta::namespace(about), meta::label(about, SERVICE_NAME)?))
}
