//! HorizontalPodAutoscalers, in the form of v2.

use kind::{Context, Problem};
use object::{Path, Value, names};

use super::over;
use super::spot::{Problems, Spot};

/// What is wrong with an autoscaler.
pub(crate) fn create(_context: &Context<'_>, scaler: &Value) -> Vec<Problem> {
    over(scaler, |scaler, out| {
        let spec = scaler.at("spec");
        let (least, most) = (spec.at("minReplicas"), spec.at("maxReplicas"));
        if least.int().is_some_and(|count| count < 1) {
            least.invalid(out, "must be greater than or equal to 1");
        }
        match most.int().unwrap_or(0) {
            0 => most.required(out, "must be set and greater than 0"),
            count if count < 0 => most.invalid(out, "must be greater than or equal to 1"),
            _ => {}
        }
        if let (Some(least), Some(most_count)) = (least.int(), most.int())
            && most_count < least
        {
            most.invalid(out, "must be greater than or equal to `minReplicas`");
        }
        reference(&spec.at("scaleTargetRef"), out);
        grouped(&spec.at("scaleTargetRef"), out);
        let metrics = spec.at("metrics");
        for metric in metrics.items() {
            check_metric(&metric, out);
        }
        let idles = |metric: Spot<'_>| matches!(metric.at("type").text(), "Object" | "External");
        if least.int() == Some(0) && !metrics.items().any(idles) {
            let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
            metrics.forbidden(out, detail);
        }
        for side in ["scaleUp", "scaleDown"] {
            rules(&spec.at("behavior").at(side), out);
        }
    })
}

fn reference(target: &Spot<'_>, out: &mut Problems) {
    for field in ["kind", "name"] {
        let spot = target.at(field);
        if spot.need(out) {
            spot.complain(out, names::path_segment(spot.text()));
        }
    }
    let version = target.at("apiVersion");
    if version.text().split('/').count() > 2 {
        version.invalid(out, format!("unexpected GroupVersion string: {}", version.text()));
    }
}

/// What is scaled is named with its group; only replication controllers have none.
fn grouped(target: &Spot<'_>, out: &mut Problems) {
    let version = target.at("apiVersion");
    let group = version.text().split_once('/').map_or("", |(group, _)| group);
    if group.is_empty() && target.at("kind").text() != "ReplicationController" {
        version.or_empty().invalid(out, "apiVersion must specify API group");
    }
}

/// What is wrong with a changed autoscaler: it may go on to name its target as it did.
pub(crate) fn update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut before = Problems::new();
    let target = Spot::root(old).at("spec.scaleTargetRef");
    grouped(&target, &mut before);
    let mut out = create(context, new);
    let version = Path::from(target.path.field("apiVersion"));
    out.retain(|problem| before.is_empty() || problem.path != version);
    out
}

fn check_metric(metric: &Spot<'_>, out: &mut Problems) {
    let (field, numbers): (&str, &[&str]) = match metric.at("type").text() {
        "Object" => ("object", &["value", "averageValue"]),
        "Pods" => ("pods", &["averageValue"]),
        "Resource" => ("resource", &["averageUtilization", "averageValue"]),
        "ContainerResource" => ("containerResource", &["averageUtilization", "averageValue"]),
        "External" => ("external", &["value", "averageValue"]),
        _ => {
            let kind = metric.at("type").or_empty();
            if kind.text().is_empty() {
                kind.required(out, "must specify a metric source type");
            }
            // Upstream asks twice, once for each of its two lists of types.
            kind.option(out, &["ContainerResource", "External", "Object", "Pods", "Resource"]);
            kind.option(out, &["ContainerResource", "External", "Object", "Pods", "Resource"]);
            return;
        }
    };
    let source = metric.at(field);
    if !source.is_set() {
        source.required(out, "must populate information for the given metric source");
        return;
    }
    match field {
        "resource" => {
            if source.at("name").is_empty() {
                source.at("name").required(out, "must specify a resource name");
            }
        }
        "containerResource" => {
            for (key, detail) in [("name", "must specify a resource name"), ("container", "must specify a container")] {
                if source.at(key).is_empty() {
                    source.at(key).required(out, detail);
                }
            }
        }
        _ => {
            if source.at("metric.name").is_empty() {
                source.at("metric.name").required(out, "must specify a metric name");
            }
        }
    }
    if field == "object" {
        reference(&source.at("describedObject"), out);
    }
    target(&source.at("target"), numbers, out);
}

fn target(target: &Spot<'_>, numbers: &[&str], out: &mut Problems) {
    let kind = target.at("type");
    if kind.is_empty() {
        kind.required(out, "must specify a metric target type");
    }
    if !matches!(kind.text(), "Utilization" | "Value" | "AverageValue") {
        kind.or_empty().invalid(out, "must be either Utilization, Value, or AverageValue");
    }
    for number in ["value", "averageValue"] {
        let spot = target.at(number);
        if spot.quantity().is_some_and(|amount| amount.sign().is_le()) {
            spot.invalid(out, "must be positive");
        }
    }
    let utilization = target.at("averageUtilization");
    if utilization.int().is_some_and(|percent| percent < 1) {
        utilization.invalid(out, "must be greater than 0");
    }
    given(target, numbers, out);
}

/// Of the numbers of a source, one must be there; for some sources, no more than one.
fn given(target: &Spot<'_>, numbers: &[&str], out: &mut Problems) {
    let given = numbers.iter().filter(|number| target.at(number).is_set()).count();
    match (numbers, given) {
        (["averageUtilization", _], 0) => {
            let detail = "must set either a target raw value or a target utilization";
            target.at("averageUtilization").required(out, detail);
        }
        (["averageUtilization", _], 2) => {
            target.at("averageValue").forbidden(out, "may not set both a target raw value and a target utilization");
        }
        (["averageValue"], 0) => {
            target.at("averageValue").required(out, "must specify a positive target averageValue");
        }
        (_, 0) => target.at("averageValue").required(out, "must set either a target value or averageValue"),
        _ => {}
    }
}

fn rules(rules: &Spot<'_>, out: &mut Problems) {
    if !rules.is_set() {
        return;
    }
    let window = rules.at("stabilizationWindowSeconds");
    if window.int().is_some_and(|seconds| seconds < 0) {
        window.invalid(out, "must be greater than or equal to zero");
    }
    if window.int().is_some_and(|seconds| seconds > 3600) {
        window.invalid(out, "must be less than or equal to 3600");
    }
    rules.at("selectPolicy").option(out, &["Disabled", "Max", "Min"]);
    let policies = rules.at("policies");
    if policies.is_empty() {
        policies.required(out, "must specify at least one Policy");
    }
    for policy in policies.items() {
        policy.at("type").or_empty().option(out, &["Percent", "Pods"]);
        for field in ["value", "periodSeconds"] {
            let spot = policy.at(field);
            if spot.int().unwrap_or(0) <= 0 {
                spot.invalid(out, "must be greater than zero");
            }
        }
        if policy.at("periodSeconds").int().is_some_and(|seconds| seconds > 1800) {
            policy.at("periodSeconds").invalid(out, "must be less than or equal to 1800");
        }
    }
}
