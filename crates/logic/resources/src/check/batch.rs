//! Jobs and CronJobs.

use std::str::FromStr as _;

use kind::{Context, Problem};
use object::{Path, Value};

use super::spot::{Problems, Spot};
use super::{formats, over, podspec};

const INDEXED_MAX: i64 = 100_000;
const FAILURE_RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
/// Most characters of a cron job's name: its jobs get eleven more.
const CRON_NAME_MAX: usize = 52;

/// What is wrong with a new job.
pub(crate) fn job(_context: &Context<'_>, job: &Value) -> Vec<Problem> {
    over(job, |job, out| {
        let spec = job.at("spec");
        job_spec(&spec, out);
        let (selector, template) = (spec.at("selector"), spec.at("template"));
        if !selector.is_set() {
            selector.required(out, "");
        } else {
            formats::label_selector(&selector, out);
        }
        let labels = template.at("metadata.labels");
        if !selector.is_set() || !formats::selects(&selector, &labels) {
            labels.invalid(out, "`selector` does not match template `labels`");
        }
        generated(job, &spec, out);
        last_host_name(job, out);
    })
}

/// The pods of an indexed job are called by their index, and the last one has the longest name.
fn last_host_name(job: &Spot<'_>, out: &mut Problems) {
    let (name, completions) = (job.at("metadata.name").or_empty(), job.at("spec.completions").int().unwrap_or(0));
    if job.at("spec.completionMode").text() != "Indexed" || completions <= 0 {
        return;
    }
    let last = format!("{}-{}", name.text(), completions - 1);
    if !object::names::dns_label(&last).is_empty() {
        name.invalid(out, format!("will not able to create pod with invalid DNS label: {last}"));
    }
}

/// What the server generates must be there, and right.
fn generated(job: &Spot<'_>, spec: &Spot<'_>, out: &mut Problems) {
    let Some(object) = job.value.filter(|_| !spec.at("manualSelector").flag()) else { return };
    let meta = object::Meta::of(object);
    for (key, expected) in [
        ("controller-uid", meta.uid()),
        ("batch.kubernetes.io/controller-uid", meta.uid()),
        ("job-name", meta.name()),
        ("batch.kubernetes.io/job-name", meta.name()),
    ] {
        let path = spec.path.field("template.metadata.labels");
        match object.str_at(&["spec", "template", "metadata", "labels", key]) {
            None => out.push(Problem::required(path.key(key), format!("must be '{expected}'"))),
            Some(value) if value != expected => {
                let labels = spec.at("template.metadata.labels").shown();
                out.push(Problem::invalid(path.key(key), labels, format!("must be '{expected}'")));
            }
            Some(_) => {}
        }
    }
}

