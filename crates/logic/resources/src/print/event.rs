//! Tables of events.

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

pub(crate) fn cells(event: &Value) -> Vec<Cell> {
    let at = |keys: &[&str]| since(event, keys);
    let first = at(&["firstTimestamp"]).or_else(|| at(&["eventTime"])).unwrap_or_else(|| Cell::from(UNKNOWN));
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
        last.unwrap_or_else(|| if series { Cell::from(UNKNOWN) } else { first.clone() }),
        Cell::from(text(event, &["type"])),
        Cell::from(text(event, &["reason"])),
        Cell::from(target),
        Cell::from(text(event, &["involvedObject", "fieldPath"])),
        Cell::from(source(event)),
        Cell::from(text(event, &["message"]).trim()),
        first,
        Cell::from(count),
        Cell::from(Meta::of(event).name()),
    ]
}

fn source(event: &Value) -> String {
    let (who, place) = match text(event, &["source", "component"]) {
        "" => (text(event, &["reportingComponent"]), text(event, &["reportingInstance"])),
        component => (component, text(event, &["source", "host"])),
    };
    if place.is_empty() { who.to_owned() } else { format!("{who}, {place}") }
}
