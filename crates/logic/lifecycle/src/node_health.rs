//! Nodes that fall silent: their conditions become Unknown, taints keep pods away, and pods are sent off at a pace that depends
//! on how many nodes of a zone are in trouble.
//!
//! Silence is measured on [`Heartbeats`]: when *we* last saw a lease or a status move, not what the node's clock said. The pace
//! is measured on the taints themselves (`timeAdded`), so it needs no memory and survives a restart.
//! Rules: `kubernetes.io/docs/concepts/architecture/nodes#node-controller`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use plan::{Action, Key, Plan, Say, Step, View, meta};
use typed::api::coordination::v1::Lease;
use typed::api::core::v1::{Node, NodeCondition, Pod, Taint};
use typed::meta::Time;

/// How patient the planner is.
#[derive(Debug, Clone)]
pub struct Config {
    /// Silence after which a node is unknown (flag `--node-monitor-grace-period`), seconds.
    pub grace_seconds: i64,
    /// The same for a node that has never said anything (flag `--node-startup-grace-period`), seconds.
    pub startup_grace_seconds: i64,
    /// Seconds between two evictions in a zone (the inverse of `--node-eviction-rate`, 0.1/s).
    pub eviction_pause_seconds: i64,
    /// The same in a zone in trouble with more than `large_cluster_nodes` nodes (the inverse of 0.01/s).
    pub slow_eviction_pause_seconds: i64,
    /// Zones up to this size evict nobody while in trouble (flag `--large-cluster-size-threshold`).
    pub large_cluster_nodes: usize,
    /// Percent of nodes that must fail before a zone is in trouble (flag `--unhealthy-zone-threshold`, 0.55).
    pub unhealthy_zone_percent: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            grace_seconds: 50,
            startup_grace_seconds: 60,
            eviction_pause_seconds: 10,
            slow_eviction_pause_seconds: 100,
            large_cluster_nodes: 50,
            unhealthy_zone_percent: 55,
        }
    }
}

/// When each node was last seen to be alive.
#[derive(Debug, Default)]
pub struct Heartbeats(BTreeMap<String, (Signs, Timestamp)>);

type Signs = (Option<Timestamp>, Option<Time>);

impl Heartbeats {
    /// Notes the signs of life of a node; a sign that has moved since the last look counts as seen `now`.
    pub fn observe(&mut self, node: &Node, lease: Option<&Lease>, now: Timestamp) {
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref()).map(|at| at.0);
        let signs = (renewed, ready(node).and_then(|ready| ready.last_heartbeat_time.clone()));
        let name = meta::name(&node.metadata);
        match self.0.get(name) {
            Some((known, _)) if *known == signs => {}
            _ => drop(self.0.insert(name.to_owned(), (signs, now))),
        }
    }

    /// Forgets a node that is gone.
    pub fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    fn last(&self, name: &str) -> Option<Timestamp> {
        self.0.get(name).map(|(_, seen)| *seen)
    }
}

/// What the node lifecycle controller sees.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// Nodes.
    pub nodes: &'a dyn View<Node>,
    /// Pods.
    pub pods: &'a dyn View<Pod>,
    /// Signs of life.
    pub heartbeats: &'a Heartbeats,
    /// Patience.
    pub config: &'a Config,
}

/// The conditions that become Unknown when a node falls silent.
const SILENCED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// `NoSchedule` taints by condition: (condition, status, taint).
const SCHEDULING_TAINTS: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
];
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Plans one node.
#[must_use]
pub fn plan(key: &Key, world: &World<'_>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(node) = world.nodes.get("", &key.name).filter(|node| !meta::is_deleting(&node.metadata)) else {
        return plan;
    };
    if let Some(silenced) = silence(&node, world, now, &mut plan) {
        let was_ready = ready(&node).is_some_and(|ready| ready.status == "True");
        if was_ready {
            let words = format!("Node {} status is now: NodeNotReady", key.name);
            plan.say(node.as_ref(), Say::normal("NodeNotReady", words));
        }
        plan.then_do(Action::update_status(silenced));
        return plan;
    }
    let taints = taints(&node, world, now, &mut plan);
    let before = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    if taints != before {
        let mut tainted = node.as_ref().clone();
        tainted.spec.get_or_insert_default().taints = (!taints.is_empty()).then_some(taints);
        plan.then_do(Action::update(tainted));
    }
    if ready(&node).is_some_and(|ready| ready.status == "Unknown") {
        plan.then(unready_pods(&node, world, now));
    }
    plan
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    condition(node, "Ready")
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