fn job_spec(spec: &Spot<'_>, out: &mut Problems) {
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
    ] {
        spec.at(field).nonnegative(out);
    }
    let (mode, completions, parallelism) = (spec.at("completionMode"), spec.at("completions"), spec.at("parallelism"));
    mode.option(out, &["NonIndexed", "Indexed"]);
    if spec.at("maxFailedIndexes").is_set() {
        spec.at("maxFailedIndexes").nonnegative(out);
        if !spec.at("backoffLimitPerIndex").is_set() {
            spec.at("backoffLimitPerIndex").required(out, "when maxFailedIndexes is specified");
        }
    }
    if mode.text() == "Indexed" {
        if !completions.is_set() {
            completions.required(out, "when completion mode is Indexed");
        }
        if parallelism.int().is_some_and(|count| count > INDEXED_MAX) {
            parallelism
                .invalid(out, format!("must be less than or equal to {INDEXED_MAX} when completion mode is Indexed"));
        }
    } else {
        for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if spec.at(field).is_set() {
                spec.at(field).invalid(out, "requires indexed completion mode");
            }
        }
    }
    let template = spec.at("template");
    let failures = spec.at("podFailurePolicy");
    if failures.is_set() {
        failure_policy(&failures, spec, out);
    }
    spec.at("podReplacementPolicy").option(out, &["Failed", "TerminatingOrFailed"]);
    podspec::template(&template, out);
    let policy = template.at("spec.restartPolicy");
    match policy.text() {
        "" | "Always" => policy.required(out, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if failures.is_set() => {
            policy.invalid(out, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        _ => policy.option(out, &["OnFailure", "Never"]),
    }
}

fn failure_policy(policy: &Spot<'_>, spec: &Spot<'_>, out: &mut Problems) {
    let pod = spec.at("template.spec");
    let containers: Vec<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| pod.at(list).items().map(|container| container.at("name").text()).collect::<Vec<_>>())
        .collect();
    let rules = policy.at("rules");
    if rules.len() > FAILURE_RULES_MAX {
        out.push(Problem::too_many(rules.path.clone(), rules.len(), FAILURE_RULES_MAX));
    }
    for rule in rules.items() {
        let action = rule.at("action");
        if action.text() == "FailIndex" && !spec.at("backoffLimitPerIndex").is_set() {
            action.invalid(out, "requires the backoffLimitPerIndex to be set");
        }
        named_choice(&action, &["Count", "FailIndex", "FailJob", "Ignore"], out);
        let (codes, conditions) = (rule.at("onExitCodes"), rule.at("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, &containers, out);
        }
        for condition in conditions.items() {
            condition.at("type").or_empty().qualified(out);
            named_choice(&condition.at("status"), &["False", "True", "Unknown"], out);
        }
        let detail = match (codes.is_set(), !conditions.is_empty()) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        out.push(Problem { value: None, ..Problem::invalid(rule.path.clone(), Value::Null, detail) });
    }
}

/// One of `values`, all of which are named when there is none.
fn named_choice(spot: &Spot<'_>, values: &[&str], out: &mut Problems) {
    if spot.text().is_empty() {
        spot.required(out, &format!("valid values: [\"{}\"]", values.join("\" \"")));
    } else {
        spot.option(out, values);
    }
}

fn exit_codes(codes: &Spot<'_>, containers: &[&str], out: &mut Problems) {
    let (operator, container, values) = (codes.at("operator"), codes.at("containerName"), codes.at("values"));
    named_choice(&operator, &["In", "NotIn"], out);
    if container.is_set() && !containers.contains(&container.text()) {
        container.invalid(out, "must be one of the container or initContainer names in the pod template");
    }
    if values.is_empty() {
        values.invalid(out, "at least one value is required");
    } else if values.len() > EXIT_CODES_MAX {
        out.push(Problem::too_many(values.path.clone(), values.len(), EXIT_CODES_MAX));
    }
    let (mut seen, mut last, mut ordered) = (std::collections::BTreeSet::new(), None, true);
    for value in values.items() {
        let code = value.int().unwrap_or(0);
        if operator.text() == "In" && code == 0 {
            value.invalid(out, "must not be 0 for the In operator");
        }
        if !seen.insert(code) {
            value.duplicate(out);
        }
        ordered &= last.is_none_or(|last| last <= code);
        last = Some(code);
    }
    if !ordered {
        values.invalid(out, "must be ordered");
    }
}

/// What is wrong with a changed job.
pub(crate) fn job_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return over(new, |job, out| {
            for field in ["active", "succeeded", "failed", "ready", "terminating"] {
                job.at("status").at(field).nonnegative(out);
            }
        });
    }
    let mut out = over(new, |job, out| job_spec(&job.at("spec"), out));
    let (spec, before) = (Spot::root(new).at("spec"), Spot::root(old).at("spec"));
    let elastic = spec.at("completionMode").text() == "Indexed"
        && spec.at("completions").int() == spec.at("parallelism").int()
        && before.at("completions").int() == before.at("parallelism").int();
    if !elastic {
        spec.at("completions").immutable(&mut out, &before.at("completions"));
    }
    spec.at("selector").immutable(&mut out, &before.at("selector"));
    template_update(new, old, &mut out);
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        spec.at(field).immutable(&mut out, &before.at(field));
    }
    out
}

