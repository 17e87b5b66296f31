//! Nodes: their ranges, their health, and the pods that cannot stay.

use std::collections::HashMap;
use std::sync::Arc;

use informer::{Changed, Scope};
use lifecycle::node_health::{self, Heartbeats};
use lifecycle::node_ipam::Allocator;
use lifecycle::{freshness, pod_gc, taint_eviction};
use parking_lot::Mutex;
use plan::{Action, Index, Key, Object, Plan, meta};
use typed::api::coordination::v1::Lease;
use typed::api::core::v1::{Node, Pod, Taint};
use workqueue::Controller;

use crate::controller::{Site, Wakes as _};

const LEASES: &str = "kube-node-lease";

/// The cluster's ranges, and what was planned but may not have been written.
struct Ranges {
    allocator: Allocator,
    /// Whether the ranges of all nodes that were there at the start are marked.
    has_begun: bool,
    promised: HashMap<Key, Node>,
}

/// Gives nodes their pod ranges. The allocator has seen every node before the first one is planned.
pub(super) fn ranges(site: &Site<'_>, allocator: Allocator) -> Controller {
    let nodes = site.informers.of::<Node>();
    let own = nodes.clone();
    let ranges = Arc::new(Mutex::new(Ranges { allocator, has_begun: false, promised: HashMap::new() }));
    let observed = Arc::clone(&ranges);
    site.controller(move |key, _moment| {
        let mut ranges = ranges.lock();
        if !std::mem::replace(&mut ranges.has_begun, true) {
            nodes.all().iter().for_each(|node| ranges.allocator.observe(node));
        }
        // Planned again: the write before was refused, or this is a new node of an old name.
        if let Some(promised) = ranges.promised.remove(key) {
            ranges.allocator.retract(&promised);
        }
        let Some(node) = nodes.get("", &key.name) else { return Plan::nothing() };
        ranges.allocator.observe(&node);
        let plan = ranges.allocator.plan(&node);
        if let Some(planned) = plan.actions().find_map(updated_node) {
            ranges.promised.insert(key.clone(), planned);
        }
        plan
    })
    .on(&own, move |changed| {
        let mut ranges = observed.lock();
        match (&changed.old, &changed.new) {
            (_, Some(new)) => ranges.allocator.observe(new),
            (Some(old), None) => ranges.allocator.forget(old),
            (None, None) => {}
        }
        changed.latest().map(|node| Key::of(node.as_ref()))
    })
}

fn updated_node(action: &Action) -> Option<Node> {
    let Action::Update { object: Object::Node(node), .. } = action else { return None };
    Some(node.as_ref().clone())
}

/// Says which nodes are silent, and taints them.
pub(super) fn health(site: &Site<'_>, config: node_health::Config) -> Controller {
    let (nodes, pods) = (site.informers.of::<Node>(), site.informers.of::<Pod>());
    let leases = site.informers.scoped::<Lease>(Scope::namespace(LEASES));
    let (own, by_lease) = (nodes.clone(), leases.clone());
    let heartbeats = Arc::new(Mutex::new(Heartbeats::default()));
    let (of_node, of_lease, seen) = (Arc::clone(&heartbeats), Arc::clone(&heartbeats), nodes.clone());
    site.controller(move |key, moment| {
        let heartbeats = heartbeats.lock();
        let world = node_health::World { nodes: &*nodes, pods: &*pods, heartbeats: &heartbeats, config: &config };
        node_health::plan(key, &world, moment.now)
    })
    .on(&own, move |changed| {
        let mut heartbeats = of_node.lock();
        match (&changed.old, &changed.new) {
            (_, Some(node)) => {
                let lease = leases.get(LEASES, meta::name(&node.metadata));
                heartbeats.observe(node, lease.as_deref(), env::time::now());
            }
            (Some(node), None) => heartbeats.forget(meta::name(&node.metadata)),
            (None, None) => {}
        }
        changed.latest().map(|node| Key::of(node.as_ref()))
    })
    .on(&by_lease, move |changed| {
        // A sign of life changes nothing by itself: the node is looked at when its time would be up.
        let lease = changed.new.as_deref();
        if let Some(node) = lease.and_then(|lease| seen.get("", meta::name(&lease.metadata))) {
            of_lease.lock().observe(&node, lease, env::time::now());
        }
        None
    })
}

/// Sends pods away from tainted nodes.
pub(super) fn evictions(site: &Site<'_>) -> Controller {
    let (nodes, pods) = (site.informers.of::<Node>(), site.informers.of::<Pod>());
    let (own, by_node, placed) = (pods.clone(), nodes.clone(), pods.clone());
    site.controller(move |key, moment| taint_eviction::plan(key, &*pods, &*nodes, moment.now))
        .workers(8)
        .on(&own, |changed| {
            let pod = changed.new.as_ref().filter(|pod| node_of(pod).is_some() && is_news(changed));
            pod.map(|pod| Key::of(pod.as_ref()))
        })
        .on(&by_node, move |changed| {
            let taints = |node: &Node| -> Vec<Taint> {
                node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).cloned().collect()
            };
            let (before, after) = (changed.old.as_deref().map(taints), changed.new.as_deref().map(taints));
            let name = changed.new.as_ref().filter(|_| before != after).map(|node| meta::name(&node.metadata));
            let there = name.map(|name| placed.by(Index::Node, name)).unwrap_or_default();
            there.iter().map(|pod| Key::of(pod.as_ref())).collect::<Vec<Key>>()
        })
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Whether a pod was placed, or tolerates something else.
fn is_news(changed: &Changed<Pod>) -> bool {
    let looked_at = |pod: &Pod| {
        let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.clone());
        (pod.metadata.uid.clone(), node_of(pod).map(str::to_owned), tolerations)
    };
    changed.old.as_deref().map(looked_at) != changed.new.as_deref().map(looked_at)
}

/// Deletes pods that nobody will look after again. All pods are one key.
pub(super) fn abandoned_pods(site: &Site<'_>, ended_max: usize) -> Controller {
    let (nodes, pods) = (site.informers.of::<Node>(), site.informers.of::<Pod>());
    let (by_node, by_pod, known, count) = (nodes.clone(), pods.clone(), nodes.clone(), pods.clone());
    let all = || Key::cluster("pods");
    site.controller(move |_key, moment| pod_gc::plan(&*pods, &*nodes, ended_max, moment.now))
        .on(&by_node, move |changed| {
            let out_of_service = changed.new.as_ref().is_some_and(|node| {
                let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
                taints.any(|taint| taint.key == "node.kubernetes.io/out-of-service")
            });
            (changed.new.is_none() || out_of_service).then(all)
        })
        .on(&by_pod, move |changed| {
            let pod = changed.new.as_ref()?;
            let lost = match node_of(pod) {
                Some(node) => known.get("", node).is_none(),
                None => meta::is_deleting(&pod.metadata),
            };
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            let too_many = matches!(phase, Some("Succeeded" | "Failed")) && count.len() > ended_max;
            (lost || too_many).then(all)
        })
}

/// Tells kubelets how long they may trust what they have fetched.
pub(super) fn freshness(site: &Site<'_>) -> Controller {
    let nodes = site.informers.of::<Node>();
    let own = nodes.clone();
    site.controller(move |key, _moment| freshness::plan(key, &*nodes, nodes.len())).on_own(&own)
}
