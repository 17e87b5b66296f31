//! Services to endpoints, as pure planners: EndpointSlices, legacy Endpoints, and slices mirrored from hand-made Endpoints.
//!
//! | file | noun |
//! |---|---|
//! | `backend.rs` | what a pod is to a Service: addresses, conditions, ports |
//! | `packing.rs` | how endpoints are spread over slices with few writes |
//! | `slices.rs`, `legacy.rs`, `mirror.rs` | the three planners |
//!
//! It deliberately does not implement zone hints by CPU share (`service.kubernetes.io/topology-mode: Auto`): such Services get
//! slices without hints, which every proxy treats as "all endpoints".
//!
//! Invariant: a node that is not in view costs an endpoint its zone, never its life.

mod backend;
pub mod legacy;
pub mod mirror;
mod packing;
pub mod slices;

pub use backend::services_to_wake;
