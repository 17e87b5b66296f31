//! PodSecurity: pods keep to the standard that their namespace's labels ask for.
//!
//! Rules: KEP-2579, `k8s.io/pod-security-admission`. The checks stand in [`checks`], each with the level it belongs to,
//! the versions since which it looks as it does, and the check it replaces at the stricter level.

mod checks;
mod standard;

use kind::{Operation, Problem, Refusal};
use object::Meta;
use object::{Path, Value};

use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;
use standard::{Level, LevelVersion, Policy};

/// Subresources of pods through which no spec changes.
const HARMLESS: [&str; 8] = ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];
/// Kinds that make pods from a template, and where it stands.
const TEMPLATES: [(&str, &str, &[&str]); 8] = [
    ("", "replicationcontrollers", &["spec", "template"]),
    ("", "podtemplates", &["template"]),
    ("apps", "replicasets", &["spec", "template"]),
    ("apps", "deployments", &["spec", "template"]),
    ("apps", "statefulsets", &["spec", "template"]),
    ("apps", "daemonsets", &["spec", "template"]),
    ("batch", "jobs", &["spec", "template"]),
    ("batch", "cronjobs", &["spec", "jobTemplate", "spec", "template"]),
];
/// How many pods are looked at when a namespace becomes stricter.
const PODS_CHECKED_MAX: usize = 3000;

pub(super) fn validate(
    request: &Request<'_>,
    facts: &dyn Facts,
    object: &Value,
    notes: &mut Notes,
) -> Result<(), Refusal> {
    if request.is("", "pods") {
        return pod(request, facts, object, notes);
    }
    if !request.subresource.is_empty() {
        return Ok(());
    }
    if request.is("", "namespaces") {
        return namespace(request, facts, object, notes);
    }
    let template = TEMPLATES.iter().find(|(group, plural, _)| request.is(group, plural));
    let template = template.and_then(|(_, _, path)| object.at(path)).filter(|template| !template.is_null());
    if let Some((template, labels)) = template.zip(facts.get(Fact::Namespace, "", request.namespace)) {
        let (policy, problems) = standard::policy_of(&labels);
        note_failure(&problems, notes);
        observe(policy, template, notes);
    }
    Ok(())
}

fn pod(request: &Request<'_>, facts: &dyn Facts, pod: &Value, notes: &mut Notes) -> Result<(), Refusal> {
    if HARMLESS.contains(&request.subresource) {
        return Ok(());
    }
    let Some(labels) = facts.get(Fact::Namespace, "", request.namespace) else {
        return Err(Refusal::Internal(format!("failed to lookup namespace {:?}", request.namespace)));
    };
    let (policy, problems) = standard::policy_of(&labels);
    let relaxed = problems.is_empty() && policy.is_privileged();
    let unchanged = request.old.is_some_and(|old| request.operation == Operation::Update && !is_significant(pod, old));
    if relaxed || unchanged {
        return Ok(());
    }
    note_failure(&problems, notes);
    notes.audit.push((format!("{}enforce-policy", standard::PREFIX), policy.enforce.to_string()));
    let findings = checks::findings(policy.enforce, pod);
    if !findings.is_empty() {
        let text = format!("violates PodSecurity \"{}\": {}", policy.enforce, checks::details(&findings));
        return Err(request.forbidden(Some(pod), text));
    }
    observe(policy, pod, notes);
    Ok(())
}

fn note_failure(problems: &[Problem], notes: &mut Notes) {
    if !problems.is_empty() {
        let texts: Vec<String> = problems.iter().map(Problem::to_string).collect();
        let text = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
        notes.audit.push(("pod-security.kubernetes.io/error".to_owned(), format!("Failed to parse policy: {text}")));
    }
}

