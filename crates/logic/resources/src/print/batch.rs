//! Tables of jobs and cron jobs.

use kind::{AGE, Cell, Column, NAME};
use object::{Meta, Value, timestamp};

use super::{
    CONTAINERS, IMAGES, NONE, SELECTOR, UNKNOWN, UNSET, column, condition, containers, count, name, number,
    selector_or_none, since, text_or,
};
use crate::tree::text;

pub(crate) const JOB: &[Column] = &[
    NAME,
    column("Status", "string", "What the job as a whole is doing."),
    column("Completions", "string", "Pods that succeeded, of those that should."),
    column("Duration", "string", "Time from its start to its end, or until now."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) fn job(job: &Value) -> Vec<Cell> {
    let [names, images] = template_of(job, &["spec", "template"]);
    vec![
        name(job),
        Cell::from(job_status(job)),
        Cell::from(completions(job)),
        duration(job),
        kind::age(job),
        names,
        images,
        selector_or_none(job.at(&["spec", "selector"])),
    ]
}

fn template_of(object: &Value, keys: &[&str]) -> [Cell; 2] {
    object.at(keys).map_or_else(|| [Cell::from(""), Cell::from("")], containers)
}

fn job_status(job: &Value) -> &'static str {
    let has = |kind: &str| condition(job, kind) == Some("True");
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if Meta::of(job).is_deleting() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = number(job, &["status", "succeeded"]);
    match job.int_at(&["spec", "completions"]) {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None => match number(job, &["spec", "parallelism"]) {
            several if several > 1 => format!("{succeeded}/1 of {several}"),
            _ => format!("{succeeded}/1"),
        },
    }
}

fn duration(job: &Value) -> Cell {
    let time = |field: &str| job.str_at(&["status", field]).and_then(timestamp::parse);
    let Some(start) = time("startTime") else { return Cell::from("") };
    match time("completionTime") {
        Some(end) => Cell::from(kind::human_duration(end.duration_since(start).as_secs())),
        None => Cell::since(start),
    }
}

pub(crate) const CRON_JOB: &[Column] = &[
    NAME,
    column("Schedule", "string", "When it runs, as cron writes it."),
    column("Timezone", "string", "Time zone of the schedule."),
    column("Suspend", "boolean", "Whether it is held."),
    column("Active", "integer", "Jobs that run now."),
    column("Last Schedule", "string", "When it ran last."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) fn cron_job(cron: &Value) -> Vec<Cell> {
    const JOB: [&str; 3] = ["spec", "jobTemplate", "spec"];
    let [names, images] = template_of(cron, &["spec", "jobTemplate", "spec", "template"]);
    let suspend = match cron.at(&["spec", "suspend"]).and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => UNSET,
    };
    let last = match cron.str_at(&["status", "lastScheduleTime"]) {
        Some(_) => since(cron, &["status", "lastScheduleTime"]).unwrap_or_else(|| Cell::from(UNKNOWN)),
        None => Cell::from(NONE),
    };
    vec![
        name(cron),
        Cell::from(text(cron, &["spec", "schedule"])),
        text_or(cron, &["spec", "timeZone"], NONE),
        Cell::from(suspend),
        Cell::from(count(cron, &["status", "active"])),
        last,
        kind::age(cron),
        names,
        images,
        selector_or_none(cron.at(&JOB).and_then(|spec| spec.get("selector"))),
    ]
}
