//! What clients should know about pods, and about templates of pods, that are accepted.

use std::collections::BTreeMap;

use kind::Context;
use object::{Meta, Value, names};

use super::spot::Spot;
use super::trail::Trail;
use super::volumewarnings;

/// Labels of nodes that have better names, with what upstream says of them.
const OLD_NODE_LABELS: [(&str, &str); 8] = [
    ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
    ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
    (
        "failure-domain.beta.kubernetes.io/region",
        "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
    ),
    ("failure-domain.beta.kubernetes.io/zone", "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"),
    ("beta.kubernetes.io/instance-type", "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    ("scheduler.alpha.kubernetes.io/preferAvoidPods", "deprecated since v1.22; use Taints and Tolerations instead"),
    ("node-role.kubernetes.io/master", "use \"node-role.kubernetes.io/control-plane\" instead"),
];

/// Annotations that nothing reads any more.
const OLD_ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

/// What is said of an old label of nodes.
pub(crate) fn old_label(key: &str) -> Option<&'static str> {
    OLD_NODE_LABELS.iter().find(|(label, _)| *label == key).map(|(_, advice)| *advice)
}

/// Warnings about a new pod; updates of pods are not made by people.
pub(crate) fn warnings(_context: &Context<'_>, pod: &Value, old: Option<&Value>) -> Vec<String> {
    if old.is_some() {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    let problems = names::dns_label(Meta::of(pod).name());
    if !problems.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            problems.join(" ")
        ));
    }
    of_template(&Spot::root(pod), &mut warnings);
    warnings
}

/// Warnings about a workload whose pods are named after it.
pub(crate) fn of_named_workload(context: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    let problems = names::dns_label(Meta::of(object).name());
    if old.is_none() && !problems.is_empty() {
        warnings.push(format!(
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            problems.join(" ")
        ));
    }
    warnings.extend(of_workload(context, object, old));
    warnings
}

/// Warnings about the pod template of a workload, when it is new or has changed.
pub(crate) fn of_workload(_context: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
    at_template(object, old, &["spec", "template"])
}

/// Warnings about the pod template of a cron job's jobs.
pub(crate) fn of_cron_job(_context: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
    at_template(object, old, &["spec", "jobTemplate", "spec", "template"])
}

/// Warnings about a template that stands alone.
pub(crate) fn of_pod_template(_context: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
    at_template(object, old, &["template"])
}

fn at_template(object: &Value, old: Option<&Value>, place: &[&str]) -> Vec<String> {
    let mut warnings = Vec::new();
    if old.is_none_or(|old| old.at(place) != object.at(place)) {
        of_template(&Spot::root(object).at(&place.join(".")), &mut warnings);
    }
    warnings
}

/// A pod or a template: metadata and spec, in upstream's order.
fn of_template(template: &Spot<'_>, warnings: &mut Vec<String>) {
    let spec = template.at("spec");
    node_labels(&spec, warnings);
    annotations(template, warnings);
    for volume in spec.at("volumes").items() {
        volumewarnings::deprecated(&volume, warnings);
    }
    for volume in spec.at("volumes").items() {
        volumewarnings::overlaps(&volume, warnings);
    }
    twice(&spec.at("hostAliases"), "ip", warnings);
    twice(&spec.at("imagePullSecrets"), "name", warnings);
    for secret in spec.at("imagePullSecrets").items() {
        if secret.at("name").is_empty() {
            warnings.push(format!("{}: invalid empty name \"\"", secret.path.field("name")));
        }
    }
    fractions(&spec.at("overhead"), warnings);
    let containers = containers(&spec);
    containers.iter().for_each(|container| of_container(container, warnings));
    ports(&containers, warnings);
    port_names(&containers, warnings);
    let grace = spec.at("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|seconds| seconds < 0) {
        warnings.push(format!("{}: must be >= 0; negative values are invalid and will be treated as 1", grace.path));
    }
    for side in ["podAffinity", "podAntiAffinity"] {
        let side = spec.at("affinity").at(side);
        let required = side.at("requiredDuringSchedulingIgnoredDuringExecution");
        required.items().for_each(|term| unselective(&term, warnings));
        let preferred = side.at("preferredDuringSchedulingIgnoredDuringExecution");
        preferred.items().for_each(|term| unselective(&term.at("podAffinityTerm"), warnings));
    }
}

/// Every container, in the order in which upstream visits them.
fn containers<'a>(spec: &Spot<'a>) -> Vec<Spot<'a>> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    lists.iter().flat_map(|list| spec.at(list).items().collect::<Vec<_>>()).collect()
}

