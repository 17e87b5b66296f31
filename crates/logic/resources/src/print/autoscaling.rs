//! Tables of horizontal pod autoscalers.

use kind::{AGE, Cell, Column, NAME};
use object::Value;

use super::{NONE, UNKNOWN, UNSET, column, name, number, shown};
use crate::tree::text;

/// Metrics that are shown; of more, only how many.
const METRICS_MAX: usize = 2;

pub(crate) const COLUMNS: &[Column] = &[
    NAME,
    column("Reference", "string", "What is scaled."),
    column("Targets", "string", "Metrics as they are and as they should be."),
    column("MinPods", "string", "Fewest pods."),
    column("MaxPods", "string", "Most pods."),
    column("Replicas", "string", "Pods there are."),
    AGE,
];

pub(crate) fn cells(scaler: &Value) -> Vec<Cell> {
    let target = |field: &str| text(scaler, &["spec", "scaleTargetRef", field]);
    let least = scaler.int_at(&["spec", "minReplicas"]).map_or_else(|| UNSET.to_owned(), |least| least.to_string());
    vec![
        name(scaler),
        Cell::from(format!("{}/{}", target("kind"), target("name"))),
        Cell::from(targets(scaler)),
        Cell::from(least),
        Cell::from(number(scaler, &["spec", "maxReplicas"])),
        Cell::from(number(scaler, &["status", "currentReplicas"])),
        kind::age(scaler),
    ]
}

fn targets(scaler: &Value) -> String {
    let metrics = scaler.list_at(&["spec", "metrics"]);
    let current = scaler.list_at(&["status", "currentMetrics"]);
    if metrics.is_empty() {
        return NONE.to_owned();
    }
    let shown: Vec<String> =
        metrics.iter().enumerate().take(METRICS_MAX).map(|(at, metric)| metric_text(metric, current.get(at))).collect();
    let shown = shown.join(", ");
    match metrics.len().saturating_sub(METRICS_MAX) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn metric_text(metric: &Value, current: Option<&Value>) -> String {
    let (field, named) = match text(metric, &["type"]) {
        "Object" => ("object", false),
        "Pods" => ("pods", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let wanted = |number: &str| metric.at(&[field, "target", number]).filter(|value| !value.is_null());
    let found = |number: &str| {
        let found =
            current.and_then(|current| current.at(&[field, "current", number])).filter(|value| !value.is_null());
        found.map(shown)
    };
    let prefix = if named { format!("{}: ", text(metric, &[field, "name"])) } else { String::new() };
    let unknown = || UNKNOWN.to_owned();
    if let Some(average) = wanted("averageValue") {
        let suffix = if matches!(field, "external" | "object") { " (avg)" } else { "" };
        return format!("{prefix}{}/{}{suffix}", found("averageValue").unwrap_or_else(unknown), shown(average));
    }
    if named {
        let target =
            wanted("averageUtilization").map_or_else(|| "<auto>".to_owned(), |value| format!("{}%", shown(value)));
        let now = found("averageUtilization").map_or_else(unknown, |value| format!("{value}%"));
        return format!("{prefix}{now}/{target}");
    }
    let target = wanted("value").map(shown).unwrap_or_default();
    format!("{}/{target}", found("value").unwrap_or_else(unknown))
}
