//! Nodes and pods in one line of text.
//!
//! A node: `n1 cpu=4 memory=8Gi zone=a taint=dedicated=db:NoSchedule cordoned image=web:500Mi feature=X`; `pods=` is 110
//! unless said otherwise, and the hostname label is the name.
//!
//! A pod: `ns/name cpu=1 app=web priority=5 on=n1 …`; see [`word`] for what else there is. Whatever is not a known word is
//! a label.

use std::collections::BTreeMap;

use jiff::Timestamp;
use typed::api::core::v1::*;
use typed::meta::{LabelSelector, ObjectMeta, Time};
use typed::resource::Quantity;

pub(crate) const HOST: &str = "kubernetes.io/hostname";
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";

fn key(short: &str) -> String {
    match short {
        "zone" => ZONE,
        "host" => HOST,
        other => other,
    }
    .to_owned()
}

fn quantity(text: &str) -> Quantity {
    Quantity(text.to_owned())
}

fn is_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage" | "pods" | "example.com/gpu")
}

pub(crate) fn node(text: &str) -> Node {
    let mut words = text.split_whitespace();
    let name = words.next().expect("a node has a name");
    let mut labels = BTreeMap::from([(HOST.to_owned(), name.to_owned())]);
    let mut allocatable = BTreeMap::from([("pods".to_owned(), quantity("110"))]);
    let (mut spec, mut images, mut features) = (NodeSpec::default(), Vec::new(), Vec::new());
    for text in words {
        match text.split_once('=').unwrap_or((text, "")) {
            ("cordoned", _) => spec.unschedulable = Some(true),
            ("taint", taint) => spec.taints.get_or_insert_default().push(parse_taint(taint)),
            ("feature", feature) => features.push(feature.to_owned()),
            ("image", image) => {
                let (name, size) = image.rsplit_once(':').expect("an image has a size in MiB");
                let size_mib: i64 = size.trim_end_matches("Mi").parse().expect("a number");
                images.push(ContainerImage { names: Some(vec![name.to_owned()]), size_bytes: Some(size_mib << 20) });
            }
            (name, amount) if is_resource(name) => drop(allocatable.insert(name.to_owned(), quantity(amount))),
            (label, value) => drop(labels.insert(key(label), value.to_owned())),
        }
    }
    let allocatable = Some(allocatable);
    let (images, declared_features) = (Some(images), Some(features));
    let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
    let status = NodeStatus { allocatable, images, declared_features, ..NodeStatus::default() };
    Node { metadata, spec: Some(spec), status: Some(status) }
}

fn parse_taint(text: &str) -> Taint {
    let (pair, effect) = text.split_once(':').expect("a taint has an effect");
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let value = (!value.is_empty()).then(|| value.to_owned());
    Taint { key: key.to_owned(), value, effect: effect.to_owned(), time_added: None }
}

pub(crate) fn pod(text: &str) -> Pod {
    let mut words = text.split_whitespace();
    let name = words.next().expect("a pod has a name");
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let metadata = ObjectMeta {
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(format!("uid-{namespace}-{name}")),
        ..ObjectMeta::default()
    };
    let container = Container { name: "main".to_owned(), ..Container::default() };
    let spec = PodSpec {
        containers: vec![container],
        scheduler_name: Some("default-scheduler".to_owned()),
        ..PodSpec::default()
    };
    let mut pod = Pod { metadata, spec: Some(spec), status: Some(PodStatus::default()) };
    for text in words {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        word(&mut pod, name, value);
    }
    pod
}

