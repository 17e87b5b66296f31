//! Who may do what: role-based access control, and the policy a cluster starts with.
//!
//! [`Policy`] holds roles and bindings, indexed so that a question costs a few look-ups. [`escalation`] answers whether
//! a user may hand out permissions, [`aggregation`] sums up cluster roles, and [`bootstrap`] is the policy every API
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
mod policy;
pub mod rules;

pub use attributes::{Attributes, Decision};
pub use policy::{Policy, RulesOfUser};
