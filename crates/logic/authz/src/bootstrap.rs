//! The roles and bindings that every API server makes sure of when it starts.
//!
//! They stand in `table.txt` in a shape of our own. [`reconcile`] says what must be written so that a cluster has at
//! least these: permissions that somebody added stay, objects annotated `autoupdate=false` are left alone.

mod reconcile;
mod table;

use std::sync::LazyLock;

use typed::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};

pub use reconcile::{Reconcile, Step};

/// The annotation by which an object opts out of reconciliation.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// All default objects, each kind in the order in which it should be written.
#[derive(Debug, Default)]
pub struct Bootstrap {
    /// Cluster roles, those of controllers included.
    pub cluster_roles: Vec<ClusterRole>,
    /// Bindings for the whole cluster.
    pub cluster_role_bindings: Vec<ClusterRoleBinding>,
    /// Roles in `kube-system` and `kube-public`.
    pub roles: Vec<Role>,
    /// Bindings in `kube-system` and `kube-public`.
    pub role_bindings: Vec<RoleBinding>,
}

/// The defaults of v1.36.
pub fn bootstrap() -> &'static Bootstrap {
    static DEFAULTS: LazyLock<Bootstrap> = LazyLock::new(|| table::parse(include_str!("bootstrap/table.txt")));
    &DEFAULTS
}

/// What brings `existing` up to `expected`.
pub fn reconcile<K: Reconcile>(existing: Option<&K>, expected: &K) -> Step<K> {
    let Some(existing) = existing else { return Step::Create(expected.clone()) };
    let annotations = existing.meta().annotations.as_ref();
    if annotations.and_then(|annotations| annotations.get(AUTOUPDATE)).is_some_and(|value| value == "false") {
        return Step::Keep;
    }
    existing.towards(expected)
}
