//! Where pods may, should and should not run: affinities and spread.

use std::collections::BTreeSet;

use kind::Problem;
use object::names;

use super::formats;
use super::spot::{Problems, Spot};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// Affinities of a pod.
pub(crate) fn check(affinity: &Spot<'_>, out: &mut Problems) {
    let nodes = affinity.at("nodeAffinity");
    if nodes.at(REQUIRED).is_set() {
        node_selector(&nodes.at(REQUIRED), out);
    }
    for term in nodes.at(PREFERRED).items() {
        weight(&term.at("weight"), out);
        node_term(&term.at("preference"), false, out);
    }
    for side in ["podAffinity", "podAntiAffinity"] {
        let pods = affinity.at(side);
        for term in pods.at(REQUIRED).items() {
            pod_term(&term, out);
        }
        for weighted in pods.at(PREFERRED).items() {
            weight(&weighted.at("weight"), out);
            pod_term(&weighted.at("podAffinityTerm"), out);
        }
    }
}

fn weight(weight: &Spot<'_>, out: &mut Problems) {
    if !(1..=100).contains(&weight.int().unwrap_or(0)) {
        weight.invalid(out, "must be in the range 1-100");
    }
}

/// A selector of nodes: at least one term.
pub(crate) fn node_selector(selector: &Spot<'_>, out: &mut Problems) {
    let terms = selector.at("nodeSelectorTerms");
    if terms.is_empty() {
        terms.required(out, "must have at least one node selector term");
    }
    for term in terms.items() {
        node_term(&term, true, out);
    }
}

fn node_term(term: &Spot<'_>, strict: bool, out: &mut Problems) {
    for requirement in term.at("matchExpressions").items() {
        let values = requirement.at("values");
        match requirement.at("operator").text() {
            "In" | "NotIn" if values.is_empty() => {
                values.required(out, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if values.is_empty() => {}
            "Exists" | "DoesNotExist" => {
                values.forbidden(out, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
            }
            "Gt" | "Lt" if values.len() == 1 => {}
            "Gt" | "Lt" => values.required(out, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
            _ => requirement.at("operator").or_empty().invalid(out, "not a valid selector operator"),
        }
        requirement.at("key").or_empty().qualified(out);
        for value in values.items().filter(|_| strict) {
            value.complain(out, names::label_value(value.text()));
        }
    }
    for requirement in term.at("matchFields").items() {
        let values = requirement.at("values");
        match requirement.at("operator").text() {
            "In" | "NotIn" if values.len() == 1 => {}
            "In" | "NotIn" => {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                values.required(out, detail);
            }
            _ => requirement.at("operator").or_empty().invalid(out, "not a valid selector operator"),
        }
        if requirement.at("key").text() == "metadata.name" {
            values.items().for_each(|value| value.subdomain(out));
        } else {
            requirement.at("key").or_empty().invalid(out, "not a valid field selector key");
        }
    }
}

fn pod_term(term: &Spot<'_>, out: &mut Problems) {
    for selector in ["labelSelector", "namespaceSelector"] {
        formats::label_selector(&term.at(selector), out);
    }
    for name in term.at("namespaces").items() {
        name.moved(term.path.field("namespace")).label(out);
    }
    let keys = |field: &'static str| -> BTreeSet<&str> { term.at(field).texts().collect() };
    for field in ["matchLabelKeys", "mismatchLabelKeys"] {
        let list = term.at(field);
        if !list.is_empty() && !term.at("labelSelector").is_set() {
            list.forbidden(out, "must not be specified when labelSelector is not set");
        }
        list.items().for_each(|key| key.qualified(out));
    }
    let mismatched = keys("mismatchLabelKeys");
    for key in term.at("matchLabelKeys").items() {
        if mismatched.contains(key.text()) {
            key.invalid(out, "exists in both matchLabelKeys and mismatchLabelKeys");
        }
    }
    let topology = term.at("topologyKey").or_empty();
    if topology.text().is_empty() {
        topology.required(out, "can not be empty");
    }
    topology.qualified(out);
}

/// How pods are spread over the cluster.
pub(crate) fn spread(constraints: &Spot<'_>, out: &mut Problems) {
    let all: Vec<Spot<'_>> = constraints.items().collect();
    for (at, constraint) in all.iter().enumerate() {
        let (key, action) = (constraint.at("topologyKey"), constraint.at("whenUnsatisfiable"));
        let skew = constraint.at("maxSkew");
        if skew.int().is_some_and(|skew| skew <= 0) {
            skew.invalid(out, "must be greater than zero");
        }
        if key.is_empty() {
            key.required(out, "can not be empty");
        }
        action.or_empty().option(out, &["DoNotSchedule", "ScheduleAnyway"]);
        let same = |other: &&Spot<'_>| {
            other.at("topologyKey").text() == key.text() && other.at("whenUnsatisfiable").text() == action.text()
        };
        if all[at + 1..].iter().any(|other| same(&other)) {
            let path = constraint.path.field("{topologyKey, whenUnsatisfiable}");
            out.push(Problem::duplicate(path, format!("{{{}, {}}}", key.text(), action.text())));
        }
        let domains = constraint.at("minDomains");
        domains.positive(out);
        if domains.is_set() && action.text() != "DoNotSchedule" {
            let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}", action.text());
            domains.invalid(out, detail);
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            constraint.at(policy).option(out, &["Honor", "Ignore"]);
        }
        let keys = constraint.at("matchLabelKeys");
        if !keys.is_empty() && !constraint.at("labelSelector").is_set() {
            keys.forbidden(out, "must not be specified when labelSelector is not set");
        }
        keys.items().for_each(|key| key.qualified(out));
        formats::label_selector(&constraint.at("labelSelector"), out);
    }
}
