//! The kinds of the group `rbac.authorization.k8s.io`.

use object::Value;

use crate::promises::Promises;
use crate::tree::{blank, default_text, each, text, within};

const GROUP: &str = "rbac.authorization.k8s.io";

/// A Role. Names of RBAC objects are path segments: nearly anything.
pub(crate) const ROLE: Promises = Promises {
    name: object::names::path_segment,
    check_create: crate::check::rbac::role,
    check_update: |context, new, _| crate::check::rbac::role(context, new),
    columns: crate::print::core::CREATED_AT,
    cells: crate::print::core::created_at,
    ..Promises::DATA.created_on_update()
};

/// A ClusterRole.
pub(crate) const CLUSTER_ROLE: Promises = Promises {
    check_create: crate::check::rbac::cluster_role,
    check_update: |context, new, _| crate::check::rbac::cluster_role(context, new),
    ..ROLE
};

/// A RoleBinding.
pub(crate) const ROLE_BINDING: Promises = Promises {
    name: object::names::path_segment,
    default: default_binding,
    check_create: crate::check::rbac::role_binding,
    check_update: crate::check::rbac::binding_update,
    columns: crate::print::policy::BINDING,
    cells: crate::print::policy::binding,
    ..Promises::DATA.created_on_update()
};

/// A ClusterRoleBinding.
pub(crate) const CLUSTER_ROLE_BINDING: Promises = Promises {
    check_create: crate::check::rbac::cluster_role_binding,
    check_update: crate::check::rbac::cluster_binding_update,
    ..ROLE_BINDING
};

fn default_binding(binding: &mut Value) {
    within(binding, "roleRef", |role| default_text(role, "apiGroup", GROUP));
    each(binding, "subjects", |subject| {
        if blank(subject.get("apiGroup")) && matches!(text(subject, &["kind"]), "User" | "Group") {
            default_text(subject, "apiGroup", GROUP);
        }
    });
}
