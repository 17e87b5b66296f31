//! Roles and bindings.

use kind::{Context, Problem};
use object::{Value, names};

use super::spot::{Problems, Spot};
use super::{formats, frozen, over};

const GROUP: &str = "rbac.authorization.k8s.io";

/// What is wrong with a Role.
pub(crate) fn role(_context: &Context<'_>, role: &Value) -> Vec<Problem> {
    over(role, |role, out| {
        for rule in role.at("rules").items() {
            check_rule(&rule, true, out);
        }
    })
}

/// What is wrong with a ClusterRole.
pub(crate) fn cluster_role(_context: &Context<'_>, role: &Value) -> Vec<Problem> {
    over(role, |role, out| {
        for rule in role.at("rules").items() {
            check_rule(&rule, false, out);
        }
        let aggregation = role.at("aggregationRule");
        if aggregation.is_set() {
            let selectors = aggregation.at("clusterRoleSelectors");
            if selectors.is_empty() {
                let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
                selectors.required(out, detail);
            }
            for selector in selectors.items() {
                let before = out.len();
                formats::label_selector(&selector, out);
                if out.len() > before {
                    out.push(Problem::invalid(selector.path, Value::Null, "invalid label selector."));
                }
            }
        }
    })
}

fn check_rule(rule: &Spot<'_>, namespaced: bool, out: &mut Problems) {
    if rule.at("verbs").is_empty() {
        rule.at("verbs").required(out, "verbs must contain at least one value");
    }
    let urls = rule.at("nonResourceURLs");
    if !urls.is_empty() {
        if namespaced {
            urls.invalid(out, "namespaced rules cannot apply to non-resource URLs");
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| !rule.at(field).is_empty()) {
            urls.invalid(out, "rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    if rule.at("apiGroups").is_empty() {
        rule.at("apiGroups").required(out, "resource rules must supply at least one api group");
    }
    if rule.at("resources").is_empty() {
        rule.at("resources").required(out, "resource rules must supply at least one resource");
    }
}

/// What is wrong with a RoleBinding.
pub(crate) fn role_binding(_context: &Context<'_>, binding: &Value) -> Vec<Problem> {
    over(binding, |binding, out| check_binding(binding, &["Role", "ClusterRole"], out))
}

/// What is wrong with a ClusterRoleBinding.
pub(crate) fn cluster_role_binding(_context: &Context<'_>, binding: &Value) -> Vec<Problem> {
    over(binding, |binding, out| check_binding(binding, &["ClusterRole"], out))
}

fn check_binding(binding: &Spot<'_>, kinds: &[&str], out: &mut Problems) {
    let role = binding.at("roleRef");
    role.at("apiGroup").or_empty().option(out, &[GROUP]);
    role.at("kind").or_empty().option(out, kinds);
    let name = role.at("name");
    if name.need(out) {
        name.complain(out, names::path_segment(name.text()));
    }
    let cluster = kinds.len() == 1;
    for subject in binding.at("subjects").items() {
        check_subject(&subject, cluster, out);
    }
}

fn check_subject(subject: &Spot<'_>, cluster: bool, out: &mut Problems) {
    let (name, group, namespace) = (subject.at("name"), subject.at("apiGroup"), subject.at("namespace"));
    name.need(out);
    match subject.at("kind").text() {
        "ServiceAccount" => {
            if !name.is_empty() {
                name.subdomain(out);
            }
            if !group.text().is_empty() {
                group.option(out, &[""]);
            }
            if namespace.is_empty() && cluster {
                namespace.required(out, "");
            }
        }
        "User" | "Group" => group.or_empty().option(out, &[GROUP]),
        _ => subject.at("kind").or_empty().option(out, &["ServiceAccount", "User", "Group"]),
    }
}

/// What is wrong with a changed RoleBinding.
pub(crate) fn binding_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = role_binding(context, new);
    out.extend(role_change(new, old));
    out
}

/// What is wrong with a changed ClusterRoleBinding.
pub(crate) fn cluster_binding_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = cluster_role_binding(context, new);
    out.extend(role_change(new, old));
    out
}

fn role_change(new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    frozen(new, old, &["roleRef"], &mut out);
    for problem in &mut out {
        "cannot change roleRef".clone_into(&mut problem.detail);
    }
    out
}
