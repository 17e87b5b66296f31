//! Rules against requests.

use std::path::Path;

use authz::{Attributes, Decision, Policy};
use kind::User;
use typed::Kind;
use typed::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

pub(crate) fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.to_owned(), groups: groups.iter().map(|group| (*group).to_owned()).collect(), ..User::default() }
}

/// `VERBS : GROUPS : RESOURCES [: NAMES]` or `VERBS @ PATHS`; `core` is the group without a name.
pub(crate) fn rule(text: &str) -> PolicyRule {
    let words = |text: &str| -> Vec<String> {
        text.split(' ').map(|word| if word == "core" { String::new() } else { word.to_owned() }).collect()
    };
    if let Some((verbs, paths)) = text.split_once(" @ ") {
        return PolicyRule { verbs: words(verbs), non_resource_urls: Some(words(paths)), ..PolicyRule::default() };
    }
    let parts: Vec<&str> = text.split(" : ").collect();
    PolicyRule {
        verbs: words(parts[0]),
        api_groups: Some(words(parts[1])),
        resources: Some(words(parts[2])),
        resource_names: parts.get(3).map(|names| words(names)),
        ..PolicyRule::default()
    }
}

fn role_ref(text: &str) -> RoleRef {
    let (kind, name) = text.split_once('/').expect("a kind and a name");
    RoleRef { api_group: Some("rbac.authorization.k8s.io".to_owned()), kind: kind.to_owned(), name: name.to_owned() }
}

fn subject(text: &str) -> Subject {
    let parts: Vec<&str> = text.split('/').collect();
    let namespace = (parts.len() == 3).then(|| parts[1].to_owned());
    Subject { kind: parts[0].to_owned(), name: parts[parts.len() - 1].to_owned(), namespace, api_group: None }
}

pub(crate) fn cluster_role(name: &str, rules: &[&str]) -> ClusterRole {
    let mut role = ClusterRole { rules: Some(rules.iter().map(|text| rule(text)).collect()), ..ClusterRole::default() };
    role.meta_mut().name = Some(name.to_owned());
    role
}

pub(crate) fn role(namespace: &str, name: &str, rules: &[&str]) -> Role {
    let mut role = Role { rules: Some(rules.iter().map(|text| rule(text)).collect()), ..Role::default() };
    role.meta_mut().name = Some(name.to_owned());
    role.meta_mut().namespace = Some(namespace.to_owned());
    role
}

pub(crate) fn cluster_role_binding(name: &str, role: &str, subjects: &[&str]) -> ClusterRoleBinding {
    let subjects = Some(subjects.iter().map(|text| subject(text)).collect());
    let mut binding = ClusterRoleBinding { role_ref: role_ref(role), subjects, ..ClusterRoleBinding::default() };
    binding.meta_mut().name = Some(name.to_owned());
    binding
}

pub(crate) fn role_binding(namespace: &str, name: &str, role: &str, subjects: &[&str]) -> RoleBinding {
    let subjects = Some(subjects.iter().map(|text| subject(text)).collect());
    let mut binding = RoleBinding { role_ref: role_ref(role), subjects, ..RoleBinding::default() };
    binding.meta_mut().name = Some(name.to_owned());
    binding.meta_mut().namespace = Some(namespace.to_owned());
    binding
}

/// Compares with the committed text; `UPDATE_EXPECT=1` rewrites it.
#[expect(clippy::disallowed_methods, reason = "the environment says whether to rewrite")]
pub(crate) fn expect(file: &Path, text: &str) {
    if std::env::var("UPDATE_EXPECT").is_ok() {
        std::fs::write(file, text).expect("the picture can be written");
    }
    let expected = std::fs::read_to_string(file).unwrap_or_default();
    assert!(expected == text, "{} differs from:\n{text}", file.display());
}

/// `VERB GROUP RESOURCE[/SUB] [NAMESPACE [NAME]]` with `core` and `-` for nothing, or `VERB PATH`.
pub(crate) fn request(text: &str) -> Attributes<'_> {
    let nothing = |word: &'static str| move |given: &&str| *given != word;
    let mut words = text.split(' ');
    let (verb, second) = (words.next().expect("a verb"), words.next().expect("a group or a path"));
    if second.starts_with('/') {
        return Attributes { verb, path: second, ..Attributes::default() };
    }
    let resource = words.next().expect("a resource");
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let group = Some(second).filter(nothing("core")).unwrap_or_default();
    let namespace = words.next().filter(nothing("-")).unwrap_or_default();
    let name = words.next().unwrap_or_default();
    Attributes { verb, group, resource, subresource, namespace, name, ..Attributes::default() }
}

