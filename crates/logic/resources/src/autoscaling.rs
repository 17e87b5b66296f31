//! HorizontalPodAutoscalers, in both of their versions.

mod metrics;

use object::{Meta, Text, Value};

use crate::promises::Promises;
use crate::tree::{default_text, default_to, empty, ensure, put, unset, within};
use metrics::Metrics;

/// Utilization that is aimed at when nothing else is asked for, in percent.
const UTILIZATION: i64 = 80;
/// Annotations of `autoscaling/v1` for what it has no fields for.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The version that is stored.
pub(crate) const V2: Promises = Promises {
    default: default_v2,
    check_create: crate::check::autoscaling::create,
    check_update: crate::check::autoscaling::update,
    columns: crate::print::autoscaling::COLUMNS,
    cells: crate::print::autoscaling::cells,
    ..Promises::STATUS
};

/// The version with a CPU target only.
pub(crate) const V1: Promises = Promises {
    default: |scaler| {
        within(scaler, "spec", |spec| default_to(spec, "minReplicas", 1));
    },
    stored: to_v2,
    served: to_v1,
    check_create: |context, new| crate::check::autoscaling::create(context, &to_v2(new.clone())),
    check_update: |context, new, old| {
        crate::check::autoscaling::update(context, &to_v2(new.clone()), &to_v2(old.clone()))
    },
    cells: |scaler| crate::print::autoscaling::cells(&to_v2(scaler.clone())),
    ..V2
};

fn default_v2(scaler: &mut Value) {
    within(scaler, "spec", |spec| {
        default_to(spec, "minReplicas", 1);
        if empty(spec.get("metrics")) {
            put(spec, "metrics", vec![cpu_target(UTILIZATION)]);
        }
        within(spec, "behavior", default_behavior);
    });
}

fn cpu_target(utilization: i64) -> Value {
    let target =
        Value::from_pairs([("type", Value::from("Utilization")), ("averageUtilization", Value::from(utilization))]);
    let resource = Value::from_pairs([("name", Value::from("cpu")), ("target", target)]);
    Value::from_pairs([("type", Value::from("Resource")), ("resource", resource)])
}

fn default_behavior(behavior: &mut Value) {
    ensure(behavior, "scaleUp");
    ensure(behavior, "scaleDown");
    let policy = |kind: &str, value: i64| {
        Value::from_pairs([
            ("type", Value::from(kind)),
            ("value", Value::from(value)),
            ("periodSeconds", Value::from(15_i64)),
        ])
    };
    within(behavior, "scaleUp", |rules| {
        default_to(rules, "stabilizationWindowSeconds", 0);
        default_text(rules, "selectPolicy", "Max");
        if unset(rules.get("policies")) {
            put(rules, "policies", vec![policy("Pods", 4), policy("Percent", 100)]);
        }
    });
    within(behavior, "scaleDown", |rules| {
        default_text(rules, "selectPolicy", "Max");
        if unset(rules.get("policies")) {
            put(rules, "policies", vec![policy("Percent", 100)]);
        }
    });
}

/// The value of an annotation, taken away from the object.
fn take_annotation(scaler: &mut Value, key: &str) -> Option<Text> {
    let value = Meta::of(scaler).annotation(key).map(Text::from)?;
    scaler.remove(&["metadata", "annotations", key]);
    if empty(scaler.at(&["metadata", "annotations"])) {
        scaler.remove(&["metadata", "annotations"]);
    }
    Some(value)
}