/// A suspended job that has not started may still be told where its pods run.
fn template_update(new: &Value, old: &Value, out: &mut Problems) {
    let mut munged = new.clone();
    let suspended = Spot::root(old).at("spec.suspend").flag() && !Spot::root(old).at("status.startTime").is_set();
    if suspended {
        for field in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
            crate::tree::carry(&mut munged, old, &["spec", "template", "spec", field]);
        }
        for field in ["labels", "annotations"] {
            crate::tree::carry(&mut munged, old, &["spec", "template", "metadata", field]);
        }
    }
    let (template, before) = (Spot::root(&munged).at("spec.template"), Spot::root(old).at("spec.template"));
    if template.differs(&before) {
        template.invalid(out, "field is immutable");
    }
}

/// What is wrong with a new cron job.
pub(crate) fn cron_job(_context: &Context<'_>, cron: &Value) -> Vec<Problem> {
    over(cron, |cron, out| {
        let name = cron.at("metadata.name");
        if name.text().len() > CRON_NAME_MAX {
            name.invalid(out, format!("must be no more than {CRON_NAME_MAX} characters"));
        }
        cron_spec(&cron.at("spec"), out);
    })
}

/// What is wrong with a changed cron job.
pub(crate) fn cron_job_update(context: &Context<'_>, new: &Value, _old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return Vec::new();
    }
    over(new, |cron, out| cron_spec(&cron.at("spec"), out))
}

fn cron_spec(spec: &Spot<'_>, out: &mut Problems) {
    let (schedule, zone) = (spec.at("schedule"), spec.at("timeZone"));
    if schedule.need(out) {
        check_schedule(&schedule, zone.is_set(), out);
    }
    if zone.is_set() {
        match zone.text() {
            "" => zone.invalid(out, "timeZone must be nil or non-empty string"),
            name if name.eq_ignore_ascii_case("local") => {
                zone.invalid(
                    out,
                    "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
                );
            }
            name if jiff::tz::TimeZone::get(name).is_err() => {
                zone.invalid(out, format!("unknown time zone {name}"));
            }
            _ => {}
        }
    }
    spec.at("startingDeadlineSeconds").nonnegative(out);
    spec.at("concurrencyPolicy").choice(out, &["Allow", "Forbid", "Replace"]);
    spec.at("successfulJobsHistoryLimit").nonnegative(out);
    spec.at("failedJobsHistoryLimit").nonnegative(out);
    let job = spec.at("jobTemplate.spec");
    job_spec(&job, out);
    if job.at("selector").is_set() {
        job.at("selector").invalid(out, "`selector` will be auto-generated");
    }
    if job.at("manualSelector").flag() {
        out.push(Problem::not_supported(Path::of("spec.jobTemplate.spec.manualSelector"), true, &["nil", "false"]));
    }
}

fn check_schedule(schedule: &Spot<'_>, zoned: bool, out: &mut Problems) {
    let text = schedule.text();
    if text.contains("TZ") {
        let detail = if zoned {
            "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        } else {
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        };
        schedule.invalid(out, detail);
        return;
    }
    if let Some(interval) = text.strip_prefix("@every ") {
        if interval.is_empty() {
            schedule.invalid(out, format!("failed to parse duration {text}: time: invalid duration {interval:?}"));
        }
        return;
    }
    let fields = text.split_whitespace().count();
    if !text.starts_with('@') && fields != 5 {
        schedule.invalid(
            out,
            format!(
                "expected exactly 5 fields, found {fields}: [{}]",
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
        );
    } else if let Err(error) = croner::Cron::from_str(text) {
        schedule.invalid(out, error.to_string());
    }
}
