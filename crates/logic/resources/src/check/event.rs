//! Events.

use kind::{Context, Problem};
use object::{Path, Value};

use super::over;
use super::spot::{Problems, Spot};
use super::trail::Trail;

/// What is wrong with a new event of the core group.
pub(crate) fn create(_context: &Context<'_>, event: &Value) -> Vec<Problem> {
    over(event, legacy)
}

/// What is wrong with a changed event of the core group.
pub(crate) fn update(_context: &Context<'_>, event: &Value, _old: &Value) -> Vec<Problem> {
    over(event, legacy)
}

fn legacy(event: &Spot<'_>, out: &mut Problems) {
    in_namespace(event, &event.at("involvedObject.namespace"), out);
}

/// An event stands where its object does; upstream says so in the words of the stored form.
fn in_namespace(event: &Spot<'_>, object: &Spot<'_>, out: &mut Problems) {
    let object = object.moved(Trail::of("involvedObject.namespace"));
    let own = event.at("metadata.namespace").text();
    let matches = match object.text() {
        "" => matches!(own, "default" | "kube-system"),
        namespace => namespace == own,
    };
    if !matches {
        object.or_empty().invalid(out, "does not match event.namespace");
    }
}

/// What is wrong with a new event of `events.k8s.io`.
pub(crate) fn create_new_form(_context: &Context<'_>, event: &Value) -> Vec<Problem> {
    over(event, |event, out| {
        let object = event.at("regarding.namespace");
        // Only what is in no namespace has a place where its events must be.
        if object.text().is_empty() {
            in_namespace(event, &object, out);
        }
        if !event.at("eventTime").is_set() {
            event.at("eventTime").required(out, "");
        }
        for (field, bytes_max) in
            [("reportingController", 0), ("reportingInstance", 128), ("action", 128), ("reason", 128)]
        {
            let spot = event.at(field);
            if spot.is_empty() {
                spot.required(out, "");
            }
            if bytes_max == 0 {
                spot.or_empty().qualified(out);
            } else if spot.text().len() > bytes_max {
                // Long texts are not repeated.
                out.push(Problem::invalid(spot.path, "", format!("can have at most {bytes_max} characters")));
            }
        }
        let kind = event.at("type");
        if !matches!(kind.text(), "Normal" | "Warning") {
            out.push(Problem::invalid(kind.path.clone(), "", format!("has invalid value: {}", kind.text())));
        }
        for (field, name) in [
            ("deprecatedFirstTimestamp", "firstTimestamp"),
            ("deprecatedLastTimestamp", "lastTimestamp"),
            ("deprecatedCount", "count"),
        ] {
            let spot = event.at(field);
            if spot.is_set() && spot.int() != Some(0) {
                out.push(Problem::invalid(Path::of(name), "", "needs to be unset"));
            }
        }
        if event.at("note").text().len() > 1024 {
            out.push(Problem::invalid(Path::of("message"), "", "can have at most 1024 characters"));
        }
        series(event, out);
    })
}

fn series(event: &Spot<'_>, out: &mut Problems) {
    let series = event.at("series");
    if !series.is_set() {
        return;
    }
    if series.at("count").int().is_none_or(|count| count < 2) {
        series.at("count").invalid(out, "should be at least 2");
    }
    if !series.at("lastObservedTime").is_set() {
        series.at("lastObservedTime").required(out, "needs to be set");
    }
}

/// What is wrong with a changed event of `events.k8s.io`: only its series changes.
pub(crate) fn update_new_form(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let fields = [
        "regarding",
        "reason",
        "note",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingController",
        "reportingInstance",
    ];
    over(new, |event, out| {
        let before = Spot::root(old);
        for field in fields {
            event.at(field).immutable(out, &before.at(field));
        }
        series(event, out);
    })
}
