//! Aggregated ClusterRoles: a role with an aggregation rule has the rules of all roles that its selectors match.

use plan::{Action, Key, Plan, Selector, View, meta};
use typed::api::rbac::v1::{ClusterRole, PolicyRule};

/// Plans one ClusterRole.
#[must_use]
pub fn plan(key: &Key, roles: &dyn View<ClusterRole>) -> Plan {
    let mut plan = Plan::default();
    let Some(role) = roles.get("", &key.name) else { return plan };
    let Some(rule) = &role.aggregation_rule else { return plan };
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in rule.cluster_role_selectors.iter().flatten() {
        let selector = Selector::new(selector);
        // `all` is in name order, so the outcome does not depend on who came first.
        let members = roles.all().into_iter().filter(|member| selector.matches(member.metadata.labels.as_ref()));
        for member in members.filter(|member| meta::name(&member.metadata) != key.name) {
            for rule in member.rules.iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    if role.rules.clone().unwrap_or_default() != rules {
        let mut changed = role.as_ref().clone();
        changed.rules = Some(rules);
        plan.then_do(Action::update(changed));
    }
    plan
}