/// The node with its conditions made Unknown, if it has been silent for too long and they are not so yet.
fn silence(node: &Node, world: &World<'_>, now: Timestamp, plan: &mut Plan) -> Option<Node> {
    let created = meta::created(&node.metadata);
    let (since, grace) = match ready(node) {
        Some(_) => (world.heartbeats.last(meta::name(&node.metadata)).unwrap_or(now), world.config.grace_seconds),
        None => (created, world.config.startup_grace_seconds),
    };
    let limit = since.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(since);
    if limit >= now {
        plan.look_again_at(limit.saturating_add(SignedDuration::from_secs(1)).unwrap_or(limit));
        return None;
    }
    let mut silenced = node.clone();
    let conditions = silenced.status.get_or_insert_default().conditions.get_or_insert_default();
    let mut changed = false;
    for kind in SILENCED {
        match conditions.iter_mut().find(|condition| condition.type_ == kind) {
            Some(known) if known.status == "Unknown" => {}
            Some(known) => {
                changed = true;
                known.status = "Unknown".to_owned();
                known.reason = Some("NodeStatusUnknown".to_owned());
                known.message = Some("Kubelet stopped posting node status.".to_owned());
                known.last_transition_time = Some(meta::time(now));
            }
            None => {
                changed = true;
                conditions.push(NodeCondition {
                    type_: kind.to_owned(),
                    status: "Unknown".to_owned(),
                    reason: Some("NodeStatusNeverUpdated".to_owned()),
                    message: Some("Kubelet never posted node status.".to_owned()),
                    last_heartbeat_time: Some(meta::time(created)),
                    last_transition_time: Some(meta::time(now)),
                });
            }
        }
    }
    changed.then_some(silenced)
}

/// The taints that the node's conditions call for. Taints of others stay as they are.
fn taints(node: &Node, world: &World<'_>, now: Timestamp, plan: &mut Plan) -> Vec<Taint> {
    let mut taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    let status = |kind: &str| condition(node, kind).map_or("", |condition| condition.status.as_str());
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let by_condition = SCHEDULING_TAINTS.iter().map(|(kind, value, taint)| (*taint, status(kind) == *value));
    for (key, wanted) in by_condition.chain([(UNSCHEDULABLE, cordoned)]) {
        put(&mut taints, key, "NoSchedule", wanted, now);
    }
    let evicts_by = match status("Ready") {
        "False" => Some(NOT_READY),
        "Unknown" => Some(UNREACHABLE),
        _ => None,
    };
    let has = |taints: &[Taint], key: &str| taints.iter().any(|taint| taint.key == key && taint.effect == "NoExecute");
    let already = [NOT_READY, UNREACHABLE].into_iter().any(|key| has(&taints, key));
    // Swapping one reason for the other is no new eviction; the first taint waits for the zone's turn.
    let may = already || evicts_by.is_none() || is_turn(node, world, now, plan);
    for key in [NOT_READY, UNREACHABLE] {
        put(&mut taints, key, "NoExecute", may && evicts_by == Some(key), now);
    }
    taints
}

fn put(taints: &mut Vec<Taint>, key: &str, effect: &str, wanted: bool, now: Timestamp) {
    let place = taints.iter().position(|taint| taint.key == key && taint.effect == effect);
    match (place, wanted) {
        (Some(place), false) => drop(taints.remove(place)),
        (None, true) => {
            let time_added = Some(meta::time(now));
            taints.push(Taint { key: key.to_owned(), effect: effect.to_owned(), time_added, value: None });
        }
        _ => {}
    }
}

/// How a zone fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneState {
    /// Most nodes are well.
    Normal,
    /// Many nodes are not ready.
    PartialDisruption,
    /// No node is ready.
    FullDisruption,
}

