//! Reads the table of defaults.
//!
//! The table is part of the program: a line that cannot be read is a mistake of ours, found by any test that touches it.

use std::collections::BTreeMap;

use typed::api::rbac::v1::{
    AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use typed::meta::{LabelSelector, ObjectMeta};

use super::{AUTOUPDATE, Bootstrap};

const GROUP: &str = "rbac.authorization.k8s.io";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

pub(super) fn parse(text: &str) -> Bootstrap {
    let mut defaults = Bootstrap::default();
    let mut last = "";
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(member) = line.strip_prefix("  ") {
            defaults.add_member(last, member);
        } else {
            let (kind, rest) = split(line, " ");
            defaults.add_object(kind, rest);
            last = kind;
        }
    }
    defaults
}

impl Bootstrap {
    fn add_object(&mut self, kind: &str, line: &str) {
        match kind {
            "clusterrole" => self.cluster_roles.push(cluster_role(line)),
            "role" => self.roles.push(Role { metadata: metadata(line), ..Role::default() }),
            "clusterbinding" => {
                let (name, role) = split(line, " > ");
                self.cluster_role_bindings.push(ClusterRoleBinding {
                    metadata: metadata(name),
                    role_ref: role_ref(role),
                    subjects: None,
                });
            }
            "binding" => {
                let (name, role) = split(line, " > ");
                self.role_bindings.push(RoleBinding {
                    metadata: metadata(name),
                    role_ref: role_ref(role),
                    subjects: None,
                });
            }
            other => unreadable(other),
        }
    }

    fn add_member(&mut self, kind: &str, line: &str) {
        let none = "the table names an object before its members";
        match kind {
            "clusterrole" => add(&mut self.cluster_roles.last_mut().expect(none).rules, rule(line)),
            "role" => add(&mut self.roles.last_mut().expect(none).rules, rule(line)),
            "clusterbinding" => {
                add(&mut self.cluster_role_bindings.last_mut().expect(none).subjects, subject(line));
            }
            _ => add(&mut self.role_bindings.last_mut().expect(none).subjects, subject(line)),
        }
    }
}

fn add<T>(list: &mut Option<Vec<T>>, item: T) {
    list.get_or_insert_default().push(item);
}

fn cluster_role(line: &str) -> ClusterRole {
    let mut words = line.split(' ');
    let mut role = ClusterRole { metadata: metadata(words.next().unwrap_or_default()), ..ClusterRole::default() };
    for word in words {
        let (sign, label) = word.split_at(1);
        let (key, value) = (format!("{GROUP}/aggregate-to-{label}"), "true".to_owned());
        if sign == "+" {
            role.metadata.labels.get_or_insert_default().insert(key, value);
        } else {
            let selector =
                LabelSelector { match_labels: Some(BTreeMap::from([(key, value)])), ..LabelSelector::default() };
            let rule = role.aggregation_rule.get_or_insert_with(AggregationRule::default);
            add(&mut rule.cluster_role_selectors, selector);
        }
    }
    role
}

fn metadata(name: &str) -> ObjectMeta {
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, name),
    };
    let pair = |key: &str, value: &str| Some(BTreeMap::from([(key.to_owned(), value.to_owned())]));
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace,
        annotations: pair(AUTOUPDATE, "true"),
        labels: pair("kubernetes.io/bootstrapping", "rbac-defaults"),
        ..ObjectMeta::default()
    }
}

fn role_ref(text: &str) -> RoleRef {
    let (kind, name) = split(text, " ");
    let kind = if kind == "clusterrole" { "ClusterRole" } else { "Role" };
    RoleRef { api_group: Some(GROUP.to_owned()), kind: kind.to_owned(), name: name.to_owned() }
}

fn subject(line: &str) -> Subject {
    let (kind, name) = split(line, " ");
    let of_group = |kind: &str| Subject {
        api_group: Some(GROUP.to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: None,
    };
    match kind {
        "user" => of_group("User"),
        "group" => of_group("Group"),
        _ => {
            let (namespace, name) = split(name, "/");
            Subject {
                api_group: None,
                kind: "ServiceAccount".to_owned(),
                name: name.to_owned(),
                namespace: Some(namespace.to_owned()),
            }
        }
    }
}

fn rule(line: &str) -> PolicyRule {
    let words = |text: &str| -> Vec<String> {
        text.split(' ').map(|word| if word == "core" { String::new() } else { word.to_owned() }).collect()
    };
    if let Some((named, paths)) = line.split_once(" @ ") {
        return PolicyRule { non_resource_urls: Some(words(paths)), verbs: verbs(named), ..PolicyRule::default() };
    }
    let mut parts = line.split(" : ");
    let mut part = || parts.next();
    let (named, groups, resources) = (part(), part(), part());
    PolicyRule {
        verbs: verbs(named.unwrap_or_default()),
        api_groups: groups.map(words),
        resources: resources.map(words),
        resource_names: part().map(words),
        ..PolicyRule::default()
    }
}

/// The verbs that a rule's words stand for, sorted.
fn verbs(named: &str) -> Vec<String> {
    let mut verbs: Vec<&str> = Vec::new();
    for word in named.split(' ') {
        match word {
            "all" => verbs.extend(READ.iter().chain(&WRITE)),
            "read" => verbs.extend(READ),
            "write" => verbs.extend(WRITE),
            verb => verbs.push(verb),
        }
    }
    verbs.sort_unstable();
    verbs.into_iter().map(str::to_owned).collect()
}

fn split<'a>(text: &'a str, at: &str) -> (&'a str, &'a str) {
    text.split_once(at).unwrap_or_else(|| unreadable(text))
}

fn unreadable(text: &str) -> ! {
    panic!("the table of default roles has a line that cannot be read: {text}")
}
