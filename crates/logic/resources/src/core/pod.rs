//! Pods.

use kind::{Context, Deletion, Facts};
use object::{MetaMut, Text, Value};

use super::{podlevel, podsubresource};
use crate::podspec;
use crate::promises::Promises;
use crate::tree::{at, each, empty, flag, owned, put, text, unset, within};

/// A pod: counted generations, a status of its own, and a kubelet that ends it.
pub(crate) const POD: Promises = Promises {
    facts: Facts::WORKLOAD,
    default,
    create,
    update: podsubresource::update,
    check_create: crate::check::pod::create,
    check_update: crate::check::podupdate::update,
    warn: crate::check::podwarnings::warnings,
    deletion,
    resets: &[
        ("", "status"),
        ("status", "spec"),
        ("status", "metadata.deletionTimestamp"),
        ("status", "metadata.ownerReferences"),
        ("ephemeralcontainers", "status"),
        ("resize", "status"),
    ],
    selectable: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ],
    select,
    columns: crate::print::pod::COLUMNS,
    cells: crate::print::pod::cells,
    ..Promises::WORKLOAD
};

fn default(pod: &mut Value) {
    within(pod, "spec", |spec| {
        podspec::default_spec(spec);
        podspec::default_pod(spec);
    });
    within(pod, "status", mirror_addresses);
}

/// `podIP` and the first of `podIPs` are one; where they differ, the single one counts.
fn mirror_addresses(status: &mut Value) {
    for (one, many) in [("podIP", "podIPs"), ("hostIP", "hostIPs")] {
        let single = status.str_at(&[one]).unwrap_or_default();
        let first = status.list_at(&[many]).first().and_then(|item| item.str_at(&["ip"])).unwrap_or_default();
        if single == first || (one == "hostIP" && first.is_empty()) {
            continue;
        }
        if single.is_empty() {
            let first = Text::from(first);
            put(status, one, first);
        } else {
            let single = Text::from(single);
            put(status, many, vec![Value::from_pairs([("ip", single)])]);
        }
    }
}

fn create(_context: &Context<'_>, pod: &mut Value) {
    let labels = pod.at(&["metadata", "labels"]).cloned().unwrap_or_default();
    let mut status = Value::from_pairs([("phase", "Pending")]);
    if let Some(spec) = pod.get_mut("spec") {
        podspec::mirror_service_account(spec);
        put(&mut status, "qosClass", podlevel::quality(spec));
        merge_label_keys(spec, &labels);
        if !empty(spec.get("schedulingGates")) {
            put(&mut status, "conditions", vec![gated()]);
        }
    }
    pod.set(&["status"], status);
    MetaMut::of(pod).set("generation", 1);
}

fn gated() -> Value {
    Value::from_pairs([
        ("type", Value::from("PodScheduled")),
        ("status", Value::from("False")),
        ("reason", Value::from("SchedulingGated")),
        ("message", Value::from("Scheduling is blocked due to non-empty scheduling gates")),
        ("lastProbeTime", Value::Null),
        ("lastTransitionTime", Value::Null),
    ])
}

/// `matchLabelKeys` and `mismatchLabelKeys` mean values that the pod has now: they become part of the selectors.
fn merge_label_keys(spec: &mut Value, labels: &Value) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    for side in ["podAffinity", "podAntiAffinity"] {
        at(spec, &["affinity", side], |affinity| {
            each(affinity, REQUIRED, |term| select_by_keys(term, labels));
            each(affinity, PREFERRED, |weighted| {
                within(weighted, "podAffinityTerm", |term| select_by_keys(term, labels));
            });
        });
    }
    each(spec, "topologySpreadConstraints", |constraint| select_by_keys(constraint, labels));
}

fn select_by_keys(term: &mut Value, labels: &Value) {
    if unset(term.get("labelSelector")) {
        return;
    }
    let mut added = Vec::new();
    for (keys, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in term.list_at(&[keys]).iter().filter_map(Value::as_str) {
            if let Some(value) = labels.str_at(&[key]) {
                added.push(Value::from_pairs([
                    ("key", Value::from(key)),
                    ("operator", Value::from(operator)),
                    ("values", Value::from(vec![value])),
                ]));
            }
        }
    }
    if added.is_empty() {
        return;
    }
    within(term, "labelSelector", |selector| {
        let mut expressions = selector.list_at(&["matchExpressions"]).to_vec();
        expressions.extend(added);
        put(selector, "matchExpressions", expressions);
    });
}

/// A kubelet gets the time that the pod or the request asks for; where none is at work, there is nothing to wait for.
fn deletion(pod: &Value, requested_seconds: Option<i64>) -> Deletion {
    let own = pod.int_at(&["spec", "terminationGracePeriodSeconds"]);
    let seconds = requested_seconds.or(own).unwrap_or(0);
    let unscheduled = text(pod, &["spec", "nodeName"]).is_empty();
    let finished = matches!(text(pod, &["status", "phase"]), "Failed" | "Succeeded");
    Deletion::Graceful {
        seconds: match seconds {
            _ if unscheduled || finished => 0,
            negative if negative < 0 => 1,
            seconds => seconds,
        },
    }
}

fn select(pod: &Value) -> Vec<(&'static str, Text)> {
    let ip = pod.list_at(&["status", "podIPs"]).first().map(|item| owned(item, &["ip"])).unwrap_or_default();
    let host_network = if flag(pod, &["spec", "hostNetwork"]) { "true" } else { "false" };
    vec![
        ("spec.nodeName", owned(pod, &["spec", "nodeName"])),
        ("spec.restartPolicy", owned(pod, &["spec", "restartPolicy"])),
        ("spec.schedulerName", owned(pod, &["spec", "schedulerName"])),
        ("spec.serviceAccountName", owned(pod, &["spec", "serviceAccountName"])),
        ("spec.hostNetwork", host_network.into()),
        ("status.phase", owned(pod, &["status", "phase"])),
        ("status.podIP", ip.clone()),
        ("status.podIPs", ip),
        ("status.nominatedNodeName", owned(pod, &["status", "nominatedNodeName"])),
    ]
}
