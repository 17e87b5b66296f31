//! Who may do what: role-based access control, the policy a cluster starts with, and the node authorizer.
//!
//! [`Policy`] holds roles and bindings, indexed so that a question costs a few look-ups; [`NodeGraph`] holds who may
//! read what because a pod runs on a node. [`decide`] asks them in upstream's order. [`escalation`] answers whether a
//! user may hand out permissions, [`aggregation`] sums up cluster roles, and [`bootstrap`] is the policy every API
//! server makes sure of.
//!
//! Not here: authentication, webhooks, attribute files, and any reading or writing of objects: the component feeds the
//! two structures from its caches and carries out what reconciliation returns.
//!
//! Invariants
//! - Nothing is allowed that no rule allows: an absent role or binding never widens access.
//! - Feeding the same objects in any order gives the same decisions and the same texts.
//!
//! Rules: `k8s.io/kubernetes/plugin/pkg/auth/authorizer/{rbac,node}`, `pkg/registry/rbac/validation`.

pub mod aggregation;
mod attributes;
pub mod bootstrap;
pub mod escalation;
mod node;
mod policy;
pub mod rules;

pub use attributes::{Attributes, Decision};
pub use node::{NodeGraph, node_of};
pub use policy::{Policy, RulesOfUser};

use kind::User;

/// The decision on `attributes` by `user`: members of `system:masters` may do everything, then the node authorizer
/// and role bindings are asked. The reasons of those who have no opinion are joined.
pub fn decide(policy: &Policy, nodes: &NodeGraph, user: &User, attributes: &Attributes<'_>) -> Decision {
    if user.in_group(User::MASTERS) {
        return Decision::Allow(String::new());
    }
    let unknown = match nodes.decide(user, attributes) {
        Decision::NoOpinion(reason) => reason,
        decision => return decision,
    };
    match policy.decide(user, attributes) {
        Decision::NoOpinion(reason) if unknown.is_empty() => Decision::NoOpinion(reason),
        Decision::NoOpinion(reason) if reason.is_empty() => Decision::NoOpinion(unknown),
        Decision::NoOpinion(reason) => Decision::NoOpinion(format!("{unknown}\n{reason}")),
        decision => decision,
    }
}

/// What `user` may do in `namespace` (empty: cluster-wide only), as far as rules can say it.
///
/// The list is not whole where `problems` is not empty: what nodes may do depends on their pods.
pub fn rules_of(policy: &Policy, user: &User, namespace: &str) -> RulesOfUser {
    let mut found = policy.rules_of(user, namespace);
    if node_of(user).is_some() {
        found.problems.insert(0, "node authorizer does not support user rule resolution".to_owned());
    }
    found
}
