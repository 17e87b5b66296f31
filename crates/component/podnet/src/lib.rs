//! The built-in pod network: a CNI plugin, the node's bridge, and the ways to other nodes.
//!
//! Pods hang on a bridge, each by a veth, but do not address each other on it: a pod has a single address (/32, /128) and reaches
//! everything, its neighbours too, through the node. So every packet between pods passes the node's connection
//! tracking in both directions, and Services between neighbours work with `br_netfilter` and without. Neighbour entries
//! are written, not asked for: nobody waits for ARP, and nobody can answer in the node's name.
//!
//! What is deliberately not here: Services (see `proxy`), and helper programs of any kind.
//!
//! Invariants
//! - An address is reserved on disk before it is configured and released after it is gone.
//! - Reservations of an earlier boot are void: a crashed machine leaks nothing.
//! - Deletion succeeds for what does not exist.

pub mod cni;
pub mod config;
pub mod fuzz;
mod hostports;
pub mod ipam;
pub mod keeper;
pub mod node;
pub mod peers;
mod rules;

/// Where the plugin keeps its reservations.
pub const DATA_DIR: &str = "/var/lib/cni/networks";
/// The name of the network, of its configuration and of the plugin's executable.
pub const PLUGIN: &str = "ferrokube-cni";
/// The plugin that runtimes call for each pod besides the network's own.
pub const LOOPBACK: &str = "loopback";
/// The bridge that pods hang on.
pub const BRIDGE: &str = "fk0";
