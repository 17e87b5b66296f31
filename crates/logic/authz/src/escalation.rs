//! Whether a user may hand out permissions.
//!
//! Nobody grants what they do not hold, unless they may `escalate` roles or `bind` the role in question. The registry
//! asks here before roles and bindings are written; what it refuses is a 403 with the returned text as its message.

use kind::User;
use typed::api::rbac::v1::{PolicyRule, RoleRef};

use crate::Attributes;
use crate::policy::{Policy, RulesOfUser};
use crate::rules::{self, ALL};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Says whether a user may do something, by all authorizers of the server.
pub type Judge<'a> = &'a dyn Fn(&User, &Attributes<'_>) -> bool;

/// Why a permission may not be handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Escalation {
    /// The user holds less: 403.
    #[error("{0}")]
    Forbidden(String),
    /// The binding's role does not exist: 404 for its resource and name.
    #[error("{resource}.rbac.authorization.k8s.io {name:?} not found")]
    RoleNotFound {
        /// `role` or `clusterrole`, as upstream's text and details have it.
        resource: &'static str,
        /// The role's name.
        name: String,
    },
}

/// What is about to be stored as a role.
#[derive(Debug, Clone, Copy)]
pub struct NewRole<'a> {
    /// Namespace; empty for cluster roles.
    pub namespace: &'a str,
    /// Name, as the request's path has it: empty for creations, so that rules for names do not allow them.
    pub name: &'a str,
    /// Rules.
    pub rules: &'a [PolicyRule],
    /// Whether it has an aggregation rule.
    pub aggregates: bool,
}

/// Whether `user` may store the role.
pub fn check_role(policy: &Policy, judge: Judge<'_>, user: &User, role: NewRole<'_>) -> Result<(), Escalation> {
    let resource = if role.namespace.is_empty() { "clusterroles" } else { "roles" };
    let attributes = Attributes { name: role.name, ..asked("escalate", role.namespace, resource) };
    if user.in_group(User::MASTERS) || judge(user, &attributes) {
        return Ok(());
    }
    let held = policy.rules_of(user, role.namespace);
    check_rules(&held, user, role.rules)?;
    if role.aggregates && !rules::missing(&held.rules, &everything()).is_empty() {
        let text = "must have cluster-admin privileges to use an aggregationRule";
        return Err(Escalation::Forbidden(text.to_owned()));
    }
    Ok(())
}

/// Whether `user` may bind `role` in `namespace` (empty: for the whole cluster).
pub fn check_binding(
    policy: &Policy,
    judge: Judge<'_>,
    user: &User,
    role: &RoleRef,
    namespace: &str,
) -> Result<(), Escalation> {
    let plural = if role.kind == "Role" { "roles" } else { "clusterroles" };
    let attributes = Attributes { name: &role.name, ..asked("bind", namespace, plural) };
    if user.in_group(User::MASTERS) || judge(user, &attributes) {
        return Ok(());
    }
    let Some(rules) = policy.rules_of_role(role, namespace) else {
        let resource = plural.strip_suffix('s').unwrap_or(plural);
        return Err(Escalation::RoleNotFound { resource, name: role.name.clone() });
    };
    check_rules(&policy.rules_of(user, namespace), user, rules)
}

fn check_rules(held: &RulesOfUser, user: &User, wanted: &[PolicyRule]) -> Result<(), Escalation> {
    let missing = rules::missing(&held.rules, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = rules::compact(&missing).iter().map(rules::describe).collect();
    lines.sort();
    lines.dedup();
    let mut text = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        rules::quoted(&user.groups),
        lines.join("\n")
    );
    if !held.problems.is_empty() {
        text.push_str(&format!("; resolution errors: [{}]", held.problems.join(", ")));
    }
    Err(Escalation::Forbidden(text))
}

fn asked<'a>(verb: &'a str, namespace: &'a str, resource: &'a str) -> Attributes<'a> {
    Attributes { verb, group: GROUP, version: "*", namespace, resource, ..Attributes::default() }
}

fn everything() -> [PolicyRule; 2] {
    let all = || Some(vec![ALL.to_owned()]);
    let verbs = || vec![ALL.to_owned()];
    [
        PolicyRule { api_groups: all(), resources: all(), verbs: verbs(), ..PolicyRule::default() },
        PolicyRule { non_resource_urls: all(), verbs: verbs(), ..PolicyRule::default() },
    ]
}
