//! The kubelet: keeps the pods of one node as they are wanted.
//!
//! ```text
//! API, manifests ─► Kubelet ─► one Worker per pod ─► look (cri) ─► podplan::plan ─► carry out (cri, mounts) ─┐
//!                                     ▲  └─► status ─► Statuses ─► API                                       │
//!                                     └── ends of processes, runtime events, probes, times ◄─────────────────┘
//! ```
//!
//! Decisions are `podplan`'s; this crate asks the runtime, carries plans out and tells the API. It reaches the API through
//! the narrow trait [`Api`]; [`Standalone`] is the one without a server (static pods only).
//!
//! What is deliberately not here: the scheduler's and the controllers' work, and the network of pods (CNI, by the runtime).
//!
//! Invariants
//! - A restarted kubelet adopts what runs and restarts nothing.
//! - What belongs to nobody is ended only after it is known who is wanted.
//! - While nothing happens to a pod, nothing is asked about it: ends of processes are seen through their descriptors.
//! - A pod's folder, cgroup, sandboxes and logs go when the pod goes.

mod api;
mod checks;
mod config;
mod events;
mod exits;
pub mod fuzz;
mod garbage;
mod gatekeeper;
mod heartbeat;
mod images;
mod logs;
mod manifests;
mod metrics;
mod node;
mod observe;
mod pressure;
mod prober;
mod remote;
mod server;
mod service;
mod shared;
mod statuses;
mod storage;
mod translate;
mod upkeep;
mod volumes;
mod worker;

#[cfg(test)]
mod tests;

pub use api::{Answer, Api, ApiError, PodChange, PodStream, Standalone, Token, TokenOrder};
pub use config::Config;
pub use events::{Severity, Told};
pub use gatekeeper::Guard;
pub use manifests::decode;
pub use node::{Kubelet, StartError, View, is_over};
pub use remote::Remote;
pub use server::{Access, Gatekeeper, NodeServer};
pub use service::{HEALTH_ADDRESS, Service, Setup, run};
