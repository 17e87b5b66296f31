//! Metrics of `autoscaling/v2` as `autoscaling/v1` keeps them: JSON in annotations, in shapes of its own.

use object::schema::Shape;
use object::{Schema, Value};

use crate::tree::text;

/// Metrics that are wanted, or as they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Metrics {
    Wanted,
    Current,
}

/// How a source of metrics is written: its field, what it refers to, and its numbers in v1 and in v2.
struct Source {
    field: &'static str,
    kind: &'static str,
    /// Fields in v1 and paths in v2 that are the same.
    shared: &'static [(&'static str, &'static [&'static str])],
    wanted: &'static [(&'static str, &'static str)],
    current: &'static [(&'static str, &'static str)],
}

const SOURCES: [Source; 5] = [
    Source {
        field: "object",
        kind: "Object",
        shared: &[
            ("target", &["describedObject"]),
            ("metricName", &["metric", "name"]),
            ("selector", &["metric", "selector"]),
        ],
        wanted: &[("targetValue", "value"), ("averageValue", "averageValue")],
        current: &[("currentValue", "value"), ("averageValue", "averageValue")],
    },
    Source {
        field: "pods",
        kind: "Pods",
        shared: &[("metricName", &["metric", "name"]), ("selector", &["metric", "selector"])],
        wanted: &[("targetAverageValue", "averageValue")],
        current: &[("currentAverageValue", "averageValue")],
    },
    Source {
        field: "resource",
        kind: "Resource",
        shared: &[("name", &["name"])],
        wanted: &[("targetAverageUtilization", "averageUtilization"), ("targetAverageValue", "averageValue")],
        current: &[("currentAverageUtilization", "averageUtilization"), ("currentAverageValue", "averageValue")],
    },
    Source {
        field: "containerResource",
        kind: "ContainerResource",
        shared: &[("name", &["name"]), ("container", &["container"])],
        wanted: &[("targetAverageUtilization", "averageUtilization"), ("targetAverageValue", "averageValue")],
        current: &[("currentAverageUtilization", "averageUtilization"), ("currentAverageValue", "averageValue")],
    },
    Source {
        field: "external",
        kind: "External",
        shared: &[("metricName", &["metric", "name"]), ("metricSelector", &["metric", "selector"])],
        wanted: &[("targetValue", "value"), ("targetAverageValue", "averageValue")],
        current: &[("currentValue", "value"), ("currentAverageValue", "averageValue")],
    },
];

/// Whether a metric is the processor's use by pods.
pub(super) fn is_cpu(metric: &Value) -> bool {
    text(metric, &["type"]) == "Resource" && text(metric, &["resource", "name"]) == "cpu"
}

impl Metrics {
    fn numbers(self, source: &Source) -> &'static [(&'static str, &'static str)] {
        match self {
            Metrics::Wanted => source.wanted,
            Metrics::Current => source.current,
        }
    }

    /// The field of v2 that holds the numbers.
    fn holder(self) -> &'static str {
        match self {
            Metrics::Wanted => "target",
            Metrics::Current => "current",
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            Metrics::Wanted => "MetricSpec",
            Metrics::Current => "MetricStatus",
        }
    }

    /// The metrics of an annotation, in the form of v2; `None` when it cannot be read.
    pub(super) fn read(self, annotation: &str) -> Option<Vec<Value>> {
        let items = read_list(annotation, self.type_name())?;
        Some(items.iter().map(|metric| self.to_v2(metric)).collect())
    }

    /// Metrics of v2 as an annotation; `None` when there are none.
    pub(super) fn write(self, metrics: &[Value]) -> Option<String> {
        let items: Vec<Value> = metrics.iter().map(|metric| self.to_v1(metric)).collect();
        write_list(&items, self.type_name())
    }

    fn to_v2(self, metric: &Value) -> Value {
        let mut made = Value::from_pairs([("type", text(metric, &["type"]))]);
        for source in &SOURCES {
            let Some(old) = metric.get(source.field).filter(|old| !old.is_null()) else { continue };
            let mut new = Value::map();
            for (name, path) in source.shared {
                copy(old, &[name], &mut new, path);
            }
            for (name, number) in self.numbers(source) {
                copy(old, &[name], &mut new, &[self.holder(), number]);
            }
            if matches!(self, Metrics::Wanted) {
                let kind = target_kind(&new);
                new.set(&["target", "type"], kind);
            }
            made.set(&[source.field], new);
        }
        made
    }

    fn to_v1(self, metric: &Value) -> Value {
        let mut made = Value::from_pairs([("type", text(metric, &["type"]))]);
        for source in SOURCES.iter().filter(|source| source.kind == text(metric, &["type"])) {
            let Some(new) = metric.get(source.field).filter(|new| !new.is_null()) else { continue };
            let mut old = Value::map();
            for (name, path) in source.shared {
                copy(new, path, &mut old, &[name]);
            }
            for (name, number) in self.numbers(source) {
                copy(new, &[self.holder(), number], &mut old, &[name]);
            }
            made.set(&[source.field], old);
        }
        made
    }
}

fn target_kind(source: &Value) -> &'static str {
    let given = |field: &str| source.at(&["target", field]).is_some();
    match (given("averageUtilization"), given("averageValue"), given("value")) {
        (true, _, _) => "Utilization",
        (_, true, false) => "AverageValue",
        _ => "Value",
    }
}

fn copy(from: &Value, source: &[&str], to: &mut Value, target: &[&str]) {
    if let Some(value) = from.at(source).filter(|value| !value.is_null()) {
        to.set(target, value.clone());
    }
}

fn shape(name: &str) -> Option<Shape> {
    let version = if name == "HorizontalPodAutoscalerBehavior" { "v2" } else { "v1" };
    Schema::builtin().named(&format!("io.k8s.api.autoscaling.{version}.{name}")).map(Shape::Struct)
}

fn read_shape(text: &str, shape: &Shape) -> Option<Value> {
    Some(codec::json::decode_shape(text.as_bytes(), Schema::builtin(), shape).ok()?.value)
}

fn write_shape(value: &Value, shape: &Shape) -> String {
    let mut text = Vec::new();
    codec::json::encode_shape(value, Schema::builtin(), shape, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn read_list(text: &str, name: &str) -> Option<Vec<Value>> {
    read_shape(text, &Shape::List(Box::new(shape(name)?)))?.as_list().map(<[Value]>::to_vec)
}

fn write_list(items: &[Value], name: &str) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    Some(write_shape(&Value::List(items.to_vec()), &Shape::List(Box::new(shape(name)?))))
}

/// The conditions of an annotation.
pub(super) fn read_conditions(annotation: &str) -> Option<Vec<Value>> {
    read_list(annotation, "HorizontalPodAutoscalerCondition")
}

/// Conditions as an annotation.
pub(super) fn write_conditions(conditions: &[Value]) -> Option<String> {
    write_list(conditions, "HorizontalPodAutoscalerCondition")
}

/// The behavior of an annotation.
pub(super) fn read_behavior(annotation: &str) -> Option<Value> {
    read_shape(annotation, &shape("HorizontalPodAutoscalerBehavior")?)
}

/// A behavior as an annotation.
pub(super) fn write_behavior(behavior: &Value) -> Option<String> {
    Some(write_shape(behavior, &shape("HorizontalPodAutoscalerBehavior")?))
}