#[test]
fn rules_match_requests() {
    for (rule_text, asked, expected) in [
        ("get : core : pods", "get core pods a", true),
        ("get : core : pods", "list core pods a", false),
        ("get : core : pods", "get apps pods a", false),
        ("get : core : pods", "get core pods/log a", false),
        ("get : core : pods/log", "get core pods/log a", true),
        ("get : core : pods/log", "get core pods a", false),
        ("get : core : */log", "get core pods/log a", true),
        ("get : core : */log", "get core pods/exec a", false),
        ("get : core : */log", "get core pods a", false),
        ("get : core : *", "get core pods/log a", true),
        ("* : * : *", "deletecollection apps deployments a", true),
        ("* : * : *", "get /healthz", false),
        ("get : core : secrets : one two", "get core secrets a two", true),
        ("get : core : secrets : one two", "get core secrets a three", false),
        ("list : core : secrets : one", "list core secrets a", false),
        ("get @ /healthz", "get /healthz", true),
        ("get @ /healthz", "get /healthz/etcd", false),
        ("get @ /healthz/*", "get /healthz/etcd", true),
        ("get @ /healthz*", "get /healthz", true),
        ("get @ *", "get /metrics", true),
        ("get @ *", "post /metrics", false),
        ("get @ *", "get core pods", false),
    ] {
        let mut policy = Policy::new();
        policy.upsert_cluster_role(&cluster_role("r", &[rule_text]));
        policy.upsert_cluster_role_binding(&cluster_role_binding("b", "ClusterRole/r", &["User/ann"]));
        let allowed = policy.allows(&user("ann", &[]), &request(asked));
        assert_eq!(allowed, expected, "rule {rule_text:?}, request {asked:?}");
    }
}

fn sample() -> Policy {
    let mut policy = Policy::new();
    policy.upsert_cluster_role(&cluster_role("reader", &["get : core : pods"]));
    policy.upsert_role(&role("a", "writer", &["create : core : pods"]));
    policy.upsert_role_binding(&role_binding("a", "local", "Role/writer", &["ServiceAccount/robot", "Group/dev"]));
    policy.upsert_role_binding(&role_binding("b", "wide", "ClusterRole/reader", &["ServiceAccount/a/robot"]));
    policy.upsert_cluster_role_binding(&cluster_role_binding("all", "ClusterRole/reader", &["User/ann", "Group/ops"]));
    policy.upsert_cluster_role_binding(&cluster_role_binding("lost", "ClusterRole/gone", &["User/eve"]));
    policy.upsert_role_binding(&role_binding("a", "lost", "Role/gone", &["User/eve"]));
    policy
}

#[test]
fn decisions_have_reasons() {
    let allowed = |text: &str| Decision::Allow(format!("RBAC: allowed by {text}"));
    let unknown = |text: &str| Decision::NoOpinion(text.to_owned());
    let robot = user("system:serviceaccount:a:robot", &["system:serviceaccounts"]);
    for (who, asked, expected) in [
        (
            user("ann", &[]),
            "get core pods z",
            allowed(r#"ClusterRoleBinding "all" of ClusterRole "reader" to User "ann""#),
        ),
        (
            user("x", &["ops"]),
            "get core pods z",
            allowed(r#"ClusterRoleBinding "all" of ClusterRole "reader" to Group "ops""#),
        ),
        (
            user("x", &["dev"]),
            "create core pods a",
            allowed(r#"RoleBinding "local/a" of Role "writer" to Group "dev""#),
        ),
        (user("x", &["dev"]), "create core pods b", unknown("")),
        (
            robot.clone(),
            "create core pods a",
            allowed(r#"RoleBinding "local/a" of Role "writer" to ServiceAccount "robot/a""#),
        ),
        (
            robot.clone(),
            "get core pods b",
            allowed(r#"RoleBinding "wide/b" of ClusterRole "reader" to ServiceAccount "robot/a""#),
        ),
        (robot, "get core pods a", unknown("")),
        (
            user("eve", &[]),
            "get core pods z",
            unknown(r#"RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found"#),
        ),
        (
            user("eve", &[]),
            "get core pods a",
            unknown(
                r#"RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found, role.rbac.authorization.k8s.io "gone" not found]"#,
            ),
        ),
    ] {
        assert_eq!(sample().decide(&who, &request(asked)), expected, "{who:?} {asked}");
    }
}

#[test]
fn changes_take_effect() {
    let mut policy = sample();
    let ann = user("ann", &[]);
    let asked = request("get core pods a");
    assert!(policy.allows(&ann, &asked));
    let before = policy.generation();
    policy.upsert_cluster_role_binding(&cluster_role_binding("all", "ClusterRole/reader", &["User/bob"]));
    assert!(!policy.allows(&ann, &asked), "a subject that is gone keeps nothing");
    assert!(policy.allows(&user("bob", &[]), &asked));
    policy.remove_cluster_role("reader");
    assert!(!policy.allows(&user("bob", &[]), &asked), "a role that is gone grants nothing");
    policy.upsert_cluster_role(&cluster_role("reader", &["get : core : pods"]));
    assert!(policy.allows(&user("bob", &[]), &asked));
    policy.remove_cluster_role_binding("all");
    assert!(!policy.allows(&user("bob", &[]), &asked));
    assert!(policy.generation() > before);
}

#[test]
fn rules_of_a_user() {
    let rules = sample().rules_of(&user("eve", &["ops", "dev"]), "a");
    assert_eq!(rules.rules, [rule("get : core : pods"), rule("create : core : pods")]);
    assert_eq!(rules.problems.len(), 2);
}
