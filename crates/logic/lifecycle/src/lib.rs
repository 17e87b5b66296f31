//! Controllers about the life of things: how namespaces, nodes, pods, tokens, certificates and owned objects come and go.
//!
//! | file | planner |
//! |---|---|
//! | `namespace.rs` | empties a namespace that is being deleted, in order, and says what remains |
//! | `nursery.rs` | what every namespace gets: ServiceAccount `default`, ConfigMap `kube-root-ca.crt` |
//! | `gc.rs` | the graph of owners and dependents |
//! | `pod_gc.rs` | pods that nobody will ever look after again |
//! | `node_health.rs` | silent nodes: conditions, taints, zones |
//! | `taint_eviction.rs` | pods that do not tolerate their node's taints |
//! | `node_ipam.rs` | pod address ranges for nodes |
//! | `tokens.rs` | bootstrap tokens: expiry, signatures of `cluster-info` |
//! | `disruption.rs` | PodDisruptionBudget status |
//! | `quota.rs` | ResourceQuota status |
//! | `certificates.rs` | certificate signing requests: who is approved, who may sign, what is old |
//! | `roles.rs` | aggregated ClusterRoles |
//! | `protection.rs` | volumes in use are not deleted |
//! | `ephemeral.rs` | claims of generic ephemeral volumes |
//! | `freshness.rs` | how long kubelets may trust what they have fetched, by cluster size |
//!
//! Invariants
//! - What a cache does not show is never taken for gone: deletions because of an absence carry a [`plan::Guard::Gone`].
//! - No planner keeps a clock of its own: rates and grace periods are measured on times written in API objects, or on
//!   observations handed in by the driver.

pub mod certificates;
pub mod disruption;
pub mod ephemeral;
pub mod freshness;
pub mod gc;
pub mod namespace;
pub mod node_health;
pub mod node_ipam;
pub mod nursery;
pub mod pod_gc;
pub mod protection;
pub mod quota;
pub mod roles;
pub mod taint_eviction;
pub mod tokens;