/// What would be refused at the levels of audit and warnings.
fn observe(policy: Policy, pod: &Value, notes: &mut Notes) {
    let would = |level: LevelVersion| {
        let findings = checks::findings(level, pod);
        (!findings.is_empty()).then(|| format!("would violate PodSecurity \"{level}\": {}", checks::details(&findings)))
    };
    if let Some(text) = would(policy.audit) {
        notes.audit.push((format!("{}audit-violations", standard::PREFIX), text));
    }
    notes.warnings.extend(would(policy.warn));
}

/// Whether an update touches what the checks look at: images, and containers that come or go.
fn is_significant(pod: &Value, old: &Value) -> bool {
    let containers = |pod: &Value, field: &str| -> Vec<(String, String)> {
        let of = |one: &Value| (tree::text(one, &["name"]).to_owned(), tree::text(one, &["image"]).to_owned());
        pod.list_at(&["spec", field]).iter().map(of).collect()
    };
    let images = |list: &[(String, String)]| -> Vec<String> { list.iter().map(|(_, image)| image.clone()).collect() };
    let differs = |field: &str| images(&containers(pod, field)) != images(&containers(old, field));
    let known = containers(old, "ephemeralContainers");
    differs("containers")
        || differs("initContainers")
        || containers(pod, "ephemeralContainers").iter().any(|container| !known.contains(container))
}

fn namespace(request: &Request<'_>, facts: &dyn Facts, object: &Value, notes: &mut Notes) -> Result<(), Refusal> {
    let (policy, problems) = standard::policy_of(object);
    let invalid = |problems: Vec<Problem>| {
        let name = Meta::of(object).name().to_owned();
        Err(Refusal::Invalid { kind: request.resource.group_kind(), name, problems })
    };
    let Some(old) = request.old.filter(|_| request.operation == Operation::Update) else {
        return if problems.is_empty() { Ok(()) } else { invalid(problems) };
    };
    let (held, held_problems) = standard::policy_of(old);
    if !problems.is_empty() && problems != held_problems {
        return invalid(problems);
    }
    let (new, old) = (policy.enforce, held.enforce);
    let relaxed = new.version == old.version && new.level <= old.level;
    if new != old && new.level != Level::Privileged && !relaxed {
        notes.warnings.extend(pods_in_violation(facts, Meta::of(object).name(), new));
    }
    Ok(())
}

/// What running pods would be refused for at the new level: they stay, but somebody should know.
fn pods_in_violation(facts: &dyn Facts, namespace: &str, level: LevelVersion) -> Vec<String> {
    let pods = facts.list(Fact::Pod, namespace);
    let mut by_reason: std::collections::BTreeMap<String, (String, usize)> = std::collections::BTreeMap::new();
    for pod in pods.iter().take(PODS_CHECKED_MAX) {
        let findings = checks::findings(level, pod);
        if !findings.is_empty() {
            let name = Meta::of(pod).name();
            let entry = by_reason.entry(checks::reasons(&findings)).or_insert_with(|| (name.to_owned(), 0));
            entry.1 += 1;
            if name < entry.0.as_str() {
                name.clone_into(&mut entry.0);
            }
        }
    }
    let mut warnings = Vec::new();
    if pods.len() > PODS_CHECKED_MAX {
        let (checked, all) = (PODS_CHECKED_MAX, pods.len());
        let text =
            format!("new PodSecurity enforce level only checked against the first {checked} of {all} existing pods");
        warnings.push(text);
    }
    if !by_reason.is_empty() {
        let text =
            format!("existing pods in namespace {namespace:?} violate the new PodSecurity enforce level \"{level}\"");
        warnings.push(text);
    }
    let mut lines: Vec<String> = by_reason
        .into_iter()
        .map(|(reasons, (pod, count))| match count {
            1 => format!("{pod}: {reasons}"),
            2 => format!("{pod} (and 1 other pod): {reasons}"),
            more => format!("{pod} (and {} other pods): {reasons}", more - 1),
        })
        .collect();
    lines.sort();
    warnings.append(&mut lines);
    warnings
}

/// `metadata.labels[KEY]`.
fn label_path(key: &str) -> Path {
    Path::of("metadata.labels").key(key)
}
