//! Tables of events.

use jiff::Timestamp;
use kind::{Cell, Column};
use object::{Meta, Value};

use super::{UNKNOWN, column, number, since, wide};
use crate::tree::{text, unset};

pub(crate) const COLUMNS: &[Column] = &[
    column("Last Seen", "string", "When it happened last."),
    column("Type", "string", "Whether it is normal or a warning."),
    column("Reason", "string", "What happened, in one word."),
    column("Object", "string", "What it happened to."),
    wide("Subobject", "string", "The part of the object that it happened to."),
    wide("Source", "string", "Who reports it."),
    column("Message", "string", "What happened, for people."),
    wide("First Seen", "string", "When it happened first."),
    wide("Count", "string", "How often it has happened."),
    wide("Name", "string", "Name of the event."),
];

pub(crate) fn cells(event: &Value, now: Timestamp) -> Vec<Cell> {
    let at = |keys: &[&str]| since(event, keys, now);
    let first = at(&["firstTimestamp"]).or_else(|| at(&["eventTime"])).unwrap_or_else(|| UNKNOWN.to_owned());
    let series = !unset(event.get("series"));
    let last = if series { at(&["series", "lastObservedTime"]) } else { at(&["lastTimestamp"]) };
    let count = match number(event, &["count"]) {
        _ if series => number(event, &["series", "count"]),
        0 => 1,
        count => count,
    };
    let kind = text(event, &["involvedObject", "kind"]).to_lowercase();
    let target = match text(event, &["involvedObject", "name"]) {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    vec![
        Value::from(last.unwrap_or_else(|| if series { UNKNOWN.to_owned() } else { first.clone() })),
        Value::from(text(event, &["type"])),
        Value::from(text(event, &["reason"])),
        Value::from(target),
        Value::from(text(event, &["involvedObject", "fieldPath"])),
        Value::from(source(event)),
        Value::from(text(event, &["message"]).trim()),
        Value::from(first),
        Value::from(count),
        Value::from(Meta::of(event).name()),
    ]
}

fn source(event: &Value) -> String {
    let (who, place) = match text(event, &["source", "component"]) {
        "" => (text(event, &["reportingComponent"]), text(event, &["reportingInstance"])),
        component => (component, text(event, &["source", "host"])),
    };
    if place.is_empty() { who.to_owned() } else { format!("{who}, {place}") }
}