fn word(pod: &mut Pod, name: &str, value: &str) {
    let status = pod.status.as_mut().expect("made with a status");
    let spec = pod.spec.as_mut().expect("made with a spec");
    match name {
        "priority" => spec.priority = Some(value.parse().expect("a number")),
        "never" => spec.preemption_policy = Some("Never".to_owned()),
        "on" => spec.node_name = Some(value.to_owned()),
        "scheduler" => spec.scheduler_name = Some(value.to_owned()),
        "gate" => spec.scheduling_gates.get_or_insert_default().push(PodSchedulingGate { name: value.to_owned() }),
        "nominated" => status.nominated_node_name = Some(value.to_owned()),
        "started" => status.start_time = Some(Time(second(value.parse().expect("seconds")))),
        "terminating" => pod.metadata.deletion_timestamp = Some(Time(second(0))),
        "image" => spec.containers[0].image = Some(value.to_owned()),
        "hostusers" => (spec.host_network, spec.host_users) = (Some(true), Some(false)),
        "devices" => {
            spec.resource_claims.get_or_insert_default().push(PodResourceClaim {
                name: "claim".to_owned(),
                resource_claim_name: Some("claim".to_owned()),
                resource_claim_template_name: None,
            });
        }
        "port" => spec.containers[0].ports.get_or_insert_default().push(host_port(value)),
        "claim" => spec.volumes.get_or_insert_default().push(claim(value)),
        "tolerate" => spec.tolerations.get_or_insert_default().push(toleration(value)),
        "select" => {
            let (label, value) = value.split_once('=').expect("select=key=value");
            spec.node_selector.get_or_insert_default().insert(key(label), value.to_owned());
        }
        "node" => require(spec, NodeSelectorTerm { match_fields: Some(vec![named(value)]), match_expressions: None }),
        "want" => require(spec, node_term(value)),
        "like" => {
            let (weight, label) = value.split_once(':').expect("like=weight:key=value");
            let weight = weight.parse().expect("a weight");
            let term = PreferredSchedulingTerm { weight, preference: node_term(label) };
            node_affinity(spec).preferred_during_scheduling_ignored_during_execution.get_or_insert_default().push(term);
        }
        "init" | "sidecar" => {
            let (resource, amount) = value.split_once('=').expect("init=resource=amount");
            let restart_policy = (name == "sidecar").then(|| "Always".to_owned());
            let resources = Some(requests(resource, amount));
            let container = Container { name: name.to_owned(), resources, restart_policy, ..Container::default() };
            spec.init_containers.get_or_insert_default().push(container);
        }
        resource if is_resource(resource) => {
            let resources = spec.containers[0].resources.get_or_insert_default();
            resources.requests.get_or_insert_default().insert(resource.to_owned(), quantity(value));
        }
        other if !related(spec, other, value) => {
            pod.metadata.labels.get_or_insert_default().insert(other.to_owned(), value.to_owned());
        }
        _ => {}
    }
}

/// `with`, `apart`, `with~50`, `apart~50` (terms `key=value@topology`), `spread=1`, `spread~=1` (`skew@topology:key=value`).
fn related(spec: &mut PodSpec, name: &str, value: &str) -> bool {
    if let Some(soft) = name.strip_prefix("spread") {
        let (skew, rest) = value.split_once('@').expect("spread=skew@topology:key=value");
        let (topology, label) = rest.split_once(':').expect("spread=skew@topology:key=value");
        spec.topology_spread_constraints.get_or_insert_default().push(TopologySpreadConstraint {
            max_skew: skew.parse().expect("a skew"),
            topology_key: key(topology),
            when_unsatisfiable: if soft.is_empty() { "DoNotSchedule" } else { "ScheduleAnyway" }.to_owned(),
            label_selector: Some(selector(label)),
            ..TopologySpreadConstraint::default()
        });
        return true;
    }
    let (kind, weight) = name.split_once('~').unwrap_or((name, ""));
    if kind != "with" && kind != "apart" {
        return false;
    }
    let (label, topology) = value.split_once('@').expect("with=key=value@topology");
    let (namespaces, label) = label.split_once('/').map_or((None, label), |(ns, label)| (Some(ns), label));
    let term = PodAffinityTerm {
        topology_key: key(topology),
        label_selector: Some(selector(label)),
        namespace_selector: (namespaces == Some("*")).then(LabelSelector::default),
        namespaces: namespaces.filter(|ns| *ns != "*").map(|ns| vec![ns.to_owned()]),
        ..PodAffinityTerm::default()
    };
    let affinity = spec.affinity.get_or_insert_default();
    let weighted =
        weight.parse().ok().map(|weight| WeightedPodAffinityTerm { weight, pod_affinity_term: term.clone() });
    let (required, preferred) = if kind == "with" {
        let with = affinity.pod_affinity.get_or_insert_default();
        (
            &mut with.required_during_scheduling_ignored_during_execution,
            &mut with.preferred_during_scheduling_ignored_during_execution,
        )
    } else {
        let apart = affinity.pod_anti_affinity.get_or_insert_default();
        (
            &mut apart.required_during_scheduling_ignored_during_execution,
            &mut apart.preferred_during_scheduling_ignored_during_execution,
        )
    };
    match weighted {
        Some(weighted) => preferred.get_or_insert_default().push(weighted),
        None => required.get_or_insert_default().push(term),
    }
    true
}

