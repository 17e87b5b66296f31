//! Nobody hands out permissions that they do not hold.

use ::authz::escalation::{Escalation, NewRole, check_binding, check_role};
use gate::Attributes;
use kind::{GroupKind, Operation, Refusal, User};
use object::Value;
use typed::Kind;
use typed::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef};

use crate::authz::Roles;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses roles and bindings that would give more than `user` has.
pub(super) fn check(roles: &Roles, user: &User, attributes: &Attributes<'_>, object: &Value) -> Result<(), Refusal> {
    let writes = matches!(attributes.operation, Operation::Create | Operation::Update);
    if attributes.resource.group != GROUP || !writes || user.in_group(User::MASTERS) || is_unchanged(attributes, object)
    {
        return Ok(());
    }
    let refusal = |escalation: Escalation| match escalation {
        Escalation::Forbidden(message) => Refusal::Forbidden {
            resource: attributes.resource.group_resource(),
            name: attributes.name.to_owned(),
            message,
        },
        Escalation::RoleNotFound { resource, name } => {
            Refusal::NotFound { resource: GroupKind { group: GROUP.into(), name: resource.into() }, name }
        }
    };
    let role = |name: &str, rules: Option<&[PolicyRule]>, aggregates: bool| {
        let role = NewRole { namespace: attributes.namespace, name, rules: rules.unwrap_or_default(), aggregates };
        roles.with(|policy, judge| check_role(policy, judge, user, role)).map_err(refusal)
    };
    let binding = |target: &RoleRef| {
        roles.with(|policy, judge| check_binding(policy, judge, user, target, attributes.namespace)).map_err(refusal)
    };
    let unreadable = |error: typed::Mismatch| Refusal::BadRequest(error.to_string());
    match attributes.resource.kind.as_str() {
        "Role" => {
            let object = Role::from_tree(object).map_err(unreadable)?;
            role(object.name(), object.rules.as_deref(), false)
        }
        "ClusterRole" => {
            let object = ClusterRole::from_tree(object).map_err(unreadable)?;
            role(object.name(), object.rules.as_deref(), object.aggregation_rule.is_some())
        }
        "RoleBinding" => binding(&RoleBinding::from_tree(object).map_err(unreadable)?.role_ref),
        "ClusterRoleBinding" => binding(&ClusterRoleBinding::from_tree(object).map_err(unreadable)?.role_ref),
        _ => Ok(()),
    }
}

/// An update that leaves the permissions as they are hands out nothing.
fn is_unchanged(attributes: &Attributes<'_>, object: &Value) -> bool {
    let Some(old) = attributes.old else { return false };
    ["rules", "aggregationRule", "roleRef", "subjects"].iter().all(|key| old.get(key) == object.get(key))
}
