//! The kinds that run pods: replication controllers, the group `apps`, pod templates.

use kind::{Context, Problem};
use object::{Path, Value};

use super::spot::{Problems, Spot, internal};
use super::{formats, frozen, over, podspec, volume};

/// What is wrong with a PodTemplate.
pub(crate) fn pod_template(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| podspec::template(&object.at("template"), out))
}

/// What a selector is that none can be made of.
const MALFORMED: &str = "invalid label selector";

/// The template must have the labels by which its owner selects, and its pods must stay.
fn template(spec: &Spot<'_>, owner: &str, out: &mut Problems) {
    let (template, selector) = (spec.at("template"), spec.at("selector"));
    if !selector.is_empty() || !selector.is_set() {
        selected(&selector, &template.at("metadata.labels"), out);
    }
    podspec::template(&template, out);
    permanent(&template, owner, out);
}

/// What is made from the template must be selected; no selector selects nothing.
fn selected(selector: &Spot<'_>, labels: &Spot<'_>, out: &mut Problems) {
    if !selector.is_set() || !formats::selects(selector, labels) {
        labels.invalid(out, "`selector` does not match template `labels`");
    }
}

fn permanent(template: &Spot<'_>, owner: &str, out: &mut Problems) {
    let policy = template.at("spec.restartPolicy");
    if !policy.text().is_empty() {
        policy.option(out, &["Always"]);
    }
    if template.at("spec.activeDeadlineSeconds").is_set() {
        let detail = format!("activeDeadlineSeconds in {owner} is not Supported");
        template.at("spec.activeDeadlineSeconds").forbidden(out, detail);
    }
}

/// A selector that selects something in particular; `true` when it is one at all.
fn selector(selector: &Spot<'_>, kind: &str, out: &mut Problems) -> bool {
    let before = out.len();
    formats::label_selector(selector, out);
    let well_formed = out.len() == before;
    if selector.is_set() && selector.at("matchLabels").is_empty() && selector.at("matchExpressions").is_empty() {
        selector.invalid(out, format!("empty selector is invalid for {kind}"));
    }
    well_formed
}

/// Selector and template; a template is only judged by a selector that is one, and `malformed` says that it is none.
fn selector_and_template(spec: &Spot<'_>, (kind, owner): (&str, &str), malformed: &str, out: &mut Problems) {
    let wanted = spec.at("selector");
    if !wanted.is_set() {
        wanted.required(out, "");
    }
    if selector(&wanted, kind, out) {
        template(spec, owner, out);
    } else {
        wanted.invalid(out, malformed);
    }
}

/// What is wrong with a ReplicationController.
pub(crate) fn replication_controller(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| {
        let spec = object.at("spec");
        spec.at("minReadySeconds").nonnegative(out);
        let (selector, own) = (spec.at("selector"), spec.at("template"));
        if selector.is_empty() {
            selector.required(out, "");
        }
        spec.at("replicas").nonnegative(out);
        if !own.is_set() {
            own.required(out, "");
            return;
        }
        let labels = own.at("metadata.labels");
        let has = |(key, value): (&str, Spot<'_>)| {
            labels.value.and_then(|labels| labels.str_at(&[key])) == Some(value.text())
        };
        if !selector.entries().all(has) {
            labels.invalid(out, "`selector` does not match template `labels`");
        }
        podspec::template(&own, out);
        permanent(&own, "ReplicationController", out);
    })
}

/// What is wrong with a changed ReplicationController.
pub(crate) fn replication_controller_update(context: &Context<'_>, new: &Value, _old: &Value) -> Vec<Problem> {
    match context.subresource {
        "status" => over(new, replica_status),
        _ => replication_controller(context, new),
    }
}

/// What is wrong with a ReplicaSet.
pub(crate) fn replica_set(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| {
        let spec = object.at("spec");
        spec.at("replicas").nonnegative(out);
        spec.at("minReadySeconds").nonnegative(out);
        selector_and_template(&spec, ("deployment", "ReplicaSet"), MALFORMED, out);
    })
}

/// What is wrong with a changed ReplicaSet.
pub(crate) fn replica_set_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return over(new, replica_status);
    }
    let mut out = replica_set(context, new);
    frozen(new, old, &["spec.selector"], &mut out);
    out
}

fn replica_status(object: &Spot<'_>, out: &mut Problems) {
    let status = object.at("status");
    let all = status.at("replicas").int().unwrap_or(0);
    for field in ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"] {
        status.at(field).nonnegative(out);
    }
    for field in ["fullyLabeledReplicas", "readyReplicas", "availableReplicas", "updatedReplicas", "currentReplicas"] {
        if status.at(field).int().is_some_and(|count| count > all) {
            status.at(field).invalid(out, "cannot be greater than status.replicas");
        }
    }
    let (available, ready) = (status.at("availableReplicas"), status.at("readyReplicas").int().unwrap_or(0));
    if available.int().is_some_and(|count| count > ready) {
        available.invalid(out, "cannot be greater than readyReplicas");
    }
}