fn node_labels(spec: &Spot<'_>, warnings: &mut Vec<String>) {
    for (key, place) in spec.at("nodeSelector").entries() {
        if let Some(advice) = old_label(key) {
            warnings.push(format!("{}: {advice}", place.path));
        }
    }
    let affinity = spec.at("affinity.nodeAffinity");
    let required = affinity.at("requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
    required.items().for_each(|term| of_term(&term, warnings));
    let preferred = affinity.at("preferredDuringSchedulingIgnoredDuringExecution");
    preferred.items().for_each(|term| of_term(&term.at("preference"), warnings));
    for constraint in spec.at("topologySpreadConstraints").items() {
        let key = constraint.at("topologyKey");
        if let Some(advice) = old_label(key.text()) {
            warnings.push(format!("{}: {} is {advice}", key.path, key.text()));
        }
        unselective(&constraint, warnings);
    }
}

fn of_term(term: &Spot<'_>, warnings: &mut Vec<String>) {
    for expression in term.at("matchExpressions").items() {
        let key = expression.at("key");
        if let Some(advice) = old_label(key.text()) {
            warnings.push(format!("{}: {} is {advice}", key.path, key.text()));
        }
    }
}

fn unselective(term: &Spot<'_>, warnings: &mut Vec<String>) {
    let selector = term.at("labelSelector");
    if !selector.is_set() {
        warnings.push(format!("{}: a null labelSelector results in matching no pod", selector.path));
    }
}

fn annotations(template: &Spot<'_>, warnings: &mut Vec<String>) {
    let known = template.at("metadata.annotations");
    for (key, advice) in OLD_ANNOTATIONS {
        if known.value.is_some_and(|known| known.get(key).is_some()) {
            warnings.push(format!("{}: {advice}", known.path.key(key)));
        }
    }
}

/// Items of a list that say the same `field`.
fn twice(list: &Spot<'_>, field: &str, warnings: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    for item in list.items().map(|item| item.at(field)) {
        if !seen.insert(item.text()) {
            warnings.push(format!("{}: duplicate {field} {:?}", item.path, item.text()));
        }
    }
}

fn fractions(list: &Spot<'_>, warnings: &mut Vec<String>) {
    for name in ["memory", "ephemeral-storage"] {
        let Some((_, amount)) = list.entries().find(|(key, _)| *key == name) else { continue };
        if amount.quantity().is_some_and(|amount| amount.nanos() % 1_000_000_000 != 0) {
            warnings.push(format!(
                "{}: fractional byte value {:?} is invalid, must be an integer",
                amount.path,
                amount.text()
            ));
        }
    }
}

fn of_container(container: &Spot<'_>, warnings: &mut Vec<String>) {
    for list in ["limits", "requests"] {
        fractions(&container.at("resources").at(list), warnings);
    }
    let mut seen = std::collections::BTreeSet::new();
    for variable in container.at("env").items() {
        let (name, value) = (variable.at("name").text(), variable.at("value").text());
        if seen.insert(name) {
            continue;
        }
        // A later definition that makes use of the earlier one is meant.
        let earlier = format!("$({name})");
        let adds = !variable.at("valueFrom").is_set() && value != earlier && value.contains(&earlier);
        if !adds {
            warnings.push(format!(
                "{}: hides previous definition of {name:?}, which may be dropped when using apply",
                variable.path
            ));
        }
    }
}

/// A port that has been seen: where, and the address and port of the host.
type Seen<'a> = (Trail<'a>, &'a str, i64);

/// Ports of all containers that are the same, or may be.
fn ports(containers: &[Spot<'_>], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<(i64, &str), Vec<Seen<'_>>> = BTreeMap::new();
    for port in containers.iter().flat_map(|container| container.at("ports").items().collect::<Vec<_>>()) {
        let (host, number) = (port.at("hostIP").text(), port.at("hostPort").int().unwrap_or(0));
        let key = (port.at("containerPort").int().unwrap_or(0), port.at("protocol").text());
        let others = known.entry(key).or_default();
        for (other, other_host, other_number) in others.iter() {
            let what = if host == *other_host && number == *other_number {
                "duplicate port definition"
            } else if number == 0 || *other_number == 0 {
                "overlapping port definition"
            } else if number == *other_number && host.is_empty() != other_host.is_empty() {
                "dangerously ambiguous port definition"
            } else {
                continue;
            };
            warnings.push(format!("{}: {what} with {other}", port.path));
        }
        others.push((port.path.clone(), host, number));
    }
}

fn port_names(containers: &[Spot<'_>], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<&str, Trail<'_>> = BTreeMap::new();
    for port in containers.iter().flat_map(|container| container.at("ports").items().collect::<Vec<_>>()) {
        let name = port.at("name").text();
        if name.is_empty() {
            continue;
        }
        match known.get(name) {
            Some(other) => warnings.push(format!(
                "{}: duplicate port name {name:?} with {other}, services and probes that select ports by name will use {other}",
                port.path
            )),
            None => drop(known.insert(name, port.path.clone())),
        }
    }
}
