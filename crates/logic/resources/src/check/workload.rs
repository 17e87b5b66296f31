//! The kinds that run pods: replication controllers, the group `apps`, pod templates.

use kind::{Context, Problem};
use object::{Path, Value};

use super::spot::{Problems, Spot};
use super::{formats, frozen, over, podspec, volume};

/// What is wrong with a PodTemplate.
pub(crate) fn pod_template(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| podspec::template(&object.at("template"), out))
}

/// The template must have the labels by which its owner selects, and its pods must stay.
fn template(spec: &Spot<'_>, owner: &str, out: &mut Problems) {
    let (template, selector) = (spec.at("template"), spec.at("selector"));
    let labels = template.at("metadata.labels").moved(template.path.field("metadata.labels"));
    if !selector.is_empty() && !formats::selects(&selector, &labels) {
        labels.invalid(out, "`selector` does not match template `labels`");
    }
    podspec::template(&template, out);
    permanent(&template, owner, out);
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

/// A selector that is there and selects something in particular.
fn selector(spec: &Spot<'_>, kind: &str, out: &mut Problems) {
    let selector = spec.at("selector");
    if !selector.is_set() {
        selector.required(out, "");
        return;
    }
    formats::label_selector(&selector, out);
    if selector.at("matchLabels").is_empty() && selector.at("matchExpressions").is_empty() {
        selector.invalid(out, format!("empty selector is invalid for {kind}"));
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
        selector(&spec, "deployment", out);
        template(&spec, "ReplicaSet", out);
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
        selector(&spec, "deployment", out);
        template(&spec, "ReplicaSet", out);
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
        "Recreate" if rolling.is_set() => {
            rolling.forbidden(out, "may not be specified when strategy `type` is 'Recreate'");
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
        _ => {
            let kind = strategy.at("type").or_empty();
            kind.option(out, &["Recreate", "RollingUpdate"]);
        }
    }
}

fn is_zero(count: &Spot<'_>) -> bool {
    formats::percent(count).or_else(|| count.int()).unwrap_or(0) == 0
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
        selector(&spec, "daemonset", out);
        template(&spec, "DaemonSet", out);
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
                    (true, true) => unavailable.invalid(out, "cannot be 0 when maxSurge is 0"),
                    (false, false) => surge.invalid(out, "may not be set when maxUnavailable is non-zero"),
                    _ => {}
                }
            }
            _ => strategy.at("type").or_empty().option(out, &["RollingUpdate", "OnDelete"]),
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
            _ => strategy.invalid(out, "must be 'RollingUpdate' or 'OnDelete'"),
        }
        for field in ["whenDeleted", "whenScaled"] {
            let policy = spec.at("persistentVolumeClaimRetentionPolicy").at(field);
            policy.or_empty().option(out, &["Retain", "Delete"]);
        }
        spec.at("replicas").nonnegative(out);
        spec.at("minReadySeconds").nonnegative(out);
        spec.at("revisionHistoryLimit").nonnegative(out);
        spec.at("ordinals.start").nonnegative(out);
        stateful_selector(&spec, out);
        stateful_template(&spec, out);
        for claim in spec.at("volumeClaimTemplates").items() {
            volume::claim_spec(&claim.at("spec"), out);
        }
    })
}

fn stateful_selector(spec: &Spot<'_>, out: &mut Problems) {
    let selector = spec.at("selector");
    if !selector.is_set() {
        selector.required(out, "");
        return;
    }
    formats::label_selector(&selector, out);
    if selector.at("matchLabels").is_empty() && selector.at("matchExpressions").is_empty() {
        selector.invalid(out, "empty selector is invalid for statefulset");
    }
}

/// Mounts may be of claims that are made from templates; to the template itself they look like volumes.
fn stateful_template(spec: &Spot<'_>, out: &mut Problems) {
    let Some(object) = spec.value else { return };
    let mut spec_with_claims = object.clone();
    let mut volumes = object.list_at(&["template", "spec", "volumes"]).to_vec();
    let known: Vec<String> = volumes.iter().filter_map(|volume| volume.str_at(&["name"]).map(str::to_owned)).collect();
    for claim in object.list_at(&["volumeClaimTemplates"]) {
        let name = claim.str_at(&["metadata", "name"]).unwrap_or_default();
        if !known.iter().any(|known| known == name) {
            let source = Value::from_pairs([("claimName", name)]);
            let pairs = [("name", Value::from(name)), ("persistentVolumeClaim", source)];
            volumes.push(Value::from_pairs(pairs));
        }
    }
    if !volumes.is_empty() {
        spec_with_claims.set(&["template", "spec", "volumes"], volumes);
    }
    template(&Spot { path: spec.path.clone(), value: Some(&spec_with_claims) }, "StatefulSet", out);
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
        if !object.at("data").is_set() {
            object.at("data").required(out, "data is mandatory");
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