/// What is wrong with a Deployment.
pub(crate) fn deployment(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| {
        let spec = object.at("spec");
        spec.at("replicas").nonnegative(out);
        selector_and_template(&spec, ("deployment", "ReplicaSet"), MALFORMED, out);
        strategy(&spec.at("strategy"), out);
        spec.at("minReadySeconds").nonnegative(out);
        spec.at("revisionHistoryLimit").nonnegative(out);
        let (deadline, ready) = (spec.at("progressDeadlineSeconds"), spec.at("minReadySeconds").int().unwrap_or(0));
        deadline.nonnegative(out);
        if deadline.int().is_some_and(|seconds| seconds <= ready) {
            deadline.invalid(out, "must be greater than minReadySeconds");
        }
    })
}

fn strategy(strategy: &Spot<'_>, out: &mut Problems) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "Recreate" => {
            if rolling.is_set() {
                rolling.forbidden(out, "may not be specified when strategy `type` is 'Recreate'");
            }
        }
        "RollingUpdate" if !rolling.is_set() => {
            rolling.required(out, "this should be defaulted and never be nil");
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
            formats::count_or_percent(&unavailable, out);
            formats::count_or_percent(&surge, out);
            if is_zero(&unavailable) && is_zero(&surge) {
                unavailable.invalid(out, "may not be 0 when `maxSurge` is 0");
            }
            formats::at_most_all(&unavailable, out);
        }
        _ => unsupported(strategy, &["maxUnavailable", "maxSurge"], &["Recreate", "RollingUpdate"], out),
    }
}

/// A strategy of an unknown type, all of which upstream shows, by the names of its own fields.
fn unsupported(strategy: &Spot<'_>, fields: &[&str], supported: &[&str], out: &mut Problems) {
    out.push(Problem::not_supported(strategy.path.clone(), internal_strategy(strategy, fields), supported));
}

fn internal_strategy(strategy: &Spot<'_>, fields: &[&str]) -> Value {
    let rolling = strategy.at("rollingUpdate");
    let names: Vec<String> =
        fields.iter().map(|field| format!("{}{}", field[..1].to_uppercase(), &field[1..])).collect();
    // What is no pointer there has a value; of these fields, only this one of stateful sets is.
    let is_pointer = |field: &str| field == "maxUnavailable" && fields.contains(&"partition");
    let values = fields.iter().map(|field| match rolling.at(field).value {
        None if !is_pointer(field) => Value::from(0),
        value => value.cloned().unwrap_or_default(),
    });
    let shown: Vec<(&str, Value)> = names.iter().map(String::as_str).zip(values).collect();
    let rolling = if rolling.is_set() { internal(&shown) } else { Value::Null };
    internal(&[("Type", strategy.at("type").or_empty().shown()), ("RollingUpdate", rolling)])
}

fn is_zero(count: &Spot<'_>) -> bool {
    let number = formats::percent(count).or_else(|| count.int()).or_else(|| count.text().parse().ok());
    number.unwrap_or(0) == 0
}

/// What is wrong with a changed Deployment.
pub(crate) fn deployment_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return over(new, replica_status);
    }
    let mut out = deployment(context, new);
    frozen(new, old, &["spec.selector"], &mut out);
    out
}

/// What is wrong with a DaemonSet.
pub(crate) fn daemon_set(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| {
        let spec = object.at("spec");
        let (wanted, own) = (spec.at("selector"), spec.at("template"));
        if selector(&wanted, "daemonset", out) {
            selected(&wanted, &own.at("metadata.labels"), out);
        }
        podspec::template(&own, out);
        permanent(&own, "DaemonSet", out);
        spec.at("minReadySeconds").nonnegative(out);
        let strategy = spec.at("updateStrategy");
        let rolling = strategy.at("rollingUpdate");
        match strategy.at("type").text() {
            "OnDelete" => {}
            "RollingUpdate" if !rolling.is_set() => rolling.required(out, ""),
            "RollingUpdate" => {
                let (unavailable, surge) = (rolling.at("maxUnavailable"), rolling.at("maxSurge"));
                formats::count_or_percent(&unavailable, out);
                formats::at_most_all(&unavailable, out);
                formats::count_or_percent(&surge, out);
                formats::at_most_all(&surge, out);
                match (is_zero(&unavailable), is_zero(&surge)) {
                    (true, true) => unavailable.required(out, "cannot be 0 when maxSurge is 0"),
                    (false, false) => surge.invalid(out, "may not be set when maxUnavailable is non-zero"),
                    _ => {}
                }
            }
            _ => unsupported(&strategy, &["maxUnavailable", "maxSurge"], &["RollingUpdate", "OnDelete"], out),
        }
        spec.at("revisionHistoryLimit").nonnegative(out);
    })
}