fn selector(label: &str) -> LabelSelector {
    let (key, value) = label.split_once('=').expect("key=value");
    let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    LabelSelector { match_labels: Some(labels), match_expressions: None }
}

fn named(value: &str) -> NodeSelectorRequirement {
    let values = Some(vec![value.to_owned()]);
    NodeSelectorRequirement { key: "metadata.name".to_owned(), operator: "In".to_owned(), values }
}

/// `key=a,b`, `key!=a`, `key>5`, `key` (exists) or `!key`.
fn node_term(text: &str) -> NodeSelectorTerm {
    let split = |text: &str| text.split(',').map(str::to_owned).collect();
    let (label, operator, values) = if let Some((label, values)) = text.split_once("!=") {
        (label, "NotIn", Some(split(values)))
    } else if let Some((label, values)) = text.split_once('=') {
        (label, "In", Some(split(values)))
    } else if let Some((label, bound)) = text.split_once('>') {
        (label, "Gt", Some(split(bound)))
    } else if let Some(label) = text.strip_prefix('!') {
        (label, "DoesNotExist", None)
    } else {
        (text, "Exists", None)
    };
    let requirement = NodeSelectorRequirement { key: key(label), operator: operator.to_owned(), values };
    NodeSelectorTerm { match_expressions: Some(vec![requirement]), match_fields: None }
}

fn node_affinity(spec: &mut PodSpec) -> &mut NodeAffinity {
    spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default()
}

fn require(spec: &mut PodSpec, term: NodeSelectorTerm) {
    let required = &mut node_affinity(spec).required_during_scheduling_ignored_during_execution;
    required.get_or_insert_default().node_selector_terms.push(term);
}

fn requests(resource: &str, amount: &str) -> ResourceRequirements {
    let requests = BTreeMap::from([(resource.to_owned(), quantity(amount))]);
    ResourceRequirements { requests: Some(requests), ..ResourceRequirements::default() }
}

fn host_port(value: &str) -> ContainerPort {
    let (ip, port) = value.rsplit_once(':').map_or((None, value), |(ip, port)| (Some(ip.to_owned()), port));
    let port = port.parse().expect("a port");
    ContainerPort { host_ip: ip, container_port: port, host_port: Some(port), ..ContainerPort::default() }
}

fn claim(name: &str) -> Volume {
    let source = PersistentVolumeClaimVolumeSource { claim_name: name.to_owned(), read_only: None };
    Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() }
}

/// `*`, `key`, `key:Effect`, `key=value:Effect`.
fn toleration(text: &str) -> Toleration {
    if text == "*" {
        return Toleration { operator: Some("Exists".to_owned()), ..Toleration::default() };
    }
    let (pair, effect) = text.split_once(':').map_or((text, None), |(pair, effect)| (pair, Some(effect.to_owned())));
    let (key, value) = pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value.to_owned())));
    let operator = Some(if value.is_some() { "Equal" } else { "Exists" }.to_owned());
    Toleration { key: Some(key.to_owned()), operator, value, effect, toleration_seconds: None }
}

/// A time some seconds after the tests' beginning.
pub(crate) fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).expect("a time of this century")
}