fn to_v2(mut scaler: Value) -> Value {
    let known = take_annotation(&mut scaler, METRICS).and_then(|text| Metrics::Wanted.read(&text)).unwrap_or_default();
    let current = take_annotation(&mut scaler, CURRENT).and_then(|text| Metrics::Current.read(&text));
    let conditions = take_annotation(&mut scaler, CONDITIONS).and_then(|text| metrics::read_conditions(&text));
    let behavior = take_annotation(&mut scaler, BEHAVIOR).and_then(|text| metrics::read_behavior(&text));
    let mut wanted = Vec::new();
    match scaler.remove(&["spec", "targetCPUUtilizationPercentage"]).as_ref().and_then(Value::as_int) {
        Some(utilization) => wanted.push(cpu_target(utilization)),
        None if known.is_empty() => wanted.push(cpu_target(UTILIZATION)),
        None => {}
    }
    wanted.extend(known);
    scaler.set(&["spec", "metrics"], wanted);
    if let Some(behavior) = behavior {
        scaler.set(&["spec", "behavior"], behavior);
        within(&mut scaler, "spec", |spec| within(spec, "behavior", default_behavior));
    }
    if scaler.int_at(&["status", "currentReplicas"]) == Some(0) {
        scaler.remove(&["status", "currentReplicas"]);
    }
    let mut statuses = current.unwrap_or_default();
    let utilization = scaler.remove(&["status", "currentCPUUtilizationPercentage"]);
    if let Some(utilization) = utilization.filter(|value| !value.is_null()) {
        set_current_cpu(&mut statuses, utilization);
    }
    if !statuses.is_empty() {
        scaler.set(&["status", "currentMetrics"], statuses);
    } else if let Some(status) = scaler.get_mut("status") {
        put(status, "currentMetrics", Value::Null);
    }
    if let Some(conditions) = conditions {
        scaler.set(&["status", "conditions"], conditions);
    }
    renamed(scaler, "autoscaling/v2")
}

/// The utilization of the processor stands in a field of its own; the absolute value only in the annotation.
fn set_current_cpu(statuses: &mut Vec<Value>, utilization: Value) {
    let cpu = statuses.iter_mut().find(|status| metrics::is_cpu(status));
    match cpu {
        Some(status) => status.set(&["resource", "current", "averageUtilization"], utilization),
        None => {
            let current = Value::from_pairs([("averageUtilization", utilization)]);
            let resource = Value::from_pairs([("name", Value::from("cpu")), ("current", current)]);
            statuses.insert(0, Value::from_pairs([("type", Value::from("Resource")), ("resource", resource)]));
        }
    }
}

fn to_v1(mut scaler: Value) -> Value {
    let mut others = Vec::new();
    let mut utilization = None;
    for metric in scaler.remove(&["spec", "metrics"]).as_ref().and_then(Value::as_list).unwrap_or_default() {
        let target = metric.int_at(&["resource", "target", "averageUtilization"]);
        if utilization.is_none() && metrics::is_cpu(metric) && target.is_some() {
            utilization = target;
        } else {
            others.push(metric.clone());
        }
    }
    if let Some(utilization) = utilization {
        scaler.set(&["spec", "targetCPUUtilizationPercentage"], utilization);
    }
    annotate(&mut scaler, METRICS, Metrics::Wanted.write(&others));
    let behavior = scaler.remove(&["spec", "behavior"]).filter(|behavior| !behavior.is_null());
    annotate(&mut scaler, BEHAVIOR, behavior.as_ref().and_then(metrics::write_behavior));
    let current = scaler.remove(&["status", "currentMetrics"]);
    let statuses = current.as_ref().and_then(Value::as_list).unwrap_or_default();
    let cpu = statuses.iter().filter(|status| metrics::is_cpu(status));
    if let Some(value) = cpu.filter_map(|status| status.int_at(&["resource", "current", "averageUtilization"])).next() {
        scaler.set(&["status", "currentCPUUtilizationPercentage"], value);
    }
    annotate(&mut scaler, CURRENT, Metrics::Current.write(statuses));
    let conditions = scaler.remove(&["status", "conditions"]);
    let conditions = conditions.as_ref().and_then(Value::as_list).unwrap_or_default();
    annotate(&mut scaler, CONDITIONS, metrics::write_conditions(conditions));
    if scaler.get("status").is_some() && unset(scaler.at(&["status", "currentReplicas"])) {
        // Without `omitempty` in this version only.
        scaler.set(&["status", "currentReplicas"], 0);
    }
    renamed(scaler, "autoscaling/v1")
}

fn annotate(scaler: &mut Value, key: &str, value: Option<String>) {
    if let Some(value) = value {
        scaler.set(&["metadata", "annotations", key], value);
    }
}

fn renamed(mut scaler: Value, api_version: &str) -> Value {
    if !crate::tree::blank(scaler.get("apiVersion")) {
        scaler.set(&["apiVersion"], api_version);
    }
    scaler
}
