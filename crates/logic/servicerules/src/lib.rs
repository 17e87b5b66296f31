//! Services and EndpointSlices as an nftables ruleset: what the packet filter of one node should hold, and the
//! smallest change that gets it there.
//!
//! # The shape of the ruleset
//!
//! Two tables, `ip` and `ip6`, of the same shape. A packet's first steps are two hash lookups whatever the number of
//! Services: `services` (destination, protocol, port → which balancing chain) and `endpoints` (Service port, random
//! index → endpoint). **No chain belongs to a Service or an endpoint.** A balancing chain belongs to a number of
//! endpoints, because the random generator's bound is a constant of its rule: all Services with three endpoints share
//! one (`Balance`). Adding a Service is three or four map elements, and loading ten thousand is one
//! transaction of flat elements: a chain per endpoint costs seconds there, since the kernel checks all chains for
//! loops at each commit.
//!
//! - Fronts other than the cluster IP (load balancer and external addresses, node ports) are *aliases*: one more
//!   lookup gives the cluster IP's key, so that each endpoint stands in the map once.
//! - The endpoints that `Local` policies may use are a second list under the same key, from index 2³¹.
//! - Endpoints keep their index while they live: one that goes is replaced by the last, so a change among a thousand
//!   endpoints is two or three elements.
//! - Session affinity is one dynamic map for all Services (client, Service port → endpoint) and a set of what is still
//!   an endpoint, so that stale memories are ignored rather than hunted.
//!
//! # What is deliberately not here
//!
//! The kernel (see `netlink`), headless and `ExternalName` Services (see `dns`), and NetworkPolicies.
//!
//! # Invariants
//!
//! - [`Model::plan`] returns nothing when nothing changed; a plan applied leaves nothing to plan.
//! - The order in which Services and slices arrive does not change what traffic gets; two Services that want the same
//!   external address and port: the first keeps it.

mod balance;
mod diff;
mod facts;
mod layout;
mod model;
mod render;
mod service;
mod slice;

#[cfg(test)]
mod tests;

pub use facts::{Facts, NodePortAddresses, NotARange, Range};
pub use model::{HealthCheck, Model, Plan, StaleUdp};
pub use service::ServiceName;

use nftables::{Family, Table};

/// The table of IPv4 Services.
pub const TABLE4: Table = Table::new(Family::Ip4, "ferrokube-services");
/// The table of IPv6 Services.
pub const TABLE6: Table = Table::new(Family::Ip6, "ferrokube-services");
