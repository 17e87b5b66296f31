//! What clients should know about pods that are accepted.

use std::collections::BTreeSet;

use kind::Context;
use object::{Meta, Value, names};

use super::spot::Spot;

/// Labels of nodes that have newer names.
const OLD_NODE_LABELS: [(&str, &str); 6] = [
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ("kubernetes.io/role", "node-role.kubernetes.io/*"),
];

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
    of_spec(&Spot::root(pod).at("spec"), &mut warnings);
    warnings
}

/// Warnings about the pod template of a workload, when it is new or has changed.
pub(crate) fn of_workload(_context: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
    const TEMPLATE: [&str; 2] = ["spec", "template"];
    let mut warnings = Vec::new();
    if old.is_none_or(|old| old.at(&TEMPLATE) != object.at(&TEMPLATE)) {
        of_spec(&Spot::root(object).at("spec.template.spec"), &mut warnings);
    }
    warnings
}

fn of_spec(spec: &Spot<'_>, warnings: &mut Vec<String>) {
    for (label, newer) in OLD_NODE_LABELS {
        let label_path = spec.path.field("nodeSelector").key(label);
        if spec.at("nodeSelector").value.is_some_and(|selector| selector.get(label).is_some()) {
            let advice = format!("use {newer:?} instead");
            warnings.push(format!("{label_path}: deprecated since v1.14; {advice}"));
        }
    }
    if spec.at("terminationGracePeriodSeconds").int().is_some_and(|seconds| seconds < 0) {
        let path = &spec.at("terminationGracePeriodSeconds").path;
        warnings.push(format!("{path}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    for secret in spec.at("imagePullSecrets").items() {
        if secret.at("name").is_empty() {
            warnings.push(format!("{}: invalid empty name {:?}", secret.path.field("name"), ""));
        }
    }
    for list in ["initContainers", "containers"] {
        for container in spec.at(list).items() {
            of_container(&container, warnings);
        }
    }
}

fn of_container(container: &Spot<'_>, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for variable in container.at("env").items() {
        let name = variable.at("name");
        if !seen.insert(name.text()) {
            warnings.push(format!(
                "{}: hides previous definition of {:?}, which may be dropped when using apply",
                variable.path,
                name.text()
            ));
        }
    }
    for list in ["requests", "limits"] {
        for (name, amount) in container.at("resources").at(list).entries() {
            let fraction = amount.quantity().is_some_and(|amount| amount.nanos() % 1_000_000_000 != 0);
            if fraction && matches!(name, "memory" | "ephemeral-storage") {
                warnings.push(format!(
                    "{}: fractional byte value {:?} is invalid, must be an integer",
                    amount.path,
                    amount.text()
                ));
            }
        }
    }
}
