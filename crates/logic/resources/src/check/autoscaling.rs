//! HorizontalPodAutoscalers, in the form of v2.

use kind::{Context, Problem};
use object::{Value, names};

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
        most.positive(out);
        if let (Some(least), Some(most_count)) = (least.int(), most.int())
            && most_count < least
        {
            most.invalid(out, "must be greater than or equal to `minReplicas`");
        }
        reference(&spec.at("scaleTargetRef"), out);
        for metric in spec.at("metrics").items() {
            check_metric(&metric, out);
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
}

fn check_metric(metric: &Spot<'_>, out: &mut Problems) {
    let (field, numbers): (&str, &[&str]) = match metric.at("type").text() {
        "" => return metric.at("type").required(out, "must specify a metric source type"),
        "Object" => ("object", &["value", "averageValue"]),
        "Pods" => ("pods", &["averageValue"]),
        "Resource" => ("resource", &["averageUtilization", "averageValue"]),
        "ContainerResource" => ("containerResource", &["averageUtilization", "averageValue"]),
        "External" => ("external", &["value", "averageValue"]),
        _ => {
            let supported = ["ContainerResource", "External", "Object", "Pods", "Resource"];
            return metric.at("type").option(out, &supported);
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
    } else {
        let supported = ["AverageValue", "Utilization", "Value"];
        kind.option(out, &supported);
    }
    let given = numbers.iter().filter(|number| target.at(number).is_set()).count();
    if given == 0 {
        let field = numbers.first().copied().unwrap_or_default();
        target.at(field).required(out, &format!("must specify one of: {}", numbers.join(", ")));
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