/// The state of every zone; a zone is named by region and zone labels.
#[must_use]
pub fn zones(nodes: &[Arc<Node>], config: &Config) -> BTreeMap<String, (ZoneState, usize)> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for node in nodes {
        let count = counts.entry(zone_of(node)).or_default();
        let well = ready(node).is_some_and(|ready| ready.status == "True");
        if well { count.0 += 1 } else { count.1 += 1 }
    }
    let judge = |(well, ill): (usize, usize)| {
        let state = match () {
            () if well == 0 && ill > 0 => ZoneState::FullDisruption,
            () if ill > 2 && ill * 100 >= (well + ill) * config.unhealthy_zone_percent => ZoneState::PartialDisruption,
            () => ZoneState::Normal,
        };
        (state, well + ill)
    };
    counts.into_iter().map(|(zone, count)| (zone, judge(count))).collect()
}

fn zone_of(node: &Node) -> String {
    let label = |key: &str| meta::label(&node.metadata, key).unwrap_or_default();
    format!("{}:\0:{}", label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"))
}

/// Whether this node is the next of its zone to be evicted from. While no zone has a ready node, it is us who are cut off, and
/// nobody is evicted.
fn is_turn(node: &Node, world: &World<'_>, now: Timestamp, plan: &mut Plan) -> bool {
    let (nodes, zone) = (world.nodes.all(), zone_of(node));
    let zones = zones(&nodes, world.config);
    if zones.values().all(|(state, _)| *state == ZoneState::FullDisruption) {
        return false;
    }
    let pause = match zones.get(&zone) {
        Some((ZoneState::PartialDisruption, size)) if *size <= world.config.large_cluster_nodes => return false,
        Some((ZoneState::PartialDisruption, _)) => world.config.slow_eviction_pause_seconds,
        _ => world.config.eviction_pause_seconds,
    };
    let in_zone = || nodes.iter().filter(|other| zone_of(other) == zone);
    let last = in_zone()
        .flat_map(|other| eviction_taints(other))
        .filter_map(|taint| taint.time_added.as_ref())
        .map(|at| at.0)
        .max();
    let after_pause = |from: Timestamp| from.saturating_add(SignedDuration::from_secs(pause)).unwrap_or(from);
    let next = last.map_or(now, after_pause);
    // All ill nodes are planned on the same view: they agree on who is first in line.
    let waiting = in_zone().filter(|other| is_ill(other) && eviction_taints(other).next().is_none());
    let first = waiting.min_by_key(|other| (fell_ill(other), meta::name(&other.metadata).to_owned()));
    let is_first = first.is_some_and(|first| meta::name(&first.metadata) == meta::name(&node.metadata));
    if next > now {
        plan.look_again_at(next);
    } else if !is_first {
        plan.look_again_at(after_pause(now));
    }
    next <= now && is_first
}

fn eviction_taints(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| taint.effect == "NoExecute" && [NOT_READY, UNREACHABLE].contains(&taint.key.as_str()))
}

fn is_ill(node: &Node) -> bool {
    ready(node).is_some_and(|ready| ready.status != "True")
}

fn fell_ill(node: &Node) -> Option<Timestamp> {
    ready(node)?.last_transition_time.as_ref().map(|at| at.0)
}

/// Pods of a silent node are not ready, so that Services stop sending to them.
fn unready_pods(node: &Node, world: &World<'_>, now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    for pod in world.pods.on_node(meta::name(&node.metadata)) {
        let mut changed = pod.as_ref().clone();
        let conditions = changed.status.iter_mut().flat_map(|status| status.conditions.iter_mut().flatten());
        let Some(ready) =
            conditions.into_iter().find(|condition| condition.type_ == "Ready" && condition.status == "True")
        else {
            continue;
        };
        ready.status = "False".to_owned();
        ready.last_transition_time = Some(meta::time(now));
        steps.push(
            Step::of(Action::update_status(changed))
                .done(pod.as_ref(), Say::warning("NodeNotReady", "Node is not ready")),
        );
    }
    steps
}

#[cfg(test)]
mod tests;
