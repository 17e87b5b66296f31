//! Columns and cells of the tables that clients ask for, kind by kind.
//!
//! Rules: what each kind's table shows is upstream's (`pkg/printers/internalversion`); tables are always made wide, and
//! the client leaves out the columns of priority 1 unless it wants them.

pub(crate) mod autoscaling;
pub(crate) mod batch;
pub(crate) mod core;
pub(crate) mod event;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod policy;
pub(crate) mod volume;
pub(crate) mod workload;

use kind::{Cell, Column};
use object::{Map, Meta, Value, timestamp};

use crate::tree::text;

/// What stands for nothing.
const NONE: &str = "<none>";
/// What stands for a field that is not set.
const UNSET: &str = "<unset>";
/// What stands for something that the server cannot know.
const UNKNOWN: &str = "<unknown>";

/// A column that is always shown.
const fn column(name: &'static str, kind: &'static str, description: &'static str) -> Column {
    Column { name, kind, format: "", priority: 0, description }
}

/// A column that is shown when more is asked for.
const fn wide(name: &'static str, kind: &'static str, description: &'static str) -> Column {
    Column { name, kind, format: "", priority: 1, description }
}

const CONTAINERS: Column = wide("Containers", "string", "Names of the containers of the pod template.");
const IMAGES: Column = wide("Images", "string", "Images of those containers.");
const SELECTOR: Column = wide("Selector", "string", "Labels by which pods are selected.");

/// The row of a kind without columns of its own.
pub(crate) fn name_and_age(object: &Value) -> Vec<Cell> {
    vec![name(object), kind::age(object)]
}

fn name(object: &Value) -> Cell {
    Cell::from(Meta::of(object).name())
}

fn text_or(value: &Value, keys: &[&str], otherwise: &str) -> Cell {
    match text(value, keys) {
        "" => Cell::from(otherwise),
        found => Cell::from(found),
    }
}

fn number(value: &Value, keys: &[&str]) -> i64 {
    value.int_at(keys).unwrap_or(0)
}

/// The number of members at `keys`.
fn count(value: &Value, keys: &[&str]) -> i64 {
    let members = match value.at(keys) {
        Some(Value::List(items)) => items.len(),
        Some(Value::Map(map)) => map.len(),
        _ => 0,
    };
    i64::try_from(members).unwrap_or(i64::MAX)
}

/// How long ago the time at `keys` was; `None` when there is none.
fn since(value: &Value, keys: &[&str]) -> Option<Cell> {
    Some(Cell::since(timestamp::parse(value.str_at(keys)?)?))
}

/// A scalar as people read it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Float(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Names and images of a pod template's containers.
fn containers(template: &Value) -> [Cell; 2] {
    let join = |key: &str| {
        let values: Vec<&str> =
            template.list_at(&["spec", "containers"]).iter().map(|container| text(container, &[key])).collect();
        Cell::from(values.join(","))
    };
    [join("name"), join("image")]
}

/// Labels as `a=b,c=d`.
fn labels(map: Option<&Map>) -> String {
    let pairs: Vec<String> = map
        .into_iter()
        .flat_map(Map::iter)
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() { NONE.to_owned() } else { pairs.join(",") }
}

/// A label selector as `a=b,c in (d,e)`, its terms sorted by key; empty when it selects everything.
fn selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return String::new() };
    let equal = selector.get("matchLabels").and_then(Value::as_map).into_iter().flat_map(Map::iter);
    let mut terms: Vec<(&str, String)> =
        equal.map(|(key, value)| (key, format!("{key}={}", value.as_str().unwrap_or_default()))).collect();
    for expression in selector.list_at(&["matchExpressions"]) {
        let key = text(expression, &["key"]);
        let mut values: Vec<&str> = crate::tree::texts(expression, &["values"]).collect();
        values.sort_unstable();
        let values = values.join(",");
        terms.push((
            key,
            match text(expression, &["operator"]) {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "Exists" => key.to_owned(),
                _ => format!("!{key}"),
            },
        ));
    }
    terms.sort_by_key(|(key, _)| *key);
    terms.into_iter().map(|(_, term)| term).collect::<Vec<_>>().join(",")
}

fn selector_or_none(found: Option<&Value>) -> Cell {
    match selector(found) {
        text if text.is_empty() => Cell::from(NONE),
        text => Cell::from(text),
    }
}

/// The first few of many, and how many more there are.
fn first_of(items: &[String], shown_max: usize) -> String {
    let shown = items.iter().take(shown_max).cloned().collect::<Vec<_>>().join(",");
    match items.len().checked_sub(shown_max) {
        Some(more) if more > 0 => format!("{shown} + {more} more..."),
        _ => shown,
    }
}

/// The status of the condition `kind`.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object.list_at(&["status", "conditions"]).iter();
    conditions.into_iter().find(|condition| text(condition, &["type"]) == kind).map(|found| text(found, &["status"]))
}