/// What is wrong with a changed DaemonSet.
pub(crate) fn daemon_set_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return over(new, |object, out| {
            for (_, count) in object.at("status").entries() {
                count.nonnegative(out);
            }
        });
    }
    let mut out = daemon_set(context, new);
    frozen(new, old, &["spec.selector"], &mut out);
    out
}

/// What is wrong with a StatefulSet.
pub(crate) fn stateful_set(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| {
        let spec = object.at("spec");
        let policy = spec.at("podManagementPolicy");
        match policy.text() {
            "" => policy.required(out, ""),
            "OrderedReady" | "Parallel" => {}
            _ => policy.invalid(out, "must be 'OrderedReady' or 'Parallel'"),
        }
        let strategy = spec.at("updateStrategy");
        let rolling = strategy.at("rollingUpdate");
        match strategy.at("type").text() {
            "" => strategy.required(out, ""),
            "OnDelete" if rolling.is_set() => {
                rolling.invalid(out, "only allowed for updateStrategy 'RollingUpdate'");
            }
            "OnDelete" => {}
            "RollingUpdate" => {
                rolling.at("partition").nonnegative(out);
                let unavailable = rolling.at("maxUnavailable");
                if unavailable.is_set() {
                    formats::count_or_percent(&unavailable, out);
                    if is_zero(&unavailable) {
                        unavailable.invalid(out, "cannot be 0");
                    }
                    formats::at_most_all(&unavailable, out);
                }
            }
            _ => {
                let shown = internal_strategy(&strategy, &["partition", "maxUnavailable"]);
                let detail = "must be 'RollingUpdate' or 'OnDelete'";
                out.push(Problem::invalid(strategy.path.clone(), shown, detail));
            }
        }
        for field in ["whenDeleted", "whenScaled"] {
            let policy = spec.at("persistentVolumeClaimRetentionPolicy").at(field);
            policy.or_empty().option(out, &["Retain", "Delete"]);
        }
        for claim in spec.at("volumeClaimTemplates").items() {
            volume::claim_spec(&claim.at("spec"), out);
        }
        spec.at("replicas").nonnegative(out);
        spec.at("minReadySeconds").nonnegative(out);
        spec.at("ordinals.start").nonnegative(out);
        if !spec.at("serviceName").text().is_empty() {
            spec.at("serviceName").label(out);
        }
        stateful_template(&spec, out);
    })
}

/// Mounts may be of claims that are made from templates; to the template itself they look like volumes.
fn stateful_template(spec: &Spot<'_>, out: &mut Problems) {
    let Some(object) = spec.value else { return };
    let mut spec_with_claims = object.clone();
    let mut claims = std::collections::BTreeSet::new();
    let mut volumes = Vec::new();
    for claim in object.list_at(&["volumeClaimTemplates"]) {
        let name = claim.str_at(&["metadata", "name"]).unwrap_or_default();
        if claims.insert(name) {
            let source = Value::from_pairs([("claimName", name)]);
            let pairs = [("name", Value::from(name)), ("persistentVolumeClaim", source)];
            volumes.push(Value::from_pairs(pairs));
        }
    }
    let own = object.list_at(&["template", "spec", "volumes"]).iter();
    volumes.extend(own.filter(|volume| !claims.contains(volume.str_at(&["name"]).unwrap_or_default())).cloned());
    if !volumes.is_empty() {
        spec_with_claims.set(&["template", "spec", "volumes"], volumes);
    }
    let spec = Spot { path: spec.path.clone(), value: Some(&spec_with_claims) };
    selector_and_template(&spec, ("statefulset", "StatefulSet"), "", out);
}

/// Fields of a StatefulSet that may change.
const CHANGEABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// What is wrong with a changed StatefulSet.
pub(crate) fn stateful_set_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return over(new, replica_status);
    }
    let mut out = stateful_set(context, new);
    let rest = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        CHANGEABLE.iter().for_each(|field| drop(spec.remove(&[field])));
        spec
    };
    if rest(new) != rest(old) {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                      'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                      'minReadySeconds' are forbidden";
        out.push(Problem::forbidden(Path::of("spec"), detail));
    }
    out
}

/// What is wrong with a ControllerRevision.
pub(crate) fn controller_revision(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| {
        match object.at("data").value {
            None => object.at("data").required(out, "data is mandatory"),
            Some(Value::Map(_) | Value::Raw(_)) => {}
            Some(_) => object.at("data").required(out, "data must be a valid JSON object"),
        }
        object.at("revision").nonnegative(out);
    })
}

/// What is wrong with a changed ControllerRevision.
pub(crate) fn controller_revision_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = controller_revision(context, new);
    frozen(new, old, &["data"], &mut out);
    out
}
