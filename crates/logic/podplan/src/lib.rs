//! The kubelet's mind: what a node does with a pod, decided from data alone.
//!
//! [`plan`] takes what is desired (`&Pod`), what the runtime reports ([`Observed`]), what probes found, which back-offs
//! run, and the time; it returns a [`Plan`]: what to stop and start, in which order, until when to wait, which status to
//! report. Whoever executes it has no choice left and asks again when something happened.
//!
//! Beside it stand the derivations that a container's configuration needs: [`environment`], [`fields`], [`security`],
//! [`network`], [`resources`], [`identity`], [`images`], [`probe`]; each a function of its arguments. A change of resources
//! while the pod runs is [`resize`]'s.
//!
//! What is deliberately not here: the runtime, files, sockets, the clock, the API.
//!
//! Invariants
//! - The same situation gives the same plan; a plan that was carried out leaves nothing to plan.
//! - A container that runs and fits its pod is never touched: a restarted kubelet adopts it.
//! - Nothing is started in a sandbox that is not the newest, or not ready.
//! - Texts that users see (reasons, messages) are those of Kubernetes 1.36, letter by letter.

pub mod admission;
pub mod backoff;
pub mod environment;
pub mod eviction;
pub mod expansion;
pub mod fields;
pub mod garbage;
pub mod identity;
pub mod images;
pub mod network;
pub mod node;
pub mod observed;
pub mod probe;
pub mod qos;
pub mod quantity;
pub mod resize;
pub mod resources;
pub mod restart;
pub mod security;
pub mod status;
pub mod storage;
pub mod termination;

mod initialization;
mod plan;
mod sandbox;
mod spec;

#[cfg(test)]
mod tests;

pub use observed::{Observed, Sandbox, Seen, Stage};
pub use plan::{Held, Holds, Plan, Role, Situation, Start, Stop, StopReason, plan};
pub use sandbox::SandboxNeed;
pub use spec::{as_container, container, containers, is_sidecar};
